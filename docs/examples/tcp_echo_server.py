"""A TCP echo server: sends one line back to each client.

python tcp_echo_server.py [PORT]
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from winsockets import StreamReader, StreamSocketListener, StreamWriter


async def socket_listener_connection_received(sender, args):
    # One line comes in ...
    in_stream = args.socket.input_stream.as_stream_for_read()
    reader = StreamReader(in_stream)
    request = await reader.read_line_async()

    # ... and goes out again.
    out_stream = args.socket.output_stream.as_stream_for_write()
    writer = StreamWriter(out_stream)
    await writer.write_line_async(request)
    await writer.flush_async()


async def main(reactor, port="1337"):
    try:
        socket_listener = StreamSocketListener()

        # Handlers come before binding.
        socket_listener.connection_received += socket_listener_connection_received

        await socket_listener.bind_service_name_async(port)
    except Exception as e:
        sys.exit(f"cannot listen: {e}")

    print(f"listening on port {socket_listener.information.local_port}", flush=True)
    await Deferred()  # until Ctrl-C


if len(sys.argv) > 2:
    sys.exit(__doc__)
react(main, sys.argv[1:])
