"""Offers a service by multicast DNS until its standard input ends: python mdns_responder.py ADDRESS NAME.

By zeroconf, which is not of this project.
"""

from __future__ import annotations

import socket
import sys

from zeroconf import IPVersion, ServiceInfo, Zeroconf

address, name = sys.argv[1:]
kind = "_winsockets-test._tcp.local."
responder = Zeroconf(interfaces=[address], ip_version=IPVersion.V4Only)
responder.register_service(
    ServiceInfo(
        kind,
        f"{name}.{kind}",
        port=1337,
        addresses=[socket.inet_aton(address)],
        server=f"{name}-host.local.",
        properties={"path": "/"},
    )
)
print("ready", flush=True)
sys.stdin.read()
responder.close()
