"""The owner's token of a gateway: a secret file in the state directory, never in the settings."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from clawstate.errors import CorruptError, NotFoundError
from clawstate.files.atomic import write_atomic
from clawstate.files.lock import FileLock
from clawstate.files.paths import StatePaths
from clawstate.files.regular import read_regular

_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST = 1024


def owner_token(path: Path) -> str:
    """Return the token that *path* keeps, made if there is none (0600); raises `CorruptError`."""
    try:
        return read_token(path)
    except NotFoundError:
        pass
    with FileLock(path):
        try:  # another process may have been faster
            return read_token(path)
        except NotFoundError:
            token = secrets.token_urlsafe(_BYTES)
            write_atomic(path, f"{token}\n".encode())
            return token


def read_token(path: Path) -> str:
    """Return the token that *path* keeps; raises `NotFoundError`, `CorruptError`."""
    text = read_regular(path, limit=_LONGEST).decode(errors="replace").strip()
    if not _TOKEN.fullmatch(text):
        hint = "remove the file: the next 'clawstate gateway run' makes another token"
        raise CorruptError(str(path), "holds no token of a gateway", hint)
    return text


def token_path(paths: StatePaths) -> Path:
    """Return where the owner's token of a gateway lies."""
    return paths.root / "state" / "gateway-token"
