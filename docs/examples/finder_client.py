"""Finds the servers on the local network: asks all of them who is there, and shows who answers in time.

python finder_client.py [ADDRESS [PORT [SECONDS]]]

ADDRESS is the broadcast address of a network, 255.255.255.255 when left out, SECONDS how long to wait for
answers, 1 when left out.
"""

import sys

from twisted.internet.task import deferLater, react

from winsockets import DatagramSocket


def socket_message_received(sender, args):
    name = args.data.decode(errors="replace")
    print(f"{name!r} at {args.remote_address} port {args.remote_port}", flush=True)


async def main(reactor, address="255.255.255.255", port="1337", seconds="1"):
    try:
        async with DatagramSocket() as socket:
            socket.message_received += socket_message_received

            # One datagram to everybody; no switch is needed for it.
            stream = await socket.get_output_stream_async(address, port)
            await stream.write_async(b"who is there?")

            # The answers come one by one to the port that it left from.
            await deferLater(reactor, float(seconds))
    except Exception as e:
        sys.exit(f"cannot ask: {e}")


if len(sys.argv) > 4:
    sys.exit(__doc__)
react(main, sys.argv[1:])
