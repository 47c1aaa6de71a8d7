"""EndpointPair: where a connection or a flow of datagrams begins and ends."""

from __future__ import annotations

from typing import final

from winsockets.errors import InvalidArgumentError
from winsockets.networking._hostname import HostName, as_host_name
from winsockets.networking._services import as_service_name

__all__ = ["EndpointPair", "as_endpoint_pair"]


@final
class EndpointPair:
    """A local and a remote endpoint, each a host name and a service name.

    Mutable; the constructor and the setters keep the same rules, so a pair can always be connected as
    far as its form goes. Pairs have no equality beyond identity, as in WinRT.

    Args:
        local_host_name: the local address to use; None leaves the choice to the system.
        local_service_name: the local port to use; "" leaves the choice to the system.
        remote_host_name: the peer; a ``str`` is made a HostName (here and for the local one).
        remote_service_name: the peer's port or service, not empty; an ``int`` is made its decimal
            string (here and for the local one).

    Raises:
        InvalidArgumentError: the remote host name is None, the remote service name is empty, a number
            is not a port, or a ``str`` is not a host name.
        TypeError: an argument is of another type, or a service name is None.

    Source: WinRT EndpointPair. Its setter leaves open whether an empty remote service name is
    allowed; here it is refused as in the constructor.
    """

    __slots__ = ("_local_host_name", "_local_service_name", "_remote_host_name", "_remote_service_name")

    def __init__(
        self,
        local_host_name: HostName | str | None,
        local_service_name: str | int,
        remote_host_name: HostName | str,
        remote_service_name: str | int,
    ) -> None:
        self.local_host_name = local_host_name
        self.local_service_name = local_service_name
        self.remote_host_name = remote_host_name
        self.remote_service_name = remote_service_name

    @property
    def local_host_name(self) -> HostName | None:
        """The local address, or None when the system picks it."""
        return self._local_host_name

    @local_host_name.setter
    def local_host_name(self, value: HostName | str | None) -> None:
        self._local_host_name = None if value is None else as_host_name(value, "local_host_name")

    @property
    def local_service_name(self) -> str:
        """The local port or service, or "" when the system picks a port."""
        return self._local_service_name

    @local_service_name.setter
    def local_service_name(self, value: str | int) -> None:
        self._local_service_name = as_service_name(value, "local_service_name")

    @property
    def remote_host_name(self) -> HostName:
        """The peer."""
        return self._remote_host_name

    @remote_host_name.setter
    def remote_host_name(self, value: HostName | str) -> None:
        self._remote_host_name = as_host_name(value, "remote_host_name")

    @property
    def remote_service_name(self) -> str:
        """The peer's port or service, never empty."""
        return self._remote_service_name

    @remote_service_name.setter
    def remote_service_name(self, value: str | int) -> None:
        service_name = as_service_name(value, "remote_service_name")
        if not service_name:
            raise InvalidArgumentError("remote_service_name is empty; give a port or a service name")
        self._remote_service_name = service_name

    def __repr__(self) -> str:
        """Show the expression that makes such a pair."""
        return (
            f"EndpointPair({self._local_host_name!r}, {self._local_service_name!r}, "
            f"{self._remote_host_name!r}, {self._remote_service_name!r})"
        )


def as_endpoint_pair(value: EndpointPair) -> EndpointPair:
    """Check an argument that is an endpoint pair.

    Raises:
        InvalidArgumentError: the value is None (a null object in WinRT).
        TypeError: the value is of any other type.
    """
    if value is None:
        raise InvalidArgumentError("endpoint_pair is None; give an EndpointPair")
    if not isinstance(value, EndpointPair):
        raise TypeError(f"endpoint_pair is an EndpointPair, not {type(value).__name__}")
    return value
