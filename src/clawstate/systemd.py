"""User units of systemd: where they lie, how they are written, started and removed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from clawstate.errors import UnavailableError
from clawstate.files.atomic import write_atomic
from clawstate.files.paths import effective_home, resolve_state_dir

_PATIENCE: Final = 30  # seconds that systemctl has
_READABLE: Final = 0o644


def unit_name(what: str, root: Path, env: Mapping[str, str] = os.environ) -> str:
    """Return the name of the unit *what* of the state in *root*, without what kind it is."""
    # Each state has units of its own, so that several can be served side by side.
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    is_usual = root == resolve_state_dir(env)
    return f"clawstate-{what}{'' if is_usual else f'-{digest}'}"


def unit_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of the user's units."""
    folder = env.get("XDG_CONFIG_HOME") or effective_home(env) / ".config"
    return Path(folder) / "systemd" / "user"


def command_line(root: Path, *words: str) -> str:
    """Return how a unit starts our command line on the state in *root*."""
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), *words]
    return " ".join(_quote(each) for each in command)


def install(units: Mapping[Path, str], start: str, *, hint: str) -> None:
    """
    Write *units*, start the one that is called *start*, and at each login.

    Raises `UnavailableError`; then the units are as they were before.
    """
    systemctl = _systemctl(hint)
    before = {path: path.read_bytes() if path.is_file() else None for path in units}
    try:
        for path, text in units.items():
            write_atomic(path, text.encode(), mode=_READABLE)
        _run(systemctl, ["daemon-reload"], hint)
        _run(systemctl, ["enable", "--now", start], hint)
    except BaseException:
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            else:
                write_atomic(path, old, mode=_READABLE)
        raise


def uninstall(paths: Sequence[Path], stop: str, *, hint: str) -> None:
    """Stop the unit that is called *stop*, and remove *paths*."""
    systemctl = _systemctl(hint)
    try:
        _run(systemctl, ["disable", "--now", stop], hint)
    finally:  # what is not there is not started, whether or not systemd runs now
        for path in paths:
            path.unlink(missing_ok=True)
    _run(systemctl, ["daemon-reload"], hint)


def _systemctl(hint: str) -> str:
    found = shutil.which("systemctl")
    if found is None:
        raise UnavailableError("systemd", "is not here (there is no systemctl)", hint)
    return found


def _run(systemctl: str, words: Sequence[str], hint: str) -> None:
    command = [systemctl, "--user", *words]
    try:
        done = subprocess.run(  # noqa: S603 - found by its name, words of ours
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = f"did not answer ({type(error).__name__})"
        raise UnavailableError("systemctl", problem, hint) from error
    if done.returncode:
        told = done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"
        raise UnavailableError(f"systemctl --user {words[0]}", told, hint)


def _quote(word: str) -> str:
    """Return *word* as systemd reads it back: `%` and `$` have a meaning to it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
