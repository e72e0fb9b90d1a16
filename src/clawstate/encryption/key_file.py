"""The key that lies in a private file, outside of the state that it opens."""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from clawstate.encryption.ciphertext import KEY_BYTES
from clawstate.errors import InvalidError, NotFoundError, UnavailableError
from clawstate.files.atomic import write_atomic
from clawstate.files.lock import FileLock
from clawstate.files.os_errors import os_errors
from clawstate.files.paths import effective_home, expand_path
from clawstate.files.regular import open_regular, read_all

_LIMIT = 4096
_OTHERS = 0o077


def default_key_file(name: str, *, env: Mapping[str, str] | None = None) -> Path:
    """Return where the key *name* lies by default: `~/.config/clawstate/<name>.key`."""
    variables = os.environ if env is None else env
    chosen = variables.get("XDG_CONFIG_HOME", "").strip()
    folder = expand_path(chosen, env=env) if chosen else effective_home(env) / ".config"
    return folder / "clawstate" / f"{name}.key"


def make_key_file(path: Path, key: bytes, *, state: Path) -> bytes:
    """
    Write *key* into the new file *path*, and return it; a key that is there is returned instead.

    The file is private from birth. Raises `InvalidError` for a place inside of *state*: who takes
    the state would have the key as well.
    """
    # Links followed on both sides: by name alone a link could lead into the state.
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(state)):
        problem = "lies inside of the state that it protects, and would be copied or stolen with it"
        raise InvalidError(str(path), problem, "choose a place outside, best on another disk")
    # Of two that make the key at once, the second must take that of the first.
    with FileLock(path):
        if os.path.lexists(path):
            return read_key_file(path)
        write_atomic(path, base64.b64encode(key) + b"\n")
    return key


def read_key_file(path: Path) -> bytes:
    """
    Return the key in the file *path*.

    Raises `InvalidError` for a link, for a file that others may read or that another user owns
    (unless we are root), and for anything but a key; `UnavailableError` if it is missing or cannot
    be read.
    """
    text = read_private(path, missing="put it back, or name it in CLAWSTATE_KEY_FILE")
    key = b""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidError(str(path), "holds no key", "put the right file in its place")
    return key


def read_private(path: Path, *, missing: str) -> str:
    """Return the text of *path*, which only we and root may read; raises as `read_key_file`."""
    with os_errors(path, "was not read"):
        descriptor = None
        with suppress(NotFoundError):
            # Opened first and judged by what was opened: between a look and the opening it could be
            # changed.
            descriptor = open_regular(path)
        if descriptor is None:
            raise UnavailableError(str(path), "is missing", missing)
        with descriptor as number:
            _require_ours(path, os.fstat(number))
            raw = read_all(number, _LIMIT, path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def _require_ours(path: Path, found: os.stat_result) -> None:
    mode, quoted = stat.S_IMODE(found.st_mode), shlex.quote(str(path))
    if mode & _OTHERS:
        problem = f"others may read it (mode {mode:04o})"
        raise InvalidError(str(path), problem, f"run 'chmod {mode & ~_OTHERS:o} {quoted}'")
    # Root uses the state of a user, with the user's key: it made that file for the user itself.
    if os.geteuid() and found.st_uid not in {0, os.geteuid()}:
        raise InvalidError(str(path), f"belongs to user {found.st_uid}", "take a file of your own")
