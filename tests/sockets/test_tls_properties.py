"""What the properties about TLS take, and when."""

from __future__ import annotations

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from tests.sockets.streams import connected
from tests.sockets.tls import authority, client, client_identity, crafted, server_identity, serving
from winsockets.certificates import ChainValidationResult
from winsockets.errors import IllegalMethodCallError, InvalidArgumentError
from winsockets.sockets import SocketProtectionLevel, StreamSocket, StreamSocketListener
from winsockets.transports import ClientCertificatePolicy

CLIENT, SERVER, ANY = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"
IGNORABLE = [
    ChainValidationResult.UNTRUSTED,
    ChainValidationResult.EXPIRED,
    ChainValidationResult.INCOMPLETE_CHAIN,
    ChainValidationResult.WRONG_USAGE,
    ChainValidationResult.INVALID_NAME,
    ChainValidationResult.REVOCATION_INFORMATION_MISSING,
    ChainValidationResult.REVOCATION_FAILURE,
]


def test_defaults_of_a_socket_are_those_of_winrt_and_safe():
    """No certificate, nothing ignored, TLS 1.2, the system's roots, every end checked."""
    control = StreamSocket().control
    assert control.client_certificate is None
    assert control.ignorable_server_certificate_errors == []
    assert control.min_protection_level is SocketProtectionLevel.TLS12
    assert control.exclusive_trust is False
    assert control.require_close_notify is True
    assert control.trusted_server_certificates == []
    assert control.server_certificate_revocation_lists == []
    assert control.application_protocols == []


def test_defaults_of_a_listener_are_without_tls():
    """It is what WinRT has."""
    control = StreamSocketListener().control
    assert control.server_certificates == []
    assert control.client_certificate_policy is ClientCertificatePolicy.NONE
    assert control.trusted_client_certificates == []
    assert control.client_certificate_revocation_lists == []
    assert control.min_protection_level is SocketProtectionLevel.TLS12
    assert control.application_protocols == []
    assert control.require_close_notify is True


@pytest.mark.parametrize("result", IGNORABLE)
def test_what_can_be_ignored_may_be_in_the_list(result):
    """By its number too."""
    control = StreamSocket().control
    control.ignorable_server_certificate_errors.append(int(result))
    assert control.ignorable_server_certificate_errors[0] is result


@pytest.mark.parametrize("result", [one for one in ChainValidationResult if one not in IGNORABLE] + [99])
def test_what_is_fatal_may_not(result):
    """E_INVALIDARG at the append, by name; the list stays as it was."""
    errors = StreamSocket().control.ignorable_server_certificate_errors
    with pytest.raises(InvalidArgumentError, match=getattr(result, "name", "99")):
        errors.append(result)
    assert errors == []


def test_a_client_certificate_needs_its_private_key():
    """It says where it came from."""
    control = StreamSocket().control
    with pytest.raises(InvalidArgumentError, match=r"client_certificate with .* there is no private key"):
        control.client_certificate = authority().certificate
    assert control.client_certificate is None


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (crafted(usages=(SERVER,)), "is not for clients"),
        (crafted(key_usage={"key_encipherment": True}), "do not allow digital signatures"),
        (crafted(usages=(CLIENT,), key_usage={"key_agreement": True}), "do not allow digital signatures"),
    ],
    ids=["for servers", "for keys", "for agreement"],
)
def test_a_client_certificate_is_for_clients(certificate, message):
    """As far as it says what it is for."""
    with pytest.raises(InvalidArgumentError, match=rf"StreamSocketControl\.client_certificate.*{message}"):
        StreamSocket().control.client_certificate = certificate


@pytest.mark.parametrize(
    "certificate",
    [
        crafted(),
        crafted(usages=(CLIENT,)),
        crafted(usages=(SERVER, ANY)),
        crafted(key_usage={"digital_signature": True, "key_agreement": True}),
        None,
    ],
    ids=["says nothing", "for clients", "for anything", "for signatures", "none"],
)
def test_what_may_identify_a_client_is_taken(certificate):
    """None is none."""
    control = StreamSocket().control
    control.client_certificate = certificate
    assert control.client_certificate is certificate


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: dsa.generate_private_key(2048), "the kind DSA"),
        (lambda: ec.generate_private_key(ec.SECP224R1()), "the curve secp224r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "the curve secp256k1"),
    ],
    ids=["DSA", "P-224", "of Bitcoin"],
)
def test_a_key_with_which_no_tls_is_signed_is_refused(make, kind):
    """Every handshake would fail for want of a cipher, far from where the mistake is."""
    certificate = crafted(key=make())
    listener = StreamSocketListener()
    with pytest.raises(InvalidArgumentError, match=f"is of {kind}, with which no TLS is signed"):
        listener.control.server_certificates.append(certificate)
    with pytest.raises(InvalidArgumentError, match=f"is of {kind}, with which no TLS is signed"):
        StreamSocket().control.client_certificate = certificate


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
    ],
    ids=["RSA", "P-521", "Brainpool", "Ed25519", "Ed448"],
)
@pytest_twisted.ensureDeferred
async def test_a_handshake_is_signed_with_every_other_key(make):
    """By the server and by the client."""
    certificate = crafted("localhost", key=make())
    settings = {
        "server_certificates": [certificate],
        "client_certificate_policy": ClientCertificatePolicy.REQUIRE,
        "trusted_client_certificates": [authority().certificate],
    }
    async with serving(**settings) as listener, client(client_certificate=certificate) as socket:
        await socket.connect_async("localhost", listener.information.local_port, SocketProtectionLevel.TLS13)
        await socket.output_stream.write_async(b"signed")
        assert await socket.input_stream.read_exactly(6) == b"signed"


def test_a_server_certificate_is_for_servers():
    """With its private key."""
    certificates = StreamSocketListener().control.server_certificates
    with pytest.raises(InvalidArgumentError, match="is not for servers"):
        certificates.append(crafted(usages=(CLIENT,)))
    with pytest.raises(InvalidArgumentError, match="there is no private key"):
        certificates.append(authority().certificate)
    certificates.append(crafted(usages=(SERVER,)))
    assert len(certificates) == 1


@pytest.mark.parametrize(
    ("name", "wrong", "error"),
    [
        ("client_certificate", b"der", TypeError),
        ("trusted_server_certificates", ["a file"], TypeError),
        ("server_certificate_revocation_lists", [b"no list"], InvalidArgumentError),
        ("server_certificate_revocation_lists", [1], TypeError),
        ("application_protocols", "h2", TypeError),
        ("application_protocols", [b"h2"], TypeError),
        ("application_protocols", [""], InvalidArgumentError),
        ("application_protocols", ["x" * 256], InvalidArgumentError),
        ("application_protocols", ["h2\0"], InvalidArgumentError),
        ("application_protocols", ["\udc80"], InvalidArgumentError),
        ("min_protection_level", SocketProtectionLevel.PLAIN_SOCKET, InvalidArgumentError),
        ("min_protection_level", SocketProtectionLevel.SSL, InvalidArgumentError),
        ("min_protection_level", 11, InvalidArgumentError),
        ("exclusive_trust", 1, TypeError),
        ("require_close_notify", None, TypeError),
    ],
)
def test_what_a_property_cannot_be_is_refused_at_the_assignment(name, wrong, error):
    """And leaves what was there."""
    control = StreamSocket().control
    before = getattr(control, name)
    with pytest.raises(error):
        setattr(control, name, wrong)
    assert getattr(control, name) == before


def test_a_policy_is_one_of_three():
    """By its number too."""
    control = StreamSocketListener().control
    control.client_certificate_policy = 2
    assert control.client_certificate_policy is ClientCertificatePolicy.REQUIRE
    with pytest.raises(InvalidArgumentError, match="3 is not a ClientCertificatePolicy"):
        control.client_certificate_policy = 3


CHANGES = {
    "application_protocols": ["h2"],
    "client_certificate": client_identity(),
    "exclusive_trust": True,
    "ignorable_server_certificate_errors": [ChainValidationResult.EXPIRED],
    "min_protection_level": SocketProtectionLevel.TLS13,
    "require_close_notify": False,
    "server_certificate_revocation_lists": [authority().revocation_list()],
    "trusted_server_certificates": [authority().certificate],
}


@pytest.mark.parametrize("name", CHANGES)
@pytest_twisted.ensureDeferred
async def test_on_a_plain_connection_it_can_be_set_for_an_upgrade(name):
    """What has nothing to do with the handshake cannot."""
    async with connected() as (socket, _):
        setattr(socket.control, name, CHANGES[name])
        assert getattr(socket.control, name) == CHANGES[name]
        with pytest.raises(IllegalMethodCallError, match="keep_alive"):
            socket.control.keep_alive = True
        socket.close()
        with pytest.raises(IllegalMethodCallError, match=f"{name} cannot be set after the socket was closed"):
            setattr(socket.control, name, CHANGES[name])


@pytest.mark.parametrize("name", CHANGES)
@pytest_twisted.ensureDeferred
async def test_during_a_handshake_and_after_it_is_too_late(name):
    """E_ILLEGAL_METHOD_CALL, by name."""
    async with serving() as listener, StreamSocket() as socket:
        socket.control.trusted_server_certificates = [authority().certificate]
        connecting = socket.connect_async(
            "localhost", listener.information.local_port, SocketProtectionLevel.TLS13
        )
        for reason in ("while the socket is connecting", "after the socket was connected"):
            with pytest.raises(IllegalMethodCallError, match=f"{name} cannot be set {reason}"):
                setattr(socket.control, name, CHANGES[name])
            await connecting


@pytest_twisted.ensureDeferred
async def test_on_an_accepted_socket_everything_is_fixed():
    """TLS has been decided by the listener."""
    refused = []

    def handler(sender, args):
        with args.socket as socket:
            for name, value in CHANGES.items():
                with pytest.raises(IllegalMethodCallError, match=f"{name} cannot be set on an accepted"):
                    setattr(socket.control, name, value)
                refused.append(name)

    async with serving(handler) as listener, StreamSocket() as socket:
        socket.control.trusted_server_certificates = [authority().certificate]
        await socket.connect_async("localhost", listener.information.local_port, SocketProtectionLevel.TLS13)
        assert await socket.input_stream.read() == b""
    assert refused == list(CHANGES)


@pytest_twisted.ensureDeferred
async def test_a_listener_bound_without_certificates_gets_none():
    """Its clients were told that it is plain."""
    async with StreamSocketListener() as listener:
        listener.connection_received += print
        await listener.bind_endpoint_async("127.0.0.1", "")
        with pytest.raises(
            IllegalMethodCallError, match="cannot be set after the listener was bound without"
        ):
            listener.control.server_certificates.append(server_identity())
        assert listener.control.server_certificates == []
