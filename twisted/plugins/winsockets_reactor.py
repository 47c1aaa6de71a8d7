"""``twistd --reactor=winsockets``: names the module that installs it, and imports nothing of it."""

from twisted.application.reactors import Reactor

winsockets_reactor = Reactor(
    "winsockets", "winsockets.reactor", "Linux: epoll with a shorter way to each descriptor."
)
