"""Text as FTS5 indexes it in every part of a database: Porter stems, and signs one by one."""

from __future__ import annotations

import re

import apsw

TOKENIZER = ("porter", ("unicode61",))

# Scripts written without spaces: each sign is indexed as a word, so that any part is found.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f])"
)


def spaced(text: str) -> str:
    """Return *text* with blanks around the signs of scripts that are written without."""
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def sign_places(text: str) -> list[int]:
    """Return where the signs stand around which `spaced` puts blanks."""
    return [] if text.isascii() else [match.start() for match in _UNSPACED.finditer(text)]


def quoted(words: str) -> str:
    """Return *words* as a phrase of a query of FTS5."""
    return '"' + spaced(words).replace('"', '""') + '"'


def stems(connection: apsw.Connection, text: str) -> list[str]:
    """Return the stems of *text* in their order."""
    name, settings = TOKENIZER
    found = connection.fts5_tokenizer(name, list(settings))(
        spaced(text).encode(errors="replace"),
        apsw.FTS5_TOKENIZE_QUERY,
        None,
        include_offsets=False,
        include_colocated=False,
    )
    return [str(each) for each in found]
