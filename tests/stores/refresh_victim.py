"""
A program that refreshes one profile and says what it got.

Its arguments: the state directory, the engine, the port of the token server, `force` or `-`. It
says `OK n`, where n is the place of the access token among those of its login, or `ERR code`. With
`again` it tries once more after an error.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - which the first request would load otherwise
import sys
from pathlib import Path

from oauth_server import exchange_with
from refresh_setting import ID, Place, place_of

from clawstate.errors import StateError


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")


say("WARM")
root, engine, port, *words = Path(sys.argv[1]), *sys.argv[2:]
with Place(root, engine).opened() as refresher:
    say("READY")
    for _ in range(2 if "again" in words else 1):
        try:
            credential = refresher.refresh(ID, exchange_with(int(port)), force="force" in words)
        except StateError as error:
            say("ERR", error.code)
        else:
            say("OK", place_of(credential.access))
            break
say("END")
