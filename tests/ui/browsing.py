"""A browser on the pages of a real gateway: at two sizes, with nothing amiss in its console."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect
from running_gateway import Gateway

CHROMIUM = os.environ.get("CLAWSTATE_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"phone": (360, 740), "desktop": (1280, 800)}
AXE = (Path(__file__).parent / "vendor" / "axe.js").read_text()
_AT_REST = """document.getAnimations().every((each) => each.playState !== "running"
    || each.effect.getTiming().iterations === Infinity)"""
_KEEP = """location.protocol.startsWith("http") && localStorage.getItem("clawstate.token")
    === null && localStorage.setItem("clawstate.token", %s)"""
PATIENCE = 20_000  # milliseconds: the machine may be busy


@dataclass
class Sight:
    """A page that somebody is signed in to, and what went wrong on it."""

    page: Page
    gateway: Gateway
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a path, and wait until something is shown there."""
        self.page.goto(self.gateway.url + path)
        self.page.locator("main :is(h1, .empty, .notice)").first.wait_for()
        return self.page

    def axe(self) -> list[str]:
        """Return what stands seriously in the way of people who see or use the page otherwise."""
        # Before colours are measured, what moves has to be at rest.
        # Looked at from here: to wait in the page takes `eval`, which its policy forbids.
        while not self.page.evaluate(_AT_REST):
            self.page.wait_for_timeout(50)
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def picture(self, name: str) -> None:
        """Keep a picture of the page where `CLAWSTATE_PICTURES` says, if it does."""
        if folder := os.environ.get("CLAWSTATE_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{folder}/{name}.png")


def wait_until(page: Page, condition: str) -> None:
    """Wait until an expression is true; Playwright's own way is an `eval` of the page."""
    until = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < until, condition
        page.wait_for_timeout(50)


@contextmanager
def sight(
    browser: Browser,
    gateway: Gateway,
    *,
    size: str = "desktop",
    scopes: tuple[str, ...] | None = ("operator.admin",),
    **context: Any,
) -> Iterator[Sight]:
    """
    Give a page at a *size*, signed in with *scopes*; `None` for nobody.

    At the end it fails for what the console told: errors, and what the policy of the page refused.
    """
    width, height = SIZES[size]
    settings = {"is_mobile": True, "has_touch": True} if size == "phone" else {}
    settings |= {"viewport": {"width": width, "height": height}, **context}
    opened = browser.new_context(**settings)
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    if scopes is not None:
        kept = json.dumps(token_for(gateway, scopes))
        opened.add_init_script(_KEEP % kept)
    page = opened.new_page()
    found = Sight(page, gateway)
    page.on(
        "console",
        # What a card in software says of its speed is no fault of the page.
        lambda told: (
            told.type in {"error", "warning"}
            and not told.text.startswith("[.WebGL-")
            and found.problems.append(told.text)
        ),
    )
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    try:
        yield found
        assert found.problems == [], found.problems
    except BaseException:
        found.picture("failed")
        raise
    finally:
        opened.close()


def token_for(gateway: Gateway, scopes: tuple[str, ...]) -> str:
    """Return a token with *scopes*."""
    if scopes == ("operator.admin",):
        ticket = gateway.post("/api/v1/sign-in/tickets").json["ticket"]
        return gateway.post("/api/v1/sign-in", {"ticket": ticket}, token=None).json["token"]
    made = gateway.post("/api/v1/pairing/invitations", {"scopes": list(scopes)})
    assert made.status == 201, made.body
    return redeem(gateway, made.json["secret"])


def redeem(gateway: Gateway, secret: str) -> str:
    """Return the token of a device that comes with an invitation."""
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes_raw()
    device, now = hashlib.sha256(raw).hexdigest(), int(time.time() * 1000)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    signed = key.sign(f"clawstate-pairing|v1|{device}|{digest}|{now}".encode())
    encoded = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (raw, signed)]
    body = {"secret": secret, "deviceId": device, "publicKey": encoded[0], "signature": encoded[1]}
    answer = gateway.post("/api/v1/pairing/redeem", {**body, "signedAtMs": now}, token=None)
    assert answer.status == 201, answer.body
    return answer.json["token"]
