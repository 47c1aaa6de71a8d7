"""A TLS echo client that shows a certificate: sends a line and shows the line that comes back.

python tls_echo_client.py CERTIFICATE ROOT [PORT]

CERTIFICATE is a file with the client's certificate and its private key, ROOT one with the root of the
server's certificate.
"""

import sys

from twisted.internet.task import react

from winsockets import Certificate, SocketProtectionLevel, StreamReader, StreamSocket, StreamWriter


async def main(reactor, client_file, root_file, server_port="1338"):
    try:
        async with StreamSocket() as socket:
            certificate = Certificate.load_file(client_file)
            socket.control.client_certificate = certificate
            socket.control.trusted_server_certificates.append(Certificate.load_file(root_file))
            await socket.connect_async("localhost", server_port, SocketProtectionLevel.TLS12)

            writer = StreamWriter(socket.output_stream.as_stream_for_write())
            await writer.write_line_async("test")
            await writer.flush_async()

            reader = StreamReader(socket.input_stream.as_stream_for_read())
            print(await reader.read_line_async())
    except Exception as e:
        sys.exit(f"no echo: {e}")


if not 3 <= len(sys.argv) <= 4:
    sys.exit(__doc__)
react(main, sys.argv[1:])
