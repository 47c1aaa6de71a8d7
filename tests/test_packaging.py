"""What an installed winsockets brings, types included, and that the integration command is README's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def installed() -> Distribution:
    """The installed distribution, from a wheel; a checkout on the path has none.

    What building one leaves in a checkout (winsockets.egg-info) has no RECORD.
    """
    try:
        found = distribution("winsockets")
    except PackageNotFoundError:
        found = None
    if found is None or "winsockets/__init__.py" not in (found.read_text("RECORD") or ""):
        end = pytest.fail if os.environ.get("CI") else pytest.skip
        end("winsockets is not installed from a wheel here; tox does that")
    assert found is not None
    return found


def script(name: str) -> str:
    """The path of a command installed beside this interpreter."""
    path = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert path is not None, f"there is no command {name} beside {sys.executable}"
    return path


def test_a_wheel_holds_the_package_the_plugins_and_the_typing_mark_only(installed: Distribution) -> None:
    """The tests stay at home, and no package file of Twisted's is overwritten."""
    files = {file.as_posix() for file in installed.files or () if file.suffix != ".pyc"}
    assert "winsockets/py.typed" in files
    assert {file for file in files if file.startswith("twisted/")} == {
        "twisted/plugins/winsockets_echo.py",
        "twisted/plugins/winsockets_endpoints.py",
        "twisted/plugins/winsockets_reactor.py",
    }
    tops = {file.partition("/")[0] for file in files}
    assert tops - {"..", f"winsockets-{installed.version}.dist-info"} == {"winsockets", "twisted"}


def test_twistd_lists_the_plugin(installed: Distribution, tmp_path: Path) -> None:
    """The plugin is found without any help from the working directory."""
    help_text = subprocess.run(
        [script("twistd"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "winsockets-echo" in help_text


def test_the_command_is_installed(installed: Distribution, tmp_path: Path) -> None:
    """``winsockets --help`` describes itself."""
    help_text = subprocess.run(
        [script("winsockets"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "echo" in help_text


PROGRAM = """
from typing import assert_type

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react
from winsockets import (
    AsyncOperation, Buffer, DataReader, DataWriter, DatagramSocket, DatagramSocketMessageReceivedEventArgs,
    EndpointPair, HostName, InMemoryRandomAccessStream, InputStreamOptions, StreamClientEndpoint,
    StreamFactory, StreamProtocol, StreamReader, StreamServerEndpoint, StreamSocket, StreamSocketListener,
    StreamSocketListenerConnectionReceivedEventArgs, StreamWriter,
)

async def handler(
    sender: StreamSocketListener, args: StreamSocketListenerConnectionReceivedEventArgs
) -> None:
    async with args.socket as socket:
        data = assert_type(await socket.input_stream.read(10), bytes)
        assert_type(await socket.output_stream.write_async(data), int)

def answer(sender: DatagramSocket, args: DatagramSocketMessageReceivedEventArgs) -> None:
    assert_type(args.data, bytes)
    assert_type(args.remote_address, HostName | None)

def connected(protocol: StreamProtocol) -> None:
    assert_type(StreamSocket.from_protocol(protocol), StreamSocket)

async def connect(reactor: object) -> None:
    port = await StreamServerEndpoint(reactor, 0).listen(StreamFactory(reactor, on_connected=connected))
    ours = StreamClientEndpoint(reactor, "localhost", port.getHost().port)
    await ours.connect(Factory.forProtocol(Protocol))
    await StreamSocket.from_endpoint(ours)
    tcp = TCP4ClientEndpoint(reactor, "localhost", 80)
    assert_type(StreamSocket.from_endpoint(tcp), AsyncOperation[StreamSocket])

async def main(reactor: object) -> None:
    listener = StreamSocketListener()
    listener.connection_received += handler
    listener.connection_received -= handler
    listener.remove_connection_received(listener.add_connection_received(handler))
    await listener.bind_service_name_async("0")
    async for accepted in listener.connections():
        assert_type(accepted, StreamSocket)
    datagrams = DatagramSocket()
    datagrams.message_received += answer
    async for message in datagrams.messages():
        assert_type(message, DatagramSocketMessageReceivedEventArgs)
    async with StreamSocket() as socket:
        assert_type(socket.connect_async(HostName("localhost"), "1337"), AsyncOperation[None])
        lines = StreamReader(socket.input_stream)
        assert_type(await lines.read_line_async(), str | None)
        assert_type(StreamWriter(socket.output_stream).write_line_async("hello"), AsyncOperation[None])
        reader = DataReader(socket.input_stream)
        assert_type(await reader.load_async(4), int)
        assert_type(reader.read_uint32(), int)
        assert_type(await DataWriter(socket.output_stream).store_async(), int)
        assert_type(await socket.input_stream.read_async(Buffer(9), 9, InputStreamOptions.PARTIAL), Buffer)
    DataReader(InMemoryRandomAccessStream())
    pairs = await StreamSocket.get_endpoint_pairs_async(HostName("localhost"), "80")
    assert_type(pairs, list[EndpointPair])

react(main)
"""

MISTAKE = """
from winsockets import StreamSocketListener

def handler(sender: int, args: int) -> None: ...

StreamSocketListener().connection_received += handler
"""


def type_check(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Check a program with mypy, strictly, far from this checkout and its settings."""
    pytest.importorskip("mypy", reason="tox -e types has mypy")
    (folder / "program.py").write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_type_checker_understands_a_program_without_plugins(
    installed: Distribution, tmp_path: Path
) -> None:
    """What is awaited has its type, events take handlers, and readers take the streams of sockets."""
    done = type_check(tmp_path, PROGRAM)
    assert (done.returncode, done.stdout) == (0, "Success: no issues found in 1 source file\n")


def test_a_type_checker_finds_a_handler_for_something_else(installed: Distribution, tmp_path: Path) -> None:
    """An event knows what it gives to its handlers."""
    done = type_check(tmp_path, MISTAKE)
    assert done.returncode == 1
    assert "program.py:6: error: " in done.stdout
    assert "Found 1 error " in done.stdout


@pytest.fixture
def integration_run(
    tmp_path: Path, require_program: Callable[[str], str]
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """A function that gives a README to the integration command and returns what that did."""
    bash = require_program("bash")
    (tmp_path / ".ci").mkdir()
    command = shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")

    def run(readme: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "README.md").write_text(readme, encoding="utf-8")
        return subprocess.run([bash, command], cwd="/", capture_output=True, text=True, check=False)

    return run


README = """
<!-- run-command -->
```sh
echo "not this one"
```

<!-- test-command -->
```sh
printf '%s\\n' '{first}' 'elsewhere: 7 failed' '{second}' && exit {status}
```

```sh
echo "nor this one"
```
"""


def test_the_integration_command_runs_readme_and_sums_up(
    integration_run: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """The closing lines of pytest and trial are added up in the last line."""
    done = integration_run(
        README.format(
            first="===== 30 passed, 2 skipped in 1.25s (0:00:01) =====",
            second="PASSED (skips=1, successes=12)",
            status=0,
        )
    )
    assert done.stdout.splitlines()[-1] == "42 passed, 0 failed"
    assert done.returncode == 0
    assert "one\n" not in done.stdout


def test_the_integration_command_fails_when_readmes_does(
    integration_run: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """Failures and errors count, the exit status is passed on, and a failed environment is named."""
    done = integration_run(
        README.format(
            first="=== 1 failed, 30 passed, 2 errors in 1.25s ===",
            second="  lint: FAIL code 1 (2.57 seconds)",
            status=3,
        )
    )
    assert done.stdout.splitlines()[-2:] == [
        "exit status 3; failed environments: lint",
        "30 passed, 3 failed",
    ]
    assert done.returncode == 3


def test_a_readme_without_the_command_is_an_error(
    integration_run: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """Nothing to run is no success."""
    done = integration_run("# winsockets\n")
    assert done.returncode == 1
    assert "<!-- test-command -->" in done.stderr
