"""A TCP echo client: sends a line and shows the line that comes back.

python tcp_echo_client.py [PORT]
"""

import sys

from twisted.internet.task import react

from winsockets import HostName, StreamReader, StreamSocket, StreamWriter


async def main(reactor, server_port="1337"):
    try:
        # Create the StreamSocket and establish a connection to the echo server.
        async with StreamSocket() as socket:
            # The server hostname that we will be establishing a connection to. We will be running the server
            # and client locally, so we will use localhost as the hostname.
            server_host = HostName("localhost")

            # For the echo server/client application we will use a random port, 1337.
            await socket.connect_async(server_host, server_port)

            # Write data to the echo server.
            stream_out = socket.output_stream.as_stream_for_write()
            writer = StreamWriter(stream_out)
            request = "test"
            await writer.write_line_async(request)
            await writer.flush_async()

            # Read data from the echo server.
            stream_in = socket.input_stream.as_stream_for_read()
            reader = StreamReader(stream_in)
            response = await reader.read_line_async()
            print(response)
    except Exception as e:
        # Handle exception here.
        sys.exit(f"no echo: {e}")


react(main, sys.argv[1:])
