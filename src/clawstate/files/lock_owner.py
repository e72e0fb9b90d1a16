"""
Who holds a lock: the payload of the sidecar, and whether its writer is still alive.

The file is OpenClaw's, `{"pid", "createdAt"}`; the fields beyond those two are ours, and ignored by
it. They prove that an owner is dead where a process number alone cannot (decision 9).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from clawstate.clock import from_iso, from_ms, to_iso, to_ms
from clawstate.errors import InvalidError

T = TypeVar("T")

_PROC = Path("/proc")
_MACHINE_ID = Path("/etc/machine-id")
_as_json = json.encoder.encode_basestring_ascii
_MOST_TICKS = 2**53  # milliseconds: what JSON can hold exactly
_STATE, _START = 0, 19  # fields of /proc/<pid>/stat, counted behind the name


@dataclass(frozen=True, slots=True)
class Owner:
    """
    What a payload says of who wrote it; times in seconds since the epoch.

    Only a payload with a *nonce* is one of ours; the others know nothing but the first two.
    """

    pid: int
    created_at: float | None
    start_time: int | None = None
    host: str | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None
    nonce: str | None = None
    file: tuple[int, int] | None = None
    """Device and inode of the lock file that it was written to; a copy has others."""

    def __str__(self) -> str:
        foreign = self.host is not None and self.host != host_name()
        return f"process {self.pid}{f' on {self.host}' if foreign else ''}"


@dataclass(frozen=True, slots=True)
class Tenure:
    """Who holds something since when, on the steady clock of the machine, in seconds."""

    owner: Owner
    ticks: float

    @property
    def nonce(self) -> str:
        """What tells this grant from all others."""
        return self.owner.nonce or ""

    def age(self, ticks: float, *, seen_since: float) -> float:
        """
        Return for how many seconds it has lasted, at *ticks* of this machine.

        One of another machine or boot counts from when it was first seen: a clock that somebody
        sets must not give one thing to two.
        """
        ours = self.owner.boot_id is not None and self.owner.boot_id == boot_id()
        return ticks - (min(self.ticks, seen_since) if ours else seen_since)

    def is_orphaned(self) -> bool:
        """Tell whether its owner is proven dead."""
        return is_dead(self.owner) is True

    def members(self) -> dict[str, Any]:
        """Return it as members of a record."""
        return {**json.loads(payload_of(self.owner)), "ticks": to_ms(self.ticks)}


def tenure_of(found: Mapping[str, Any]) -> Tenure | None:
    """Return what the members *found* of a record say, if they say it whole."""
    owner = parse_payload(json.dumps(found).encode()) if found else None
    ticks = found.get("ticks")
    if owner is None or owner.nonce is None or isinstance(ticks, bool):
        return None
    if not isinstance(ticks, int | float) or not abs(ticks) < _MOST_TICKS:
        return None
    return Tenure(owner, from_ms(ticks))


def this_owner(now: float, file: tuple[int, int] | None = None) -> Owner:
    """Return the present process as the owner of the lock file *file*, with a nonce of its own."""
    pid = os.getpid()
    return Owner(
        pid=pid,
        created_at=now,
        start_time=_own_start(pid),
        host=host_name(),
        boot_id=boot_id(),
        pid_namespace=_pid_namespace(pid),
        nonce=secrets.token_hex(8),
        file=file,
    )


def payload_of(owner: Owner) -> bytes:
    """Return the text of a sidecar: always of the same length for the same owner."""
    last = f',\n  "nonce": {_as_json(owner.nonce)}' if owner.nonce is not None else ""
    if owner.file is not None:
        last += f',\n  "device": {owner.file[0]},\n  "inode": {owner.file[1]}'
    moment = to_iso(owner.created_at or 0.0)
    identity = _identity_text(owner.start_time, owner.host, owner.boot_id, owner.pid_namespace)
    return f'{{\n  "pid": {owner.pid},\n  "createdAt": "{moment}"{identity}{last}\n}}'.encode()


@lru_cache(maxsize=16)
def _identity_text(
    start: int | None, host: str | None, boot: str | None, namespace: str | None
) -> str:
    fields = {"startTime": start, "host": host, "bootId": boot, "pidNs": namespace}
    known = {name: value for name, value in fields.items() if value is not None}
    return "".join(f',\n  "{name}": {json.dumps(value)}' for name, value in known.items())


def parse_payload(raw: bytes) -> Owner | None:
    """Return the owner that *raw* names, or `None` if it names none."""
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    pid = fields.get("pid") if isinstance(fields, dict) else None
    # JavaScript knows no integers: 12.0 is the number of a process as well.
    if not isinstance(pid, int | float) or isinstance(pid, bool) or pid != pid // 1 or not pid:
        return None
    if not isinstance(fields.get("createdAt"), str):
        return None
    start = fields.get("startTime")
    return Owner(
        pid=int(pid),
        created_at=_moment(fields["createdAt"]),
        start_time=start if isinstance(start, int) else None,
        host=_text(fields, "host"),
        boot_id=_text(fields, "bootId"),
        pid_namespace=_text(fields, "pidNs"),
        nonce=_text(fields, "nonce"),
        file=_numbers(fields, "device", "inode"),
    )


def is_here(owner: Owner) -> bool:
    """Tell whether *owner* wrote on this machine, since it was started."""
    return owner.host == host_name() and owner.boot_id is not None and owner.boot_id == boot_id()


def is_dead(owner: Owner) -> bool | None:
    """
    Tell whether *owner* is proven dead (True) or alive (False); `None` if it cannot be examined.

    Dead is who has no process, a zombie, a process that started at another time, or another boot
    of this machine. Another host or process namespace cannot be examined, and a bare process
    number that is in use proves nothing.
    """
    if owner.host is not None and owner.host != host_name():
        return None
    if owner.boot_id is not None and boot_id() is not None and owner.boot_id != boot_id():
        return True
    if owner.pid_namespace not in {None, _pid_namespace(os.getpid())}:
        return None
    if not _runs(owner.pid):
        return True
    if owner.start_time is None or owner.nonce is None:
        return None
    started = _start_of(owner.pid)
    return None if started is None else started != owner.start_time


def host_name() -> str:
    """Return a name of this machine that another machine of the same name does not share."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return _with_machine(name, _read_once("machine", _machine_id))


@lru_cache(maxsize=4)
def _with_machine(name: str, machine: str | None) -> str:
    # Hashed, because the id itself is not to be shown around (machine-id(5)).
    return f"{name}-{hashlib.sha256(machine.encode()).hexdigest()[:8]}" if machine else name


def _machine_id() -> str:
    return _MACHINE_ID.read_text(errors="replace").strip()


def boot_id() -> str | None:
    """Return what the kernel calls this boot, where it has a name for it."""
    return _read_once("boot", lambda: (_PROC / "sys/kernel/random/boot_id").read_text().strip())


def _own_start(pid: int) -> int | None:
    return _read_once("start", lambda: _start_of(pid))


def _shows_our_numbers(pid: int) -> bool:
    """Tell whether `/proc` counts processes as *pid*, this one, does."""
    return _read_once("proc", lambda: (_PROC / "self").readlink().name) == str(pid)


def _pid_namespace(_pid: int) -> str | None:
    return _read_once("namespace", lambda: str((_PROC / "self/ns/pid").readlink()))


def _read_once(name: str, read: Callable[[], T | None]) -> T | None:
    """Return what *read* finds; an error that may pass is not remembered."""
    if name not in _known:
        try:
            _known[name] = read()
        except FileNotFoundError:
            _known[name] = None
        except OSError:
            return None
    found: T | None = _known[name]
    return found


_known: dict[str, Any] = {}


def _forget_process() -> None:
    # Of the process, not of the machine. The number alone does not tell a child from its parent:
    # both are number 1 when the child is the first of its process namespace.
    for name in ("start", "proc", "namespace"):
        _known.pop(name, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_process)


def _runs(pid: int) -> bool:
    if not 0 < pid < 1 << 31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's, but there
    # kill(2) finds a zombie too, which will never write or give back anything.
    fields = _stat_of(pid)
    return fields is None or fields[_STATE] not in {"Z", "X"}


def _start_of(pid: int) -> int | None:
    fields = _stat_of(pid)
    return None if fields is None else int(fields[_START])


def _stat_of(pid: int) -> list[str] | None:
    if not _shows_our_numbers(os.getpid()):
        return None  # another process namespace's: its numbers mean other processes
    with contextlib.suppress(OSError):
        # The name may hold blanks and brackets; nothing behind it does.
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return None


def _moment(text: str) -> float | None:
    with contextlib.suppress(InvalidError):
        return from_iso(text)
    return None


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _numbers(fields: dict[str, Any], first: str, second: str) -> tuple[int, int] | None:
    found = fields.get(first), fields.get(second)
    one, other = found
    return (one, other) if type(one) is type(other) is int else None
