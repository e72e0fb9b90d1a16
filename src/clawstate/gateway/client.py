"""What the command line asks of a gateway that runs on this machine."""

from __future__ import annotations

import http.client
import json
import ssl
from html import escape
from pathlib import Path
from typing import Any

from clawstate.errors import UnavailableError
from clawstate.files.atomic import write_atomic
from clawstate.files.paths import StatePaths
from clawstate.gateway.exchange import Exchange
from clawstate.gateway.links import join_ticket
from clawstate.gateway.tokens import read_token, token_path


def new_link(url: str, paths: StatePaths) -> str:
    """Return a link that is good once; raises `UnavailableError`."""
    made = _ask(url, "POST", "/api/v1/sign-in/tickets", read_token(token_path(paths)))
    return join_ticket(url, made["ticket"])


def write_redirect(paths: StatePaths, link: str) -> Path:
    """Write a page that leads on to *link*, for the owner alone (0600), and return it."""
    path = paths.root / "state" / "gateway-open.html"
    text = f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(link)}">\n'
    write_atomic(path, text.encode())
    return path


def _ask(url: str, method: str, path: str, token: str) -> Any:
    # Its certificate may be its own; whoever could be in between is on this machine.
    status, text = Exchange(url, context=ssl._create_unverified_context).ask(  # noqa: SLF001
        method, path, token=token
    )
    try:
        body = json.loads(text)
        if status < http.client.BAD_REQUEST:
            return body
        message = str(body["error"]["message"])
    except (ValueError, TypeError, KeyError) as error:
        hint = "look with 'clawstate gateway status'"
        raise UnavailableError(url, "answers, but is no gateway of clawstate", hint) from error
    raise UnavailableError(url, message)
