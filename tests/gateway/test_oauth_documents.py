"""Documents that clients publish about themselves."""

from __future__ import annotations

import ipaddress
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clawstate.gateway.oauth.clients import Clients
from clawstate.gateway.oauth.documents import fetch_document, is_document_url, is_public
from clawstate.gateway.oauth.errors import OAuthError
from loopback import listening
from manual_clock import ManualClock


class Site(BaseHTTPRequestHandler):
    """Answers with what the test says."""

    status = 200
    body = b""
    asked = 0

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(self.status)
        self.send_header("Location", "https://127.0.0.1/elsewhere")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=9))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("site") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def site(pem: Path) -> Iterator[tuple[type[Site], str]]:
    class Here(Site):
        pass

    with listening(Here, certificate=pem) as server:
        yield Here, f"https://127.0.0.1:{server.server_address[1]}/client.json"


def fetch(url: str, pem: Path) -> object:
    context = ssl.create_default_context(cafile=pem)
    return fetch_document(url, allow=lambda _: True, context=context)


def test_a_client_is_known_by_its_document(site, pem: Path, clock: ManualClock) -> None:
    """A document that names its own address describes the client; it is asked for once."""
    here, url = site
    about = {"client_id": url, "client_name": "Remote", "redirect_uris": ["https://r.org/back"]}
    here.body = json.dumps(about).encode()
    clients = Clients("secret", clock=clock, fetch=lambda each: fetch(each, pem))

    found = clients.require(url)
    clients.require(url)
    clock.advance(601)
    clients.require(url)

    assert (found.name, found.redirect_uris) == ("Remote", ("https://r.org/back",))
    assert here.asked == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"client_id": "https://other.org/x", "redirect_uris": ["https://r.org/x"]}'),
        (200, b"[]"),
        (200, b"no JSON"),
        (200, b" " * 70_000),
        (302, b"{}"),
        (404, b"{}"),
    ],
)
def test_what_is_no_document_lets_nobody_in(
    site, pem: Path, clock: ManualClock, status: int, body: bytes
) -> None:
    """A document of somebody else, a redirect, what is large or no JSON is no client."""
    here, url = site
    here.status, here.body = status, body
    clients = Clients("secret", clock=clock, fetch=lambda each: fetch(each, pem))

    with pytest.raises(OAuthError) as raised:
        clients.require(url)

    assert raised.value.kind == "invalid_client"
    assert here.asked == 1


def test_no_private_address_is_asked(site) -> None:
    """Anybody can name an address, so what this machine alone reaches is not asked."""
    here, url = site

    with pytest.raises(OAuthError, match="public network"):
        fetch_document(url)

    assert here.asked == 0


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1", "ff02::1"),
    ],
)
def test_private_addresses_are_known(address: str) -> None:
    """Addresses of this machine, its network, of clouds' services and of groups are not public."""
    assert not is_public(address)
    assert is_public("1.1.1.1")


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.org/x", "https://a.org", "https://a.org/", "https://a.org/x#y", "https:///x"),
        *("https://u@a.org/x", "https://a.org/../x", "https://a.org:x/y", "https://a.org/ x"),
    ],
)
def test_only_whole_addresses_are_documents(url: str) -> None:
    """An id is the address of a document only as https, with a path, and with nothing hidden."""
    assert not is_document_url(url)
    assert is_document_url("https://a.org/x")
