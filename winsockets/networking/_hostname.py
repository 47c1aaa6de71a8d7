"""HostName: a validated name or address of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from zope.interface import implementer

from winsockets.errors import InvalidArgumentError
from winsockets.foundation import IStringable
from winsockets.networking._host_grammar import parse_host
from winsockets.networking._kinds import HostNameType

if TYPE_CHECKING:
    from winsockets.networking._adapter import IPInformation

__all__ = ["HostName", "as_host_name", "system_host_name"]

_new: Any = object.__new__


@final
@implementer(IStringable)
class HostName:
    """A host: a domain name, an IPv4 or IPv6 address, or a Bluetooth address.

    Immutable. Nothing is looked up: a HostName says that a name could exist, not that it does.

    Two HostNames are equal, and hash alike, when their canonical names are equal. (In WinRT ``==``
    compares object identity and only `is_equal` compares names; here both compare names.)

    Args:
        host_name: one of

            - a DNS or hosts-file name of at most 253 characters in ASCII, with labels of at most 63.
              Letters, digits, hyphens (not at the ends of a label) and underscores are allowed.
              International names are mapped by UTS 46 (non-transitional) and must be valid by
              IDNA 2008; labels that already are punycode ("xn--") must be valid too. A trailing dot
              makes the name absolute: no search list is applied when it is looked up;
            - an IPv4 address of four decimal numbers without leading zeros. The old short,
              hexadecimal and octal spellings are refused, as is every name whose last label is a
              number;
            - an IPv6 address, with or without brackets, with or without a zone ("%eth0", "%2"). An
              IPv4-mapped address stays an IPv6 address;
            - a Bluetooth address in parentheses, "(00:11:22:AA:BB:CC)".

            Blanks, control characters and "*" are refused everywhere.

    Raises:
        TypeError: the name is not a ``str`` (None included).
        InvalidArgumentError: the name is none of the above; the message says why.

    Source: WinRT HostName; RFC 1035, RFC 5891, RFC 5952, UTS 46.
    """

    __slots__ = ("_canonical_name", "_display_name", "_ip_information", "_raw_name", "_type")

    def __init__(self, host_name: str) -> None:
        if not isinstance(host_name, str):
            raise TypeError(f"a host name is a str, not {type(host_name).__name__}")
        self._raw_name = host_name
        self._type, self._canonical_name, self._display_name = parse_host(host_name)
        self._ip_information: IPInformation | None = None

    @property
    def raw_name(self) -> str:
        """The string the HostName was made from, unchanged."""
        return self._raw_name

    @property
    def display_name(self) -> str:
        """The form to show to people: lower case, international labels in Unicode, no trailing dot.

        Addresses are shown in their canonical form.
        """
        return self._display_name

    @property
    def canonical_name(self) -> str:
        """The form to compare and to look up: lower-case ASCII.

        International labels are punycode, the trailing dot is dropped, IPv4 is a dotted quad, IPv6
        the shortest lower-case form (RFC 5952) with its zone kept, Bluetooth upper case.
        """
        return self._canonical_name

    @property
    def type(self) -> HostNameType:
        """Which of the four forms this is."""
        return self._type

    @property
    def ip_information(self) -> IPInformation | None:
        """The adapter and prefix of a local address; None on every HostName a program makes.

        `NetworkInformation.get_host_names` fills it in.
        """
        return self._ip_information

    def is_equal(self, host_name: HostName | str | None) -> bool:
        """Tell whether another host name has the same canonical name.

        Args:
            host_name: the other one; None is equal to no HostName.

        Returns:
            True when the canonical names are equal.

        Raises:
            InvalidArgumentError: it is a ``str`` that is no host name.
            TypeError: it is of any other type.

        Source: WinRT HostName.IsEqual.
        """
        return host_name is not None and self._canonical_name == as_host_name(host_name)._canonical_name

    @staticmethod
    def compare(value1: str, value2: str) -> int:
        """Order two host names by their canonical names.

        Args:
            value1: the first name.
            value2: the second name.

        Returns:
            0 when both have the same canonical name, otherwise -1 or 1 by the lexical order of the
            canonical names.

        Raises:
            TypeError: one of them is not a ``str``.
            InvalidArgumentError: one of them is not a host name, so it has no canonical name.

        Source: WinRT HostName.Compare.
        """
        first, second = HostName(value1)._canonical_name, HostName(value2)._canonical_name
        return (first > second) - (first < second)

    def to_string(self) -> str:
        """Return the display name (WinRT: IStringable.ToString)."""
        return self._display_name

    def __str__(self) -> str:
        """Return the display name."""
        return self._display_name

    def __repr__(self) -> str:
        """Show the expression that makes an equal HostName."""
        return f"HostName({self._raw_name!r})"

    def __eq__(self, other: object) -> bool:
        """Compare canonical names."""
        if not isinstance(other, HostName):
            return NotImplemented
        return self._canonical_name == other._canonical_name

    def __hash__(self) -> int:
        """Hash alike what is equal."""
        return hash(self._canonical_name)


def as_host_name(value: HostName | str, parameter: str = "host_name") -> HostName:
    """Accept a ``str`` wherever a HostName is taken.

    Args:
        value: a HostName, returned as it is, or the text to make one from.
        parameter: what the caller calls the value, for the message.

    Returns:
        The HostName.

    Raises:
        InvalidArgumentError: the value is None (a null object in WinRT) or not a valid name.
        TypeError: the value is of any other type.
    """
    if isinstance(value, HostName):
        return value
    if value is None:
        raise InvalidArgumentError(f"{parameter} is None; give a HostName or a str")
    return HostName(value)


def system_host_name(address: str, ip_information: IPInformation | None = None) -> HostName:
    """Make the HostName of an address that the system wrote, as servers do for every datagram.

    Args:
        address: numeric and canonical, as ``inet_ntop`` has it; the zone of an IPv6 address is a number.
        ip_information: where on this machine the address is.

    Returns:
        The HostName; nothing but its family had to be found out.
    """
    if "." in address and ":" in address:
        # Systems differ in which IPv6 addresses they write with a dotted quad.
        name = HostName(address)
    else:
        name = _new(HostName)
        name._raw_name = name._canonical_name = name._display_name = address
        name._type = HostNameType.IPV6 if ":" in address else HostNameType.IPV4
    name._ip_information = ip_information
    return name
