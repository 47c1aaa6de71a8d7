"""Hosts of a test's own: where things are made, how they reach each other, and that nothing is left."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import pytest_twisted

from tests.networks import lan, network, network_namespace, parse, routed_hosts, two_hosts

FAMILIES = (socket.AF_INET, socket.AF_INET6)


def own_namespace() -> str:
    """Where this thread is."""
    return os.readlink("/proc/thread-self/ns/net")


def descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))


def ask(host, family, to, data=b"ping"):
    """Send a datagram."""
    with host.socket(family) as skt:
        skt.sendto(data, to)


def test_one_is_inside_only_as_long_as_the_block_lasts():
    """Whatever happens in it; blocks nest."""
    home = own_namespace()
    with two_hosts() as (one, other):
        with one:
            first = own_namespace()
            with other:
                assert own_namespace() not in {home, first}
            assert own_namespace() == first != home
        with pytest.raises(RuntimeError, match="no luck"), one:
            raise RuntimeError("no luck")
        assert own_namespace() == home


@pytest.mark.parametrize("family", FAMILIES)
def test_sockets_stay_in_the_host_they_were_made_in(family):
    """Two hosts have the same port, and talk to each other from outside of both."""
    with two_hosts() as (one, other):
        names = [(host.address(family), 4000) for host in (one, other)]
        with one.socket(family, bound_to=names[0]) as here, other.socket(family, bound_to=names[1]) as there:
            here.sendto(b"ping", names[1])
            there.settimeout(10)
            data, source = there.recvfrom(100)
            assert (data, source[:2]) == (b"ping", names[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_switch_joins_many(family):
    """Everybody reaches everybody."""
    with lan(3) as hosts:
        for receiver in hosts:
            with receiver.socket(family, bound_to=(receiver.address(family), 4000)) as skt:
                skt.settimeout(10)
                for sender in hosts:
                    ask(sender, family, skt.getsockname()[:2], sender.name.encode())
                    assert skt.recv(100) == sender.name.encode()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_router_is_a_hop(family):
    """What arrives has a hop less, and was seen with one more before."""
    with routed_hosts() as (one, router, other):
        near, far = router.ports
        with (
            router.capture(near) as before,
            router.capture(far) as behind,
            other.socket(family, bound_to=(other.address(family), 4000)) as skt,
        ):
            skt.settimeout(10)
            ask(one, family, skt.getsockname()[:2])
            skt.recv(100)
            (first,), (second,) = before.datagrams(4000), behind.datagrams(4000)
            assert first.hops == second.hops + 1 == 64
            assert first.source == second.source == one.address(family)
            assert (first.payload, first.outgoing, second.outgoing) == (b"ping", False, True)


def test_nothing_is_left_of_a_network():
    """Neither descriptors nor programs nor names, also when the test fails."""

    def fail():
        with two_hosts() as (one, _):
            programs.append(one.start("sleep", "1000"))
            raise RuntimeError("no luck")

    before = descriptors()
    names = subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout
    programs = []
    with pytest.raises(RuntimeError, match="no luck"):
        fail()
    (program,) = programs
    assert program.returncode == -9
    assert descriptors() == before
    assert subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout == names


def test_a_program_runs_inside_a_host():
    """It sees the interfaces that are there."""
    with two_hosts() as (one, _):
        program = one.python(
            "import socket; print(socket.if_nameindex())", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert program.communicate(timeout=60)[0].decode().count("net1") == 1


def test_an_interface_can_go_down_and_disappear():
    """Without it there is no way; it can come back."""
    with two_hosts() as (one, other):
        to = (other.ipv4, 4000)
        one.ports[0].down()
        with pytest.raises(OSError, match="unreachable"):
            ask(one, socket.AF_INET, to)
        one.ports[0].up()
        ask(one, socket.AF_INET, to)
        other.ports[0].unplug()
        with pytest.raises(OSError, match="unreachable"):
            ask(one, socket.AF_INET, to)


def test_an_interface_carries_as_much_as_a_test_says():
    """The MTU, at both ends."""
    with two_hosts(mtu=1280) as hosts:
        for host in hosts:
            with host.socket() as skt:
                skt.setsockopt(socket.IPPROTO_IP, 10, 2)
                with pytest.raises(OSError, match="too long"):
                    skt.sendto(bytes(1253), ("10.0.1.9", 4000))


@pytest.mark.parametrize("machine", ["", "CI"])
def test_a_network_without_permission_is_skipped_with_the_reason(monkeypatch, machine):
    """On a continuous-integration machine too: nobody can install a permission."""

    class Refusing:
        def __init__(self, *arguments, **options):
            pass

        def unshare(self, flags):
            return -1

        def setns(self, *arguments):
            return 0

    monkeypatch.setattr("ctypes.CDLL", Refusing)
    monkeypatch.setenv("CI", machine)
    with pytest.raises(pytest.skip.Exception, match="may not make a network namespace"), network_namespace():
        pass


def test_what_may_not_be_set_in_a_network_skips_with_the_reason(monkeypatch):
    """Where /proc/sys is there to be read only."""

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    with network() as built:
        host = built.host()
        monkeypatch.setattr(Path, "write_text", refuse)
        with pytest.raises(pytest.skip.Exception, match="may not set ipv4/ip_forward"):
            host.set("ipv4/ip_forward", 1)
        monkeypatch.undo()


def test_a_thread_that_stays_behind_is_told():
    """It would keep the network, and do in it what belongs elsewhere."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)

    def start():
        with network() as built, built.host():
            thread.start()

    with pytest.raises(AssertionError, match="thread"):
        start()
    end.set()
    thread.join()


@pytest_twisted.ensureDeferred
async def test_reports_of_groups_are_read():
    """What a host tells its router when it joins, in both families."""
    with (
        two_hosts() as (one, other),
        other.capture() as capture,
        one.socket() as skt,
        one.socket(socket.AF_INET6) as skt6,
    ):
        index = one.ports[0].index
        group = socket.inet_aton("239.1.2.3") + socket.inet_aton(one.ipv4)
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        group = socket.inet_pton(socket.AF_INET6, "ff15::1234") + index.to_bytes(4, "little")
        skt6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        for address in ("239.1.2.3", "ff15::1234"):
            await capture.wait(lambda packet, address=address: ("to-ex", address, ()) in packet.reports)


@pytest_twisted.ensureDeferred
async def test_reports_of_older_hosts_are_read():
    """IGMPv2 and MLDv1: who joins, and who leaves."""
    with two_hosts() as (one, other), other.capture() as capture:
        one.set("ipv4/conf/net1/force_igmp_version", 2)
        one.set("ipv6/conf/net1/force_mld_version", 1)
        with one.socket() as skt, one.socket(socket.AF_INET6) as skt6:
            group = socket.inet_aton("239.1.2.3") + socket.inet_aton(one.ipv4)
            skt.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            group = socket.inet_pton(socket.AF_INET6, "ff15::1234") + one.ports[0].index.to_bytes(4, "little")
            skt6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
            for address in ("239.1.2.3", "ff15::1234"):
                await capture.wait(lambda packet, address=address: ("join", address, ()) in packet.reports)
        for address in ("239.1.2.3", "ff15::1234"):
            await capture.wait(lambda packet, address=address: ("leave", address, ()) in packet.reports)
        assert "leave 239.1.2.3" in "\n".join(map(str, capture.packets))


def test_what_is_no_packet_is_not_read():
    """Nothing, too little, and another protocol."""
    assert [parse(raw) for raw in (b"", b"\x45" + bytes(18), b"\x60" + bytes(38), bytes(60))] == [None] * 4
