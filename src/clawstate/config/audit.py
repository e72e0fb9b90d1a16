"""
The audit trail of configuration writes, in OpenClaw's form, below `logs/`.

It says who changed what and when, and what looked odd about it, and never a value.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.clock import to_iso
from clawstate.errors import StateError
from clawstate.files.atomic import create_private_file
from clawstate.files.descriptors import Descriptor
from clawstate.secret_rules import without_secrets

_LONGEST = 1 << 20  # bytes of a trail that is still appended to
_MASK = "[redacted]"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Written:
    """What there is to say of one write of a configuration."""

    path: Path
    before: bytes | None
    after: bytes
    changed_paths: Sequence[str]
    suspicious: Sequence[str] = ()
    result: str = "rename"
    error: str | None = None


def trail_in(logs: Path, *, beside_openclaw: bool) -> Path:
    """
    Return the trail in the directory *logs*.

    `config-audit.jsonl` is OpenClaw's own file: the one of the file era writes it too, and a later
    one takes it away into its database. So beside an OpenClaw ours has another name.
    """
    return logs / ("clawstate-config-audit.jsonl" if beside_openclaw else "config-audit.jsonl")


def append_audit(path: Path, written: Written, *, at: float, actor: str) -> None:
    """
    Append one line to the trail *path*; *at* in seconds since the epoch.

    A trail that has grown beyond a megabyte becomes `.1`, in the place of the one before it.
    Never raises: a full disk must not undo a change that is already in effect.
    """
    line = json.dumps(_document(written, at, actor), ensure_ascii=False) + "\n"
    with contextlib.suppress(OSError, StateError):
        if os.path.lexists(path) and path.lstat().st_size > _LONGEST:
            path.replace(path.with_name(f"{path.name}.1"))
        create_private_file(path)
        descriptor = Descriptor()
        descriptor.open(path, _APPEND)
        with descriptor as number:
            os.write(number, line.encode())


def _document(written: Written, at: float, actor: str) -> dict[str, Any]:
    before = written.before
    return {
        "ts": to_iso(at),
        "source": "config-io",
        "event": "config.write",
        "configPath": str(written.path),
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "actor": actor,
        "existsBefore": before is not None,
        "previousHash": _hash(before or b""),
        "nextHash": _hash(written.after),
        "previousBytes": None if before is None else len(before),
        "nextBytes": len(written.after),
        "changedPathCount": len(written.changed_paths),
        "changedPaths": [without_secrets(each, _MASK) for each in written.changed_paths],
        "suspicious": list(written.suspicious),
        "result": written.result,
        **({} if written.error is None else {"errorCode": written.error}),
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
