"""What the gateway says of requests that are wrong: in its own words, by the name that is meant."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running_gateway import Gateway


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/memory/records?surplus=1", None),
        ("GET", "/api/v1/status?surplus=1", None),
        ("POST", "/api/v1/memory/records?surplus=1", {"text": "x"}),
        ("DELETE", "/api/v1/config/value?path=a.b&surplus=1", None),
    ],
)
def test_an_unknown_parameter_is_named(
    gateway: Gateway, method: str, path: str, body: dict[str, str] | None
) -> None:
    """A parameter that an operation does not know is refused by its name, and nothing is done."""
    answer = gateway.ask(method, path, body)

    assert (answer.status, answer.error) == (422, "invalid")
    assert "'surplus' is unknown" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "headers", "sentence"),
    [
        (b'{"text": "x"}', {"Content-Type": "text/plain"}, "Content-Type: application/json"),
        (None, {}, "the body is missing"),
        (b"{", {}, "the body is no JSON"),
        (b'{"text": 5}', {}, "text is no text"),
        (b'{"text": "\\ud800"}', {}, "half a surrogate pair"),
        (b'{"surplus": "x", "text": "y"}', {}, "surplus is unknown"),
        (b"{}", {}, "text is missing"),
        (b"[]", {}, "the body is no object"),
        (b'{"text": "x", "importance": "much"}', {}, "importance is no number"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_plainly(
    gateway: Gateway, body: bytes | None, headers: dict[str, str], sentence: str
) -> None:
    """A sentence names the member and what is wrong with it, or the header that is missing."""
    sent = {"Content-Type": "application/json", **headers}

    answer = gateway.ask("POST", "/api/v1/memory/records", body, headers=sent)

    assert answer.status in {400, 422}
    assert sentence in answer.json["error"]["message"]
    assert "nput should" not in answer.json["error"]["message"]


def test_no_name_stands_twice(gateway: Gateway) -> None:
    """Counts have one name each, in camelCase."""

    def names(found: object) -> list[str]:
        members = found.items() if isinstance(found, dict) else ()
        return [each for name, value in members for each in (name, *names(value))]

    for path in ("/api/v1/status", "/api/v1/memory/stats", "/api/v1/transcripts/stats"):
        assert [each for each in names(gateway.get(path).json) if "_" in each or " " in each] == []


@pytest.mark.parametrize(
    "raw",
    [
        bytes(32),
        b"\x01" + bytes(31),
        b"\x01" + bytes(30) + b"\x80",
        (2**255 - 20).to_bytes(32, "little"),
        (2**255 - 18).to_bytes(32, "little"),
        b"\xff" * 32,
        b"\x02" + bytes(31),
    ],
)
def test_a_key_that_proves_nothing_is_refused(gateway: Gateway, raw: bytes) -> None:
    """A key of small order, written in another way, or off the curve lets no device ask."""
    wish = {
        "deviceId": hashlib.sha256(raw).hexdigest(),
        "publicKey": base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }

    answer = gateway.post("/api/v1/pairing/device_authorization", wish, token=None)

    assert answer.status == 422
    assert "proves anything" in answer.json["error"]["message"]


def test_the_link_is_in_no_argument(gateway: Gateway, tmp_path: Path) -> None:
    """`gateway open` hands the browser a file that its owner alone can read, not the ticket."""
    told, browser = tmp_path / "told", tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$@\" > '{told}'\n")
    browser.chmod(0o755)

    done = subprocess.run(
        [sys.executable, "-m", "clawstate", "--state-dir", str(gateway.root), "gateway", "open"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BROWSER": f"{browser} %s"},
    )

    until = time.monotonic() + 10
    while not told.exists() and time.monotonic() < until:
        time.sleep(0.02)
    link = done.stdout.strip()
    given = told.read_text().strip()
    page = Path(given.removeprefix("file://"))
    assert link.partition("#token=")[2] not in given
    assert link in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
