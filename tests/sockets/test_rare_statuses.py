"""Failures that a system seldom has: no family, no such kind of socket, an abort, silence."""

from __future__ import annotations

import platform
import socket as system
import subprocess
import sys

import pytest
import pytest_twisted

from tests.networks import network, tunnel, two_hosts
from tests.sockets.crossing import FAMILIES, ended, listening_in, stream_from
from tests.transports.loopback import NEEDS_LINUX
from winsockets.errors import SocketErrorStatus, translate
from winsockets.streams import DataReader

Status = SocketErrorStatus

# As a service manager does it that restricts a service to IPv4: a filter of system calls. linux/seccomp.h
WITHOUT_IPV6 = """
import ctypes, struct
SOCKET, EAFNOSUPPORT, AF_INET6 = {socket}, 97, 10
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
program = b"".join(struct.pack("=HBBI", *step) for step in (
    (LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 3, SOCKET), (LOAD, 0, 0, 16), (JUMP_IF_EQUAL, 0, 1, AF_INET6),
    (RETURN, 0, 0, 0x00050000 | EAFNOSUPPORT), (RETURN, 0, 0, 0x7FFF0000),
))
code = ctypes.create_string_buffer(program)
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(6, ctypes.addressof(code))), 0, 0) == 0, ctypes.get_errno()

from twisted.internet import task
from winsockets import DatagramSocket, SocketException, StreamSocket, StreamSocketListener

async def main(reactor):
    for attempt in (
        lambda: StreamSocket().connect_async("::1", 80),
        lambda: DatagramSocket().connect_async("::1", 80),
        lambda: DatagramSocket().bind_endpoint_async("::1", ""),
    ):
        try:
            await attempt()
        except SocketException as problem:
            print(problem.status.name)
    async with DatagramSocket() as both, StreamSocketListener() as listener:
        listener.connection_received += print
        await both.bind_service_name_async("")
        await listener.bind_service_name_async("")
        print("bound" if both.information.local_port and listener.information.local_port else "not bound")

task.react(lambda reactor: __import__("twisted").internet.defer.ensureDeferred(main(reactor)))
"""
SYSTEM_CALLS = {"x86_64": 41, "aarch64": 198}


@NEEDS_LINUX
@pytest.mark.skipif(
    platform.machine() not in SYSTEM_CALLS, reason="does not know this machine's system calls"
)
def test_a_program_that_may_not_use_ipv6_is_told_so_and_serves_ipv4():
    """ADDRESS_FAMILY_NOT_SUPPORTED for its addresses; a bind to everything goes on without it."""
    program = WITHOUT_IPV6.format(socket=SYSTEM_CALLS[platform.machine()])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.stderr == ""
    assert done.stdout.split("\n")[:-1] == [Status.ADDRESS_FAMILY_NOT_SUPPORTED.name] * 3 + ["bound"]


def test_a_kind_of_socket_that_the_system_does_not_have_is_named_so():
    """SOCKET_TYPE_NOT_SUPPORTED, by the system and by its resolver; none of our sockets asks for such."""
    with pytest.raises(OSError, match=r"ot supported") as refused:
        system.socket(system.AF_INET, system.SOCK_RDM)
    with pytest.raises(system.gaierror) as unresolved:
        system.getaddrinfo("127.0.0.1", 80, type=system.SOCK_RDM)
    for problem in (refused.value, unresolved.value):
        assert translate(problem, "make a socket").status is Status.SOCKET_TYPE_NOT_SUPPORTED


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_connection_that_the_system_ends_is_aborted_here_and_reset_there(family, require_program):
    """SOFTWARE_CAUSED_CONNECTION_ABORT: an administrator kills it."""
    with two_hosts() as (one, other):
        listener, connections, port = await listening_in(other, other.address(family))
        async with listener:
            stream = await stream_from(one, other.address(family), port)
            async with stream, await anext(connections) as accepted:
                reads = [DataReader(end.input_stream).load_async(1) for end in (stream, accepted)]
                killer = one.start(require_program("ss"), "-K", "dport", "=", port, stdout=subprocess.DEVNULL)
                assert killer.wait(100) == 0
                statuses = [(await ended(operation)).status for operation in reads]
                assert statuses == [Status.SOFTWARE_CAUSED_CONNECTION_ABORT, Status.CONNECTION_RESET_BY_PEER]


@pytest.mark.parametrize("family", FAMILIES)
@pytest_twisted.ensureDeferred
async def test_a_connection_whose_network_falls_silent_times_out(family):
    """CONNECTION_TIMED_OUT, when the system has repeated itself often enough."""
    with network() as built:
        one, other = built.host(), built.host()
        # Sooner than after a quarter of an hour
        one.set("ipv4/tcp_retries2", 0)
        with tunnel(built, one, other) as link:
            listener, connections, port = await listening_in(other, other.address(family))
            async with listener:
                one.ip(f"route replace {other.address(family)} dev net1 rto_min 10ms")
                stream = await stream_from(one, other.address(family), port)
                async with stream, await anext(connections):
                    link.fate = lambda raw: ()
                    await stream.output_stream.write_async(b"is anybody there?")
                    problem = await ended(DataReader(stream.input_stream).load_async(1))
                    assert problem.status is Status.CONNECTION_TIMED_OUT
