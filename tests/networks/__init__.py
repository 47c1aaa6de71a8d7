"""Networks of a test's own, on Linux: hosts, cables, switches and routers, links with faults, captures."""

from tests.networks._alone import (
    add_link_local_address,
    network_namespace,
    network_without_neighbours,
    run,
)
from tests.networks._capture import Capture
from tests.networks._groups import forwarding_group, is_member
from tests.networks._hosts import Host, Network, Port, lan, network, routed_hosts, two_hosts, unavailable
from tests.networks._packets import DestinationUnreachable, Packet, Report, icmp_error, parse
from tests.networks._tunnels import Delivery, Fate, Tunnel, answering_with, faults, outside, tunnel

__all__ = [
    "Capture",
    "Delivery",
    "DestinationUnreachable",
    "Fate",
    "Host",
    "Network",
    "Packet",
    "Port",
    "Report",
    "Tunnel",
    "add_link_local_address",
    "answering_with",
    "faults",
    "forwarding_group",
    "icmp_error",
    "is_member",
    "lan",
    "network",
    "network_namespace",
    "network_without_neighbours",
    "outside",
    "parse",
    "routed_hosts",
    "run",
    "tunnel",
    "two_hosts",
    "unavailable",
]
