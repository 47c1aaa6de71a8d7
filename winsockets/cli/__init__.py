"""The ``winsockets`` command."""

from winsockets.cli._command import main

__all__ = ["main"]
