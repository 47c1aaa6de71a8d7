"""A UDP echo server: sends each message back, to the port of the client program.

python udp_echo_server.py [PORT CLIENT_PORT]
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from winsockets import DatagramSocket, StreamReader, StreamWriter

if len(sys.argv) not in (1, 3):
    sys.exit(__doc__)

# Two ports, as both programs run on one machine.
server_port, client_port = sys.argv[1:] or ("1337", "1338")


async def socket_message_received(sender, args):
    # One line comes in ...
    stream_in = args.get_data_stream().as_stream_for_read()
    reader = StreamReader(stream_in)
    message = await reader.read_line_async()

    # ... and goes out again, from a socket of its own.
    with DatagramSocket() as socket:
        stream = await socket.get_output_stream_async(args.remote_address, client_port)
        stream_out = stream.as_stream_for_write()
        writer = StreamWriter(stream_out)
        await writer.write_line_async(message)
        await writer.flush_async()


async def main(reactor):
    try:
        socket = DatagramSocket()

        socket.message_received += socket_message_received

        await socket.bind_service_name_async(server_port)
    except Exception as e:
        sys.exit(f"cannot listen: {e}")

    print(f"listening on port {socket.information.local_port}", flush=True)
    await Deferred()  # until Ctrl-C


react(main)
