"""A chat of everybody on the local network, by multicast; several may be on one machine.

python lan_chat.py NAME [INTERFACE]

Type lines; Ctrl-D ends.
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from winsockets import DatagramSocket, NetworkAdapter

GROUP, PORT = "239.255.13.37", "1337"
WORDS = {"JOIN": "{name} is here", "SAY": "{name}: {text}", "LEAVE": "{name} has left"}


def pack(word, name, text=""):
    return "\t".join((word, name, text)).encode()


def unpack(data):
    """What to show of a datagram; None of one that is not from this program."""
    try:
        word, name, text = data.decode().split("\t")
        line = WORDS[word].format(name=name, text=text)
    except (ValueError, KeyError):
        return None
    return line if line.isprintable() else None


class Keyboard(LineOnlyReceiver):
    """Takes what is typed, line by line."""

    delimiter = b"\n"

    def __init__(self, line_typed):
        self.line_typed = line_typed
        self.ended = Deferred()

    def lineReceived(self, line):
        self.line_typed(" ".join(line.decode(errors="replace").split()))

    def connectionLost(self, reason=connectionDone):
        self.ended.callback(None)


def socket_message_received(sender, args):
    line = unpack(args.data)
    if line is not None:
        print(line, flush=True)


async def main(reactor, name, interface=""):
    try:
        adapter = NetworkAdapter.from_name(interface) if interface else None

        async with DatagramSocket() as socket:
            socket.message_received += socket_message_received

            # What makes any number of processes on one machine possible.
            socket.control.multicast_only = True
            socket.control.multicast_adapter = adapter

            await socket.bind_service_name_async(PORT)
            socket.join_multicast_group(GROUP, adapter=adapter)
            stream = await socket.get_output_stream_async(GROUP, PORT)

            # Everybody hears it, the sender too.
            await stream.write_async(pack("JOIN", name))
            keyboard = Keyboard(lambda text: stream.write_async(pack("SAY", name, text)))
            StandardIO(keyboard)
            await keyboard.ended
            await stream.write_async(pack("LEAVE", name))
    except OSError as e:
        sys.exit(f"no chat: {e}")


if not 2 <= len(sys.argv) <= 3:
    sys.exit(__doc__)
react(main, sys.argv[1:])
