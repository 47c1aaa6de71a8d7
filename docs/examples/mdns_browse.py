"""Who offers what on the local network, asked by multicast DNS, as printers and speakers answer it.

python mdns_browse.py [SERVICE [INTERFACE [SECONDS]]]

SERVICE is a kind such as _http._tcp.local; left out, the kinds that there are. INTERFACE is a name such as
eth0, or "" for the system's choice, SECONDS how long to listen, 2 when left out.
"""

import sys

from twisted.internet.task import deferLater, react
from twisted.names import dns

from winsockets import DatagramSocket, NetworkAdapter

GROUP, PORT = "224.0.0.251", 5353
KINDS = "_services._dns-sd._udp.local"
shown = set()


def question_about(service):
    message = dns.Message()
    message.addQuery(service.encode(), dns.PTR)
    return message.toStr()


def answers_in(data):
    message = dns.Message()
    try:
        message.fromStr(data)
    except Exception:
        return []  # anybody can send anything to a group
    return message.answers + message.additional if message.answer else []


def text(name):
    return name.name.decode(errors="replace")


def show(line):
    if line not in shown and line.isprintable():
        shown.add(line)
        print(line, flush=True)


async def main(reactor, service=KINDS, interface="", seconds="2"):
    def socket_message_received(sender, args):
        for record in answers_in(args.data):
            if record.type == dns.PTR and text(record.name) == service:
                show(f"{args.remote_address} offers {text(record.payload.name)}")
            elif record.type == dns.SRV and text(record.name).endswith(service):
                place = f"{text(record.payload.target)} port {record.payload.port}"
                show(f"{text(record.name)} is at {place}")

    try:
        adapter = NetworkAdapter.from_name(interface) if interface else None

        async with DatagramSocket() as socket:
            socket.message_received += socket_message_received

            # Other programs on this machine have the same port.
            socket.control.multicast_only = True
            socket.control.multicast_adapter = adapter

            await socket.bind_service_name_async(PORT)
            socket.join_multicast_group(GROUP, adapter=adapter)

            stream = await socket.get_output_stream_async(GROUP, PORT)
            for _ in range(2):
                # Whoever has just answered somebody else does not answer at once again.
                await stream.write_async(question_about(service))
                await deferLater(reactor, float(seconds) / 2)
    except (OSError, ValueError) as e:
        sys.exit(f"no answers: {e}")


if len(sys.argv) > 4:
    sys.exit(__doc__)
react(main, sys.argv[1:])
