"""What a person does in a browser whose client asks to be let in, and what a client sends."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from running_gateway import Answer, Gateway

REDIRECT = "http://localhost:7777/callback"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def target_of(url: str) -> str:
    place = urlsplit(url)
    return place.path + (f"?{place.query}" if place.query else "")


def begin(gateway: Gateway, url: str) -> tuple[str, str]:
    """Open the page of the client and ask; return the page that waits, and the code on it."""
    page = gateway.get(target_of(url), token=None)
    assert page.status == 200, page.body
    found = re.findall(r'name="([^"]*)" value="([^"]*)"', page.body.decode())
    fields = {unescape(name): unescape(value) for name, value in found}
    asked = gateway.post("/authorize", urlencode(fields).encode(), token=None, headers=FORM)
    assert asked.status == 303, asked.body
    place = asked.headers["Location"]
    waiting = gateway.get(place, token=None)
    return place, re.search(r'class="code">([^<]*)<', waiting.body.decode())[1]


def answer_of(gateway: Gateway, place: str) -> dict[str, str]:
    """Return what the page that waits sends the browser back with."""
    back = gateway.get(place, token=None)
    assert back.status == 302, back.body
    return {
        name: one for name, (one,) in parse_qs(urlsplit(back.headers["Location"]).query).items()
    }


@dataclass
class Program:
    """A client that sends what a test wants."""

    gateway: Gateway
    client_id: str = ""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def __post_init__(self) -> None:
        if not self.client_id:
            wish = {"client_name": "Test program", "redirect_uris": [REDIRECT]}
            made = self.gateway.post("/register", wish, token=None)
            assert made.status == 201, made.body
            self.client_id = made.json["client_id"]

    def url(self, **changed: str | None) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        given = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "state": "s1",
            "resource": f"{self.gateway.url}/mcp",
            **changed,
        }
        told = {name: value for name, value in given.items() if value is not None}
        return f"/authorize?{urlencode(told)}"

    def code(self, run: Any) -> str:
        """Be let in by the owner, and return the code that came back."""
        place, shown = begin(self.gateway, self.url())
        run("pairing", "approve", shown)
        return answer_of(self.gateway, place)["code"]

    def exchange(self, code: str, **changed: str) -> Answer:
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
            **changed,
        }
        return self.send("/token", given)

    def refresh(self, token: str, **changed: str) -> Answer:
        given = {"grant_type": "refresh_token", "refresh_token": token}
        return self.send("/token", {**given, "client_id": self.client_id, **changed})

    def send(self, path: str, given: dict[str, str]) -> Answer:
        return self.gateway.post(path, urlencode(given).encode(), token=None, headers=FORM)


def initialize(gateway: Gateway, token: str | None) -> Answer:
    """Ask the MCP server who it is."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    return gateway.ask("POST", "/mcp", json.dumps(body).encode(), token=token, headers=headers)
