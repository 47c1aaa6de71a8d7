"""A UDP echo client: sends a message and shows the message that comes back.

python udp_echo_client.py [SERVER_PORT PORT]
"""

import sys

from twisted.internet import defer
from twisted.internet.task import react

from winsockets import DatagramSocket, HostName, StreamReader, StreamWriter

if len(sys.argv) not in (1, 3):
    sys.exit(__doc__)

# Two ports, as both programs run on one machine.
server_port, client_port = sys.argv[1:] or ("1337", "1338")
received = defer.Deferred()


async def socket_message_received(sender, args):
    stream_in = args.get_data_stream().as_stream_for_read()
    reader = StreamReader(stream_in)
    message = await reader.read_line_async()
    received.callback(message)


async def test_udp_socket_server(reactor):
    try:
        async with DatagramSocket() as socket:
            socket.message_received += socket_message_received

            server_host = HostName("localhost")

            await socket.bind_service_name_async(client_port)

            stream = await socket.get_output_stream_async(server_host, server_port)
            stream_out = stream.as_stream_for_write()
            writer = StreamWriter(stream_out)
            message = "Hello, world!"
            await writer.write_line_async(message)
            await writer.flush_async()

            # UDP promises nothing: the message or its echo may be lost.
            print(await received.addTimeout(5, reactor))
    except defer.TimeoutError:
        sys.exit("no echo: nothing came back within 5 s; start udp_echo_server.py first")
    except Exception as e:
        sys.exit(f"no echo: {e}")


react(test_udp_socket_server)
