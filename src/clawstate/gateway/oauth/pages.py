"""The pages that a person sees whose client asks to be let in; they run no scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from starlette.responses import Response

from clawstate.gateway.oauth.authorizations import Question, Wish
from clawstate.gateway.oauth.clients import place_of
from clawstate.gateway.oauth.places import AUTHORIZE, STYLE

_HEADERS: Final = {
    "Cache-Control": "no-store",
    # Not `no-referrer`: browsers then send the form from the origin `null`, which is refused.
    "Referrer-Policy": "same-origin",
}
_SECONDS: Final = 2
_MEANINGS: Final = {
    "operator.read": "read what is remembered, and conversations",
    "operator.write": "remember, change and forget",
}

STYLE_TEXT: Final = """\
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 34rem; margin: 3rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1rem; }
.code { font: 600 2rem/1.2 ui-monospace, monospace; letter-spacing: .1em; }
"""


def consent_page(wish: Wish, fields: Mapping[str, str]) -> Response:
    """Return the page that asks whether the owner shall be asked; *fields* are sent again."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return _page(
        "Let this program in?",
        _about(wish),
        f'<form method="post" action="{AUTHORIZE}">{hidden}'
        '<button type="submit" autofocus>Ask the owner</button></form>',
    )


def waiting_page(question: Question) -> Response:
    """Return the page that shows the code, and looks again by itself."""
    code = escape(question.user_code)
    return _page(
        "Waiting for the owner",
        _about(question.wish),
        f'<p class="code">{code}</p>'
        "<p>Approve it on the page <em>Devices</em> of this gateway, or on its machine with</p>"
        f"<pre>clawstate pairing approve {code}</pre>"
        "<p>This page goes on by itself. Approve only what you began yourself.</p>",
        refresh=True,
    )


def message_page(title: str, text: str, *, status: int = 200) -> Response:
    """Return a page that says something."""
    return _page(title, f"<p>{escape(text)}</p>", status=status)


def _about(wish: Wish) -> str:
    name = escape(wish.client.name or "A program without a name")
    place = escape(place_of(wish.redirect_uri))
    whose = ""
    if wish.client.client_id.startswith("https://"):
        whose = f" It describes itself at {escape(wish.client.client_id)}."
    allowed = "".join(f"<li>{_MEANINGS[each]} ({each})</li>" for each in wish.scopes)
    return (
        f"<p><strong>{name}</strong> asks to use the memory of this agent. The answer goes to "
        f"<strong>{place}</strong>.{whose}</p><p>It could:</p><ul>{allowed}</ul>"
    )


def _page(title: str, *parts: str, status: int = 200, refresh: bool = False) -> Response:
    again = f'<meta http-equiv="refresh" content="{_SECONDS}">' if refresh else ""
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width">'
        f'<link rel="stylesheet" href="{STYLE}"><title>{escape(title)} - clawstate</title></head>'
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )
    return Response(text, status, _HEADERS, media_type="text/html")
