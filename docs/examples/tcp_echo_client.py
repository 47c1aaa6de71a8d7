"""A TCP echo client: sends a line and shows the line that comes back.

python tcp_echo_client.py [PORT]
"""

import sys

from twisted.internet.task import react

from winsockets import HostName, StreamReader, StreamSocket, StreamWriter


async def main(reactor, server_port="1337"):
    try:
        async with StreamSocket() as socket:
            server_host = HostName("localhost")

            await socket.connect_async(server_host, server_port)

            # One line goes out ...
            stream_out = socket.output_stream.as_stream_for_write()
            writer = StreamWriter(stream_out)
            request = "test"
            await writer.write_line_async(request)
            await writer.flush_async()

            # ... and comes back.
            stream_in = socket.input_stream.as_stream_for_read()
            reader = StreamReader(stream_in)
            response = await reader.read_line_async()
            print(response)
    except Exception as e:
        sys.exit(f"no echo: {e}")


if len(sys.argv) > 2:
    sys.exit(__doc__)
react(main, sys.argv[1:])
