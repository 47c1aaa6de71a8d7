"""What the tests of TLS on sockets stand on: certificates, a listener, a client, and Python's own TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.sockets.streams import configure
from tests.transports.loopback import PATIENCE, listening
from winsockets.certificates import Certificate
from winsockets.errors import SocketException
from winsockets.sockets import SocketProtectionLevel, StreamSocket, StreamSocketListener
from winsockets.testing import CertificateAuthority, certificate_pem

__all__ = [
    "BEST",
    "HOST",
    "authority",
    "client",
    "client_identity",
    "crafted",
    "dropping",
    "echo",
    "failure_of",
    "peer_server",
    "server_identity",
    "serving",
    "trusting",
]

BEST = SocketProtectionLevel.UNSPECIFIED
HOST = "127.0.0.1"
NAMES = ("localhost", HOST, "::1")
_USAGES = (
    "content_commitment",
    "crl_sign",
    "data_encipherment",
    "decipher_only",
    "digital_signature",
    "encipher_only",
    "key_agreement",
    "key_cert_sign",
    "key_encipherment",
)


@cache
def _authority(name: str) -> CertificateAuthority:
    return CertificateAuthority()


def authority(name: str = "ours") -> CertificateAuthority:
    """An authority that nobody else trusts; one for each name."""
    return _authority(name)


@cache
def server_identity(*names: str, by: str = "ours") -> Certificate:
    """A certificate for a server, on this machine if no names are given."""
    return authority(by).issue_server(*names or NAMES)


@cache
def client_identity(by: str = "ours") -> Certificate:
    """A certificate for a client."""
    return authority(by).issue_client("somebody@example.test")


def crafted(
    *names: str,
    by: str = "ours",
    usages: tuple[str, ...] = (),
    key_usage: dict[str, bool] | None = None,
    weak: bool = False,
    forged: bool = False,
    issuer: Certificate | None = None,
    key: Any = None,
) -> Certificate:
    """A certificate as no decent authority issues it.

    Args:
        names: DNS names.
        by: in whose name.
        usages: enhanced key usages, as dotted numbers.
        key_usage: key usages that are set.
        weak: whether its key is short.
        forged: whether somebody else's key signed it.
        issuer: a certificate with a private key that signs instead of the authority.
        key: its private key; of an elliptic curve if there is none.
    """
    private: Any = key or ec.generate_private_key(ec.SECP256R1())
    if weak:
        private = rsa.generate_private_key(65537, 1024)
    signer: Any
    if issuer is not None:
        above, signer = issuer._x509, issuer._private_key
    else:
        above = authority(by).certificate._x509
        signer = load_pem_private_key(authority(by)._authority.private_key_pem.bytes(), None)
    if forged:
        signer = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "crafted")]))
        .issuer_name(above.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(3000, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names or ("localhost",)]), False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False)
    )
    if usages:
        wanted = [x509.ObjectIdentifier(one) for one in usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(wanted), False)
    if key_usage is not None:
        builder = builder.add_extension(x509.KeyUsage(**{**dict.fromkeys(_USAGES, False), **key_usage}), True)
    signed: Any = builder.sign(signer, SHA256())
    pem = signed.public_bytes(Encoding.PEM)
    pem += private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if issuer is not None:
        pem += issuer._x509.public_bytes(Encoding.PEM)
    return Certificate.load_pem(pem)


async def echo(listener: StreamSocketListener, args: Any) -> None:
    """Send everything back, and the end after it."""
    with suppress(SocketException):
        async with args.socket as socket:
            async for chunk in socket.input_stream:
                await socket.output_stream.write_async(chunk)


@asynccontextmanager
async def serving(
    handler: Any = echo, level: SocketProtectionLevel | None = None, host: str = HOST, **settings: Any
) -> AsyncIterator[StreamSocketListener]:
    """A TLS listener on any port, an echo unless told otherwise; settings are those of its control."""
    async with StreamSocketListener() as listener:
        configure(listener.control, {"server_certificates": [server_identity()], **settings})
        listener.connection_received += handler
        await listener.bind_endpoint_async(host, "", level)
        yield listener


def client(**settings: Any) -> StreamSocket:
    """A socket that trusts our authority alone; settings are those of its control."""
    socket = StreamSocket()
    configure(socket.control, {**trusting(), **settings})
    return socket


def trusting(name: str = "ours") -> dict[str, Any]:
    """The settings with which a client trusts one authority alone."""
    return {"trusted_server_certificates": [authority(name).certificate], "exclusive_trust": True}


def dropping(listener: StreamSocketListener, args: Any) -> None:
    """A handler that closes what it gets."""
    args.socket.close()


async def failure_of(operation: Any) -> SocketException:
    """What an operation fails with."""
    try:
        await operation
    except SocketException as problem:
        return problem
    raise AssertionError("it did not fail")


@asynccontextmanager
async def peer_server(
    certificate: Certificate | None,
    talk: Callable[[ssl.SSLSocket], Any] = lambda peer: peer.recv(1),
    prepare: Callable[[ssl.SSLContext], object] = lambda context: None,
    times: int = 1,
) -> AsyncIterator[tuple[int, Deferred[list[Any]]]]:
    """Python's own TLS as the server, in a thread: its port, and what it gets out of each connection.

    Args:
        certificate: what it shows; None if ``prepare`` loads one.
        talk: what it does with a connection.
        prepare: changes its context.
        times: how many connections it serves.
    """
    with TemporaryDirectory() as folder, listening(HOST) as (server, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate is not None:
            path = Path(folder, "server.pem")
            path.write_bytes(certificate_pem(certificate))
            context.load_cert_chain(path)
        prepare(context)

        def serve() -> list[Any]:
            outcomes: list[Any] = []
            for _ in range(times):
                plain, _ = server.accept()
                plain.settimeout(PATIENCE)
                try:
                    with plain, context.wrap_socket(plain, server_side=True) as peer:
                        outcomes.append(talk(peer))
                except OSError as problem:
                    outcomes.append(problem)
            return outcomes

        going = deferToThread(serve)
        try:
            yield port, going
        finally:
            await going
