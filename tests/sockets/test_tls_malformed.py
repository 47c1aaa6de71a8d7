"""Certificates that OpenSSL reads and others do not: whoever shows one is refused, with a status for it."""

from __future__ import annotations

import socket
import ssl
from base64 import encodebytes
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.threads import deferToThread

from tests.sockets.tls import (
    BEST,
    HOST,
    authority,
    client,
    dropping,
    failure_of,
    peer_server,
    serving,
)
from tests.transports.loopback import PATIENCE, until
from winsockets.certificates import ChainValidationResult
from winsockets.errors import SocketErrorStatus
from winsockets.sockets import SocketSslErrorSeverity
from winsockets.transports import ClientCertificatePolicy

NULL = b"\x05\x00"
DNS_NAME = b"\x82\x09localhost"
ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def der(tag: int, *parts: bytes) -> bytes:
    """An element of DER."""
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + length + content


class Fault(NamedTuple):
    """What is done to a certificate before it is signed.

    Attributes:
        extensions: that it has, by their dotted numbers.
        old: bytes of it.
        new: what stands there instead.
    """

    extensions: tuple[tuple[str, bytes], ...]
    old: bytes = b""
    new: bytes = b""


NAMES = ("2.5.29.17", der(0x30, DNS_NAME))
FAULTS = {
    "an address of X.400": Fault((("2.5.29.17", der(0x30, DNS_NAME, b"\xa3\x02\x30\x00")),)),
    "a name of no letters": Fault((("2.5.29.17", der(0x30, DNS_NAME, b"\x82\x02\xff\xfe")),)),
    "an extension twice": Fault(
        (NAMES, ("1.2.3.4", NULL), ("1.2.3.5", NULL)), b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04"
    ),
    "serial number 0": Fault((NAMES,), b"\x02\x01\x01", b"\x02\x01\x00"),
    "a negative serial number": Fault((NAMES,), b"\x02\x01\x01", b"\x02\x01\xff"),
    "version 9": Fault((NAMES,), b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"),
    "extensions in version 1": Fault((NAMES,), b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x00"),
}


def malformed(fault: Fault) -> bytes:
    """A certificate of our authority's with a fault, and its private key, in PEM."""
    above: Any = authority().certificate._x509
    signer: Any = load_pem_private_key(authority()._authority.private_key_pem.bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "malformed")]))
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(3000, 1, 1, tzinfo=UTC))
    )
    for number, value in fault.extensions:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(number), value), False
        )
    whole = builder.sign(signer, SHA256()).tbs_certificate_bytes
    assert fault.old in whole
    whole = whole.replace(fault.old, fault.new, 1)
    signature = signer.sign(whole, ec.ECDSA(SHA256()))
    blob = der(0x30, whole, ECDSA_WITH_SHA256, der(0x03, b"\0", signature))
    pem = b"-----BEGIN CERTIFICATE-----\n" + encodebytes(blob) + b"-----END CERTIFICATE-----\n"
    return pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("case", FAULTS)
@pytest_twisted.ensureDeferred
async def test_a_server_with_a_malformed_certificate_is_refused_as_invalid(case, tmp_path):
    """CERTIFICATE_IS_INVALID, and FATAL; nothing raises, and there is no certificate to look at."""
    path = tmp_path / "server.pem"
    path.write_bytes(malformed(FAULTS[case]))
    trying = client()
    async with peer_server(None, prepare=lambda it: it.load_cert_chain(path)) as (port, served):
        problem = await failure_of(trying.connect_async("localhost", port, BEST))
        (outcome,) = await served
    assert isinstance(outcome, OSError) or outcome == b""
    assert problem.status is SocketErrorStatus.CERTIFICATE_IS_INVALID
    assert "malformed" in str(problem)
    information = trying.information
    assert information.server_certificate_errors == (ChainValidationResult.OTHER_ERRORS,)
    assert information.server_certificate_error_severity is SocketSslErrorSeverity.FATAL
    assert information.server_certificate is None


@pytest.mark.parametrize("policy", [ClientCertificatePolicy.REQUEST, ClientCertificatePolicy.REQUIRE])
@pytest.mark.parametrize("case", FAULTS)
@pytest_twisted.ensureDeferred
async def test_a_client_with_a_malformed_certificate_is_not_taken_for_one_without(case, policy, tmp_path):
    """Nobody is announced of whom a program could not see who it is."""
    path = tmp_path / "client.pem"
    path.write_bytes(malformed(FAULTS[case]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().certificate.get_certificate_blob())
    context.load_cert_chain(path)
    announced = []

    def handler(sender, args):
        announced.append(args.socket)
        dropping(sender, args)

    settings = {
        "client_certificate_policy": policy,
        "trusted_client_certificates": [authority().certificate],
    }
    async with serving(handler, **settings) as listener:
        port = int(listener.information.local_port)

        def talk():
            with (
                socket.create_connection((HOST, port), PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as peer,
            ):
                return peer.recv(1)

        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            await deferToThread(talk)
        await until(lambda: listener.information.failed_handshakes == 1)
    assert announced == []
