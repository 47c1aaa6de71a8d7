"""How far the system has come with sending, asked of a real connection."""

from __future__ import annotations

import socket
import sys

import pytest

from winsockets.testing._backlog import unacknowledged


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="this system does not tell")
def test_bytes_that_the_receiver_has_no_room_for_are_counted():
    """Until it reads them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
        with sender, receiver:
            assert unacknowledged(sender) == 0
            sender.setblocking(False)
            sent = 0
            try:
                while True:
                    sent += sender.send(bytes(65_536))
            except BlockingIOError:
                pass
            assert 0 < unacknowledged(sender) < sent
            while sent:
                sent -= len(receiver.recv(1 << 20))
            receiver.settimeout(0)
            sender.settimeout(10)
            sender.sendall(b"x")
            assert unacknowledged(sender) <= 1
