"""The opt-in reactor: Twisted's epoll reactor with a shorter way from readiness to a descriptor."""

from winsockets.reactor._install import install

__all__ = ["install"]
