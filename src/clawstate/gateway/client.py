"""What the command line asks of a gateway that runs on this machine."""

from __future__ import annotations

import http.client
import json
import ssl
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clawstate.errors import UnavailableError
from clawstate.files.atomic import write_atomic
from clawstate.files.paths import StatePaths
from clawstate.gateway.tokens import read_token, token_path

_PATIENCE = 10.0  # seconds


def new_link(url: str, paths: StatePaths) -> str:
    """Return a link that is good once; raises `UnavailableError`."""
    made = _ask(url, "POST", "/api/v1/sign-in/tickets", read_token(token_path(paths)))
    return f"{url}/#token={made['ticket']}"


def write_redirect(paths: StatePaths, link: str) -> Path:
    """Write a page that leads on to *link*, for the owner alone (0600), and return it."""
    path = paths.root / "state" / "gateway-open.html"
    text = f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(link)}">\n'
    write_atomic(path, text.encode())
    return path


def _ask(url: str, method: str, path: str, token: str) -> Any:
    place = urlsplit(url)
    try:
        if place.scheme == "https":
            # Its certificate may be its own; whoever could be in between is on this machine.
            context = ssl._create_unverified_context()  # noqa: S323, SLF001
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                place.netloc, timeout=_PATIENCE, context=context
            )
        else:
            connection = http.client.HTTPConnection(place.netloc, timeout=_PATIENCE)
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = json.loads(answer.read(1 << 20))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(
            url, "does not answer", "look with 'clawstate gateway status'"
        ) from error
    finally:
        connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        raise UnavailableError(url, str(body["error"]["message"]))
    return body
