"""A TCP echo server: sends one line back to each client.

python tcp_echo_server.py [PORT]
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from winsockets import StreamReader, StreamSocketListener, StreamWriter


async def socket_listener_connection_received(sender, args):
    # Read line from the remote client.
    in_stream = args.socket.input_stream.as_stream_for_read()
    reader = StreamReader(in_stream)
    request = await reader.read_line_async()

    # Send the line back to the remote client.
    out_stream = args.socket.output_stream.as_stream_for_write()
    writer = StreamWriter(out_stream)
    await writer.write_line_async(request)
    await writer.flush_async()


async def main(reactor, port="1337"):
    try:
        # Create a StreamSocketListener to start listening for TCP connections.
        socket_listener = StreamSocketListener()

        # Hook up an event handler to call when connections are received.
        socket_listener.connection_received += socket_listener_connection_received

        # Start listening for incoming TCP connections. You can specify any port that's not currently in use.
        await socket_listener.bind_service_name_async(port)
    except Exception as e:
        # Handle exception.
        sys.exit(f"cannot listen: {e}")

    print(f"listening on port {socket_listener.information.local_port}", flush=True)
    await Deferred()  # until Ctrl-C


react(main, sys.argv[1:])
