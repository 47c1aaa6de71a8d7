"""What OpenSSL and our sockets say of servers' certificates with whatever can be wrong with them.

``python -m tests.sockets.tls_verdicts`` asks both about each, by real handshakes, and prints the table.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from tests.certificates.authority import (
    AUTHORITY,
    CLIENT,
    Entity,
    expected_usages,
    key_usage,
    rsa_key,
    signed_with_sha1,
)
from tests.sockets.tls import BEST, HOST, peer_server
from winsockets.certificates import Certificate, ChainValidationResult
from winsockets.errors import SocketErrorStatus, SocketException
from winsockets.sockets import SocketSslErrorSeverity, StreamSocket

__all__ = ["FAULTS", "Fault", "Verdict", "ask_both", "table"]

Result = ChainValidationResult
NAME = "localhost"
LONG_AGO, NOT_YET = datetime(2001, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
VALID = {"start": datetime(2000, 1, 1, tzinfo=UTC), "end": datetime(3000, 1, 1, tzinfo=UTC)}
EXPIRED, FUTURE = {**VALID, "end": LONG_AGO}, {**VALID, "start": NOT_YET}
NOBODY_KNOWS = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)
LAST_AUTHORITY = x509.BasicConstraints(ca=True, path_length=0)


class Shown(NamedTuple):
    """What a server shows, and whom the client trusts.

    Attributes:
        chain: the server, and whatever it sends along.
        trusted: the roots of the client.
        lists: the client's revocation lists.
        host: whom the client asks for.
    """

    chain: tuple[Entity, ...]
    trusted: tuple[Entity, ...]
    lists: tuple[bytes, ...] = ()
    host: str = NAME

    @property
    def pem(self) -> bytes:
        """What the server loads."""
        return b"".join(one.pem for one in self.chain) + self.chain[0].key_pem()


class Fault(NamedTuple):
    """A fault of a server's certificate, or of what is known of it.

    Attributes:
        name: what is wrong.
        make: makes it.
        numbers: what OpenSSL says, as the numbers of its verification errors.
        results: what we say; empty if we connect.
        status: that of our connect.
    """

    name: str
    make: Callable[[], Shown]
    numbers: frozenset[int]
    results: tuple[ChainValidationResult, ...]
    status: SocketErrorStatus | None


class Verdict(NamedTuple):
    """What was said of one of them.

    Attributes:
        numbers: OpenSSL's verification errors.
        words: OpenSSL's words for them.
        taken: whether OpenSSL's client went on with the connection.
        status: of our connect; None if it succeeded.
        results: ours.
        severity: ours.
    """

    numbers: frozenset[int]
    words: str
    taken: bool
    status: SocketErrorStatus | None
    results: tuple[ChainValidationResult, ...]
    severity: SocketSslErrorSeverity


@cache
def root() -> Entity:
    """The one that is trusted."""
    return Entity.root(**VALID)


@cache
def server(*names: str) -> Entity:
    """A server that nothing is wrong with."""
    return root().server(*names or (NAME,), **VALID)


def own(*extensions: Any, **options: Any) -> Shown:
    """A server of the root's with these extensions."""
    return Shown((root().server(NAME, extensions=extensions, **{**VALID, **options}),), (root(),))


def below(*extensions: Any, **options: Any) -> Shown:
    """A good server of an intermediate authority with these extensions."""
    above = root().authority("Intermediate", *extensions or [(AUTHORITY,)], **{**VALID, **options})
    return Shown((above.server(NAME, **VALID), above), (root(),))


def listed(*lists: bytes) -> Shown:
    """A good server, about whom there are revocation lists."""
    return Shown((server(),), (root(),), lists)


def untrusted() -> Shown:
    """A server of another root, which is sent along."""
    other = Entity.root("Other", **VALID)
    return Shown((other.server(NAME, **VALID), other), (root(),))


def self_signed() -> Shown:
    """A server that vouches for itself."""
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    return Shown((Entity("Server", None, [names], **VALID),), (root(),))


def incomplete() -> Shown:
    """A server whose authority is not sent along."""
    whole = below()
    return whole._replace(chain=whole.chain[:1])


def too_deep() -> Shown:
    """An authority below one that may have none below it."""
    upper = root().authority("Upper", (LAST_AUTHORITY,), **VALID)
    lower = upper.authority("Lower", **VALID)
    return Shown((lower.server(NAME, **VALID), lower, upper), (root(),))


def no_authority() -> Shown:
    """A server that was issued by another server."""
    return below((NO_AUTHORITY,))


def forged() -> Shown:
    """A server with the signature of somebody else."""
    return own(signer=Entity.root("Somebody", **VALID))


def constrained(**constraints: Any) -> Shown:
    """A server of an authority that is only for some names."""
    kinds: dict[str, Any] = {"permitted_subtrees": None, "excluded_subtrees": None}
    for kind, name in constraints.items():
        kinds[f"{kind}_subtrees"] = [x509.DNSName(name)]
    return below((AUTHORITY,), (x509.NameConstraints(**kinds),))


def weak_signature() -> Shown:
    """A server with a signature that can be forged."""
    signer = Entity.root("RSA", key=rsa_key(2048), **VALID)
    weak = signer.server(NAME, **VALID)
    weak.x509 = signed_with_sha1(weak.x509, signer.key)
    return Shown((weak,), (signer,))


def revoked_authority() -> Shown:
    """A server below an authority that was revoked."""
    whole = below()
    above = whole.chain[1]
    lists = (above.revocation_list(**VALID), root().revocation_list(above, **VALID))
    return whole._replace(lists=lists)


def nothing_right() -> Shown:
    """A server with several faults."""
    other = Entity.root("Other", **VALID)
    late = other.server("other.example", extensions=[expected_usages(CLIENT)], **EXPIRED)
    return Shown((late, other), (root(),))


def common_name_alone() -> Shown:
    """A server with no alternative name, as they were before 2000."""
    return Shown((Entity(NAME, root(), **VALID),), (root(),))


_S = SocketErrorStatus


def _fault(
    name: str,
    make: Callable[[], Shown],
    numbers: Iterable[int],
    *results: ChainValidationResult,
    status: SocketErrorStatus | None = None,
) -> Fault:
    return Fault(name, make, frozenset(numbers), results, status)


FAULTS = (
    _fault("none", lambda: Shown((server(),), (root(),)), []),
    _fault("none, below an authority", below, []),
    _fault("has expired", lambda: own(**EXPIRED), [10], Result.EXPIRED, status=_S.CERTIFICATE_EXPIRED),
    _fault("is not valid yet", lambda: own(**FUTURE), [9], Result.EXPIRED, status=_S.CERTIFICATE_EXPIRED),
    _fault(
        "its authority has expired",
        lambda: below(**EXPIRED),
        [10],
        Result.EXPIRED,
        status=_S.CERTIFICATE_EXPIRED,
    ),
    _fault(
        "another root, sent along",
        untrusted,
        [19],
        Result.UNTRUSTED,
        status=_S.CERTIFICATE_UNTRUSTED_ROOT,
    ),
    _fault("self-signed", self_signed, [18], Result.UNTRUSTED, status=_S.CERTIFICATE_UNTRUSTED_ROOT),
    _fault(
        "its authority is not sent along",
        incomplete,
        [20],
        Result.INCOMPLETE_CHAIN,
        status=_S.CERTIFICATE_UNTRUSTED_ROOT,
    ),
    _fault(
        "is for another name",
        lambda: Shown((server("other.example"),), (root(),)),
        [62],
        Result.INVALID_NAME,
        status=_S.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    ),
    _fault(
        "is for another address",
        lambda: Shown((server("192.0.2.1", NAME),), (root(),), host=HOST),
        [64],
        Result.INVALID_NAME,
        status=_S.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    ),
    _fault(
        "has a common name alone",
        common_name_alone,
        [],
        Result.INVALID_NAME,
        status=_S.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    ),
    _fault(
        "is outside of the names of its authority",
        lambda: constrained(permitted="example"),
        [47],
        Result.INVALID_NAME,
        status=_S.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    ),
    _fault(
        "is among the names forbidden to its authority",
        lambda: constrained(excluded=NAME),
        [48],
        Result.INVALID_NAME,
        status=_S.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    ),
    _fault(
        "is for clients",
        lambda: own(expected_usages(CLIENT)),
        [26],
        Result.WRONG_USAGE,
        status=_S.CERTIFICATE_WRONG_USAGE,
    ),
    _fault(
        "its authority is for clients",
        lambda: below((AUTHORITY,), expected_usages(CLIENT)),
        [26],
        Result.WRONG_USAGE,
        status=_S.CERTIFICATE_WRONG_USAGE,
    ),
    _fault(
        "its authority's key may not sign certificates",
        lambda: below((AUTHORITY,), (key_usage(digital_signature=True),)),
        [26, 32, 79],
        Result.BASIC_CONSTRAINTS_ERROR,
        Result.WRONG_USAGE,
        status=_S.CERTIFICATE_IS_INVALID,
    ),
    _fault(
        "was revoked",
        lambda: listed(root().revocation_list(server(), **VALID)),
        [23],
        Result.REVOKED,
        status=_S.CERTIFICATE_REVOKED,
    ),
    _fault(
        "its authority was revoked", revoked_authority, [23], Result.REVOKED, status=_S.CERTIFICATE_REVOKED
    ),
    _fault(
        "would be on a list that is not there",
        lambda: listed(Entity.root("Other", **VALID).revocation_list(**VALID)),
        [3],
        Result.REVOCATION_INFORMATION_MISSING,
        status=_S.CERTIFICATE_NO_REVOCATION_CHECK,
    ),
    _fault(
        "would be on a list that is out of date",
        lambda: listed(root().revocation_list(**EXPIRED)),
        [12],
        Result.REVOCATION_FAILURE,
        status=_S.CERTIFICATE_REVOCATION_SERVER_OFFLINE,
    ),
    _fault(
        "would be on a list that is not in force yet",
        lambda: listed(root().revocation_list(**FUTURE)),
        [11],
        Result.REVOCATION_FAILURE,
        status=_S.CERTIFICATE_REVOCATION_SERVER_OFFLINE,
    ),
    _fault(
        "would be on a list that is forged",
        lambda: listed(root().revocation_list(signer=Entity.root("Somebody", **VALID), **VALID)),
        [8],
        Result.REVOCATION_FAILURE,
        status=_S.CERTIFICATE_REVOCATION_SERVER_OFFLINE,
    ),
    _fault(
        "its signature is forged", forged, [7], Result.INVALID_SIGNATURE, status=_S.CERTIFICATE_IS_INVALID
    ),
    _fault(
        "its signature is weak", weak_signature, [68], Result.OTHER_ERRORS, status=_S.CERTIFICATE_IS_INVALID
    ),
    _fault(
        "its key is weak",
        lambda: own(key=rsa_key(1024)),
        [66],
        Result.OTHER_ERRORS,
        status=_S.CERTIFICATE_IS_INVALID,
    ),
    _fault(
        "its authority is none",
        no_authority,
        [26, 79],
        Result.BASIC_CONSTRAINTS_ERROR,
        Result.WRONG_USAGE,
        status=_S.CERTIFICATE_IS_INVALID,
    ),
    _fault(
        "its authority is too deep",
        too_deep,
        [25],
        Result.BASIC_CONSTRAINTS_ERROR,
        status=_S.CERTIFICATE_IS_INVALID,
    ),
    _fault(
        "has a critical extension that nobody knows",
        lambda: own((NOBODY_KNOWS,)),
        [34],
        Result.UNKNOWN_CRITICAL_EXTENSION,
        status=_S.CERTIFICATE_IS_INVALID,
    ),
    _fault(
        "another root, another name, for clients, expired",
        nothing_right,
        [10, 19, 26, 62],
        Result.UNTRUSTED,
        Result.INVALID_NAME,
        Result.EXPIRED,
        Result.WRONG_USAGE,
        status=_S.CERTIFICATE_UNTRUSTED_ROOT,
    ),
)


def _ask_openssl(program: str, folder: Path, port: int, shown: Shown) -> tuple[frozenset[int], str, bool]:
    """Let its client connect twice: to hear all of it, and to see whether it goes on."""
    trusted = b"".join(one.pem for one in shown.trusted)
    for one in shown.lists:
        trusted += x509.load_der_x509_crl(one).public_bytes(Encoding.PEM)
    (folder / "trusted").write_bytes(trusted)
    command = [program, "s_client", "-connect", f"{HOST}:{port}", "-CAfile", str(folder / "trusted")]
    command += ["-no-CApath", "-no-CAstore", "-partial_chain", "-cipher", "DEFAULT:@SECLEVEL=2"]
    command += ["-verify_ip" if shown.host == HOST else "-verify_hostname", shown.host]
    command += ["-servername", NAME]
    if shown.lists:
        command += ["-crl_check", "-crl_check_all"]
    found: dict[int, str] = {}
    done: Any = None
    for options in ([], ["-verify_return_error"]):
        done = subprocess.run(command + options, input=b"", capture_output=True, timeout=20, check=False)
        for number, words in re.findall(rb"verify error:num=(\d+):([^\r\n]*)", done.stderr):
            found[int(number)] = words.decode()
    words = ", ".join(f"{number} {words}" for number, words in sorted(found.items()))
    return frozenset(found), words or "ok", done.returncode == 0


async def _ask_socket(
    port: int, shown: Shown
) -> tuple[SocketErrorStatus | None, tuple[ChainValidationResult, ...], SocketSslErrorSeverity]:
    """Connect one of ours."""
    status = None
    async with StreamSocket() as socket:
        control = socket.control
        control.trusted_server_certificates = [Certificate(one.der) for one in shown.trusted]
        control.exclusive_trust = True
        control.server_certificate_revocation_lists = shown.lists
        try:
            await socket.connect_async(shown.host, port, BEST)
        except SocketException as problem:
            status = problem.status
        information = socket.information
        return (
            status,
            tuple(information.server_certificate_errors),
            information.server_certificate_error_severity,
        )


async def ask_both(program: str, fault: Fault) -> Verdict:
    """Ask OpenSSL's program and one of our sockets about a server, which speaks Python's TLS."""
    shown = fault.make()
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "server"
        path.write_bytes(shown.pem)

        def prepare(context: Any) -> None:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.load_cert_chain(path)

        # Its own key may be weak, which it would refuse itself.
        async with peer_server(None, prepare=prepare, times=3) as (port, _):
            numbers, words, taken = await deferToThread(_ask_openssl, program, folder, port, shown)
            return Verdict(numbers, words, taken, *await _ask_socket(port, shown))


def table(rows: Iterable[tuple[Fault, Verdict]]) -> list[list[str]]:
    """What the table has in it, with its head."""
    lines = [["The certificate", "OpenSSL", "Status", "server_certificate_errors", "Severity"]]
    for fault, verdict in rows:
        status = "connected" if verdict.status is None else f"{verdict.status.name} ({int(verdict.status)})"
        found = ", ".join(result.name for result in verdict.results)
        lines.append([fault.name, verdict.words, status, found, verdict.severity.name])
    return lines


def main(report: Callable[[str], object] = print) -> None:
    """Ask about all of them, and print the table."""
    program = shutil.which("openssl")
    if program is None:
        sys.exit("openssl is not installed")

    async def ask(reactor: Any) -> None:
        rows = [(fault, await ask_both(program, fault)) for fault in FAULTS]
        lines = table(rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            report("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    asking: Callable[[Any], Awaitable[None]] = ask
    react(lambda reactor: ensureDeferred(asking(reactor)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
