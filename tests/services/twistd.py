"""Real ``twistd`` processes, in the foreground and in the background."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import winsockets

PATIENCE = 60.0
"""Seconds after which a process that hangs fails a test; nothing waits for so long otherwise."""

_GLANCE = 0.01
"""Seconds between two looks at the log of a daemon, which no pipe leads to."""

_URL = re.compile(r"(tcp|tls|udp)://(?:\[([^]]+)\]|([0-9.]+)):([0-9]+)")
_WRONG = re.compile(r"Traceback|Unhandled|Warning|#error|#critical")


def environment() -> dict[str, str]:
    """What a process finds of the checkout that is tested, if it is one."""
    environment = dict(os.environ)
    root = Path(winsockets.__file__).parents[1]
    if (root / "setup.cfg").exists():
        # The checkout is tested, not an installed wheel: its plugin has to be found.
        environment["PYTHONPATH"] = str(root)
    return environment


class Echo:
    """``twistd winsockets-echo`` with a folder of its own.

    Args:
        folder: the working directory, for the log and the pid file.
        reactor: the reactor to run on; twistd's own choice when left out.

    Attributes:
        ports: the chosen port of each scheme and address, once it runs.
        log: everything it logged, once it has ended.
    """

    def __init__(self, folder: Path, reactor: str | None = None) -> None:
        script = shutil.which("twistd", path=sysconfig.get_path("scripts"))
        assert script is not None, f"there is no twistd beside {sys.executable}"
        self.folder = folder
        self.log = ""
        self.ports: dict[tuple[str, str], int] = {}
        self.process: subprocess.Popen[str] | None = None
        self._command = [sys.executable, script, *(("--reactor", reactor) if reactor else ())]

    @property
    def files(self) -> set[str]:
        """What it left in its folder."""
        return {path.name for path in self.folder.iterdir()}

    def run(self, *arguments: str, background: bool = False) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which in the background comes when the daemon has started."""
        command = [*self._command, *(() if background else ("-n",)), "winsockets-echo", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    # In the foreground

    def start(self, *arguments: str) -> None:
        """Run it in the foreground and wait until it listens."""
        self.process = subprocess.Popen(
            [*self._command, "-n", "winsockets-echo", *arguments],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.wait_for("Echoing on ")
        self._read_ports()

    def wait_for(self, words: str) -> None:
        """Wait for a line of the log of a server in the foreground."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line
            if words in line:
                return
        self.process.wait()
        assert self.process.stderr is not None
        raise AssertionError(f"twistd ended: {self.log}{self.process.stderr.read()}")

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the server in the foreground."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end of the server in the foreground and return its status."""
        assert self.process is not None
        output, errors = self.process.communicate(timeout=PATIENCE)
        self.log += output
        assert errors == ""
        return self.process.returncode

    # In the background

    def start_daemon(self, *arguments: str) -> None:
        """Run it in the background and wait until it says where it listens."""
        done = self.run(*arguments, background=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        deadline = time.monotonic() + PATIENCE
        while "Echoing on " not in self.log:
            assert time.monotonic() < deadline, f"the daemon does not start: {self.log}"
            select.select([], [], [], _GLANCE)
            self.log = (self.folder / "twistd.log").read_text()
        self._read_ports()

    def stop_daemon(self) -> None:
        """Send SIGTERM to the daemon and wait for its end."""
        pid = int((self.folder / "twistd.pid").read_text())
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            ended, _, _ = select.select([handle], [], [], PATIENCE)
            assert ended, "the daemon does not end"
        finally:
            os.close(handle)
        self.log = (self.folder / "twistd.log").read_text()

    def _read_ports(self) -> None:
        for scheme, six, four, port in _URL.findall(self.log):
            self.ports[scheme, six or four] = int(port)

    def complaints(self) -> list[str]:
        """The lines of the log that speak of something wrong."""
        return [line for line in self.log.splitlines() if _WRONG.search(line)]

    def clean_up(self) -> None:
        """Kill what still runs."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.communicate()
            return
        pid_file = self.folder / "twistd.pid"
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
