"""``python -m winsockets`` is the ``winsockets`` command."""

from __future__ import annotations

from winsockets.cli import main

main(prog_name="winsockets")
