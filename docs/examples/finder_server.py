"""Can be found: answers each broadcast that asks who is there.

python finder_server.py NAME [PORT]
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from winsockets import DatagramSocket


async def main(reactor, name, port="1337"):
    async def socket_message_received(sender, args):
        try:
            question = args.data
        except OSError:
            return  # somebody who asked before is gone
        if question == b"who is there?":
            # From here to the one who asked, and to nobody else.
            stream = await sender.get_output_stream_async(args.remote_address, args.remote_port)
            await stream.write_async(name.encode())

    try:
        socket = DatagramSocket()
        socket.message_received += socket_message_received
        await socket.bind_service_name_async(port)
    except Exception as e:
        sys.exit(f"cannot listen: {e}")

    print(f"listening on port {socket.information.local_port}", flush=True)
    await Deferred()  # until Ctrl-C


if not 2 <= len(sys.argv) <= 3:
    sys.exit(__doc__)
react(main, sys.argv[1:])
