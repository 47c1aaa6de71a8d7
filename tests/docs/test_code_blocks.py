"""Every Python block of README.md and of the documentation runs as it stands there."""

from __future__ import annotations

import ast
import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import winsockets
from tests.docs.blocks import ROOT, Block, blocks
from tests.sockets.name_service import SRV, Table, name_server
from winsockets import AddressInUseError, DatagramSocket, StreamSocket, StreamSocketListener
from winsockets.testing import CertificateAuthority

BLOCKS = blocks()
FILES = {block.file_name: block for block in BLOCKS if block.file_name is not None}
PROGRAMS = [block for block in BLOCKS if block.is_program]
FRAGMENTS = [block for block in BLOCKS if block.file_name is None and not block.is_program]
README_PORT = re.compile(r"\b1337\b")
SECONDS = 60


async def echo_bytes(listener, args):
    """Send everything back."""
    async with args.socket as socket:
        async for chunk in socket.input_stream:
            await socket.output_stream.write_async(chunk)


async def echo_datagram(socket, args):
    """Send the datagram back."""
    stream = await socket.get_output_stream_async(args.remote_address, args.remote_port)
    await stream.write_async(args.data)


async def open_tls_echo() -> tuple[StreamSocketListener, CertificateAuthority]:
    """Serve TCP with TLS on a port of localhost, by an authority of its own."""
    authority = CertificateAuthority()
    listener = StreamSocketListener()
    listener.control.server_certificates.append(authority.issue_server("localhost"))
    listener.connection_received += echo_bytes
    await listener.bind_endpoint_async("localhost", 0)
    return listener, authority


async def open_echo() -> tuple[StreamSocketListener, DatagramSocket]:
    """Serve TCP and UDP on one port of localhost."""
    while True:
        listener, datagrams = StreamSocketListener(), DatagramSocket()
        listener.connection_received += echo_bytes
        datagrams.message_received += echo_datagram
        await listener.bind_endpoint_async("localhost", 0)
        try:
            await datagrams.bind_endpoint_async("localhost", listener.information.local_port)
        except AddressInUseError:
            await close(listener, datagrams)
        else:
            return listener, datagrams


async def close(*closables: Any) -> None:
    """Close sockets and wait until they are gone."""
    for closable in closables:
        closable.close()
        await closable.wait_closed_async()


@pytest.fixture
def port() -> Iterator[str]:
    """The port of localhost on which an echo server listens, TCP and UDP."""
    servers = pytest_twisted.blockon(Deferred.fromCoroutine(open_echo()))
    yield servers[0].information.local_port
    pytest_twisted.blockon(Deferred.fromCoroutine(close(*servers)))


def environment(folder: Path) -> dict[str, str]:
    """The environment of a program in a folder, for which it need not be installed what is tested here."""
    path = os.pathsep.join([str(folder), str(Path(winsockets.__file__).parents[1])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error"}


async def run(folder: Path, *command: str) -> str:
    """Run a command in another process, while the servers here go on, and give its output."""
    done = await deferToThread(
        subprocess.run,
        command,
        cwd=folder,
        env=environment(folder),
        timeout=SECONDS,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def write(folder: Path, name: str, port: str = "0") -> str:
    """Put a file of the documentation into a folder."""
    (folder / name).write_text(README_PORT.sub(port, FILES[name].code), encoding="utf-8")
    return name


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
@pytest_twisted.ensureDeferred
async def test_a_program_runs(block: Block, port: str, tmp_path: Path) -> None:
    """It ends with exit status 0 and without a warning, in a process of its own."""
    if "winsockets.reactor" in block.code and sys.platform != "linux":
        pytest.skip("this reactor is for Linux")
    code = README_PORT.sub(port, block.code)
    if "react(main)" not in code:
        code += "\nfrom twisted.internet.task import react\nreact(main)\n"
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    await run(tmp_path, sys.executable, "program.py")


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
@pytest_twisted.ensureDeferred
async def test_a_fragment_runs(block: Block, port: str, tmp_path: Path) -> None:
    """It runs in a coroutine, with the names that its page promises."""
    from twisted.internet import reactor

    names = {name: getattr(winsockets, name) for name in winsockets.__all__}
    # As many empty lines in front, and a traceback shows the lines of the page.
    source = "\n" * (block.line - 1) + block.code
    code = compile(source, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with StreamSocket() as socket:
        await socket.connect_async("localhost", port)
        given = {"reactor": reactor, "port": port, "socket": socket, "folder": tmp_path}
        async with AsyncExitStack() as stack:
            if block.page.name == "tls.md":
                listener, given["authority"] = await open_tls_echo()
                await stack.enter_async_context(listener)
                given["port"] = listener.information.local_port
            elif block.page.name == "services-by-name.md":
                table: Table = {
                    ("_chat-room._tcp.example.com", SRV.TYPE): [SRV(0, 0, int(port), "localhost")]
                }
                given["name_server"], _ = await stack.enter_async_context(name_server(table))
            outcome = eval(code, {**names, **given})
            if inspect.iscoroutine(outcome):
                await outcome


@pytest.mark.parametrize("runner", ["twisted.trial", "pytest"], ids=["trial", "pytest"])
@pytest_twisted.ensureDeferred
async def test_a_test_module_passes(runner: str, tmp_path: Path) -> None:
    """The test modules of the first steps pass under the runner that they are written for."""
    write(tmp_path, "lines.py")
    name = write(tmp_path, f"test_lines_{runner.rpartition('.')[2]}.py")
    await run(
        tmp_path, sys.executable, "-m", runner, name if runner == "pytest" else name.removesuffix(".py")
    )


@pytest.mark.parametrize("reactor_name", ["default", "asyncio"])
@pytest_twisted.ensureDeferred
async def test_the_application_serves_under_twistd(reactor_name: str, tmp_path: Path) -> None:
    """``twistd -ny lines.tac`` serves lines, and ends without a complaint when it is asked to."""
    write(tmp_path, "lines.py")
    name = write(tmp_path, "lines.tac")
    chosen = [] if reactor_name == "default" else [f"--reactor={reactor_name}"]
    start = "import sys; from twisted.scripts.twistd import run; run()"
    command = [sys.executable, "-c", start, *chosen, "--pidfile=", "-ny", name]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        try:
            lines = [await deferToThread(process.stdout.readline)]
            while lines[-1] and "served on port" not in lines[-1]:
                lines.append(await deferToThread(process.stdout.readline))
            port = lines[-1].rpartition(" ")[2].strip()
            assert port.isdecimal(), "".join(lines)
            async with StreamSocket() as socket:
                await socket.connect_async("127.0.0.1", port)
                await socket.output_stream.write_async(b"abc\n")
                assert await socket.input_stream.read_exactly(4) == b"cba\n"
        finally:
            process.terminate()
            rest = await deferToThread(process.stdout.read)
    # twistd ends itself by the signal that stopped it
    assert process.returncode in (0, -signal.SIGTERM), rest
    assert "Traceback" not in rest


def test_every_kind_of_block_is_there() -> None:
    """The blocks are found: README's program, the files of the first steps, fragments in the guides."""
    assert "README.md" in {block.page.relative_to(ROOT).as_posix() for block in PROGRAMS}
    assert set(FILES) >= {"client.py", "lines.py", "lines.tac", "test_lines_pytest.py", "test_lines_trial.py"}
    assert {block.page.name for block in FRAGMENTS} >= {
        "streams.md",
        "stream-sockets.md",
        "datagrams.md",
        "tls.md",
    }
