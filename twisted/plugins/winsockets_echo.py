"""``twistd winsockets-echo``: names the module that makes it, and imports nothing of it."""

from twisted.application.service import ServiceMaker

winsockets_echo = ServiceMaker(
    "winsockets-echo", "winsockets.services.echo", "TCP and UDP echo servers.", "winsockets-echo"
)
