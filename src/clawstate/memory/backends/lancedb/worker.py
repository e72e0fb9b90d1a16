"""
The process that works on the table: started by `client`, told what to do over its standard input.

LanceDB is kept out of the program's own process: it takes seconds to load, starts threads that a
fork does not survive, ends the process on a processor that it was not made for, and goes on with a
write whose caller was interrupted. The lock of the table is this process's own, so that it is free
only when nothing of ours is written any more, whatever became of the program (decision 46).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from clawstate.memory.backends.lancedb.messages import Message, receive, send

LOCK = "memories.gate"
_IDLE = 60.0  # seconds without a session after which the process ends
_LOOK = 0.01
_PRIVATE = 0o077
_FULL = os.strerror(errno.ENOSPC)
_SOURCE = re.compile(r",? *\S+\.rs:\d+:\d+")
_LIBRARIES = frozenset({"lancedb", "pyarrow"})


class Gate:
    """The lock of the table, which is free again when this process ends."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, patience: float) -> bool:
        """Wait for *patience* seconds; tell whether the lock is held now."""
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_LOOK)
            else:
                return True

    def give(self) -> None:
        """Let others have the lock."""
        os.close(self._file)


def main() -> None:
    """Answer until the program has gone, or wanted nothing for a while."""
    os.umask(_PRIVATE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the program, which ends this one
    commands, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints must not be taken for an answer
    try:
        from clawstate.memory.backends.lancedb import table as tables  # noqa: PLC0415 - may fail
    except ImportError as error:
        is_absent = isinstance(error, ModuleNotFoundError)
        kind = "absent" if is_absent and error.name in _LIBRARIES else "failed"
        send(answers, {"error": kind, "problem": f"cannot be loaded: {error}"})
        return
    send(answers, {"library": tables.VERSION})
    while _has_more(commands):
        try:
            message, _ = receive(commands)
        except EOFError:
            return
        if "folder" not in message:  # the end of a session that did not get the lock
            send(answers, {})
            continue
        try:
            gate = Gate(Path(message["folder"]))
        except OSError as error:
            send(answers, _error_message(error))
            continue
        try:
            if not gate.take(message["patience"]):
                send(answers, {"error": "locked"})
                continue
            open_table = partial(tables.LanceTable, Path(message["folder"]), message.get("known"))
            if not _session(open_table, commands, answers):
                return
        finally:
            gate.give()


def _has_more(commands: IO[bytes]) -> bool:
    ready, _, _ = select.select([commands], [], [], _IDLE)
    return bool(ready)


def _session(open_table: Callable[[], Any], commands: IO[bytes], answers: IO[bytes]) -> bool:
    """Do what the program says until it ends the session; tell whether it may begin another."""
    message: Message = {"do": "open"}
    blob, table = b"", None
    while True:
        try:
            if message["do"] == "end":
                send(answers, {})
                return True
            if table is None:
                table = open_table()
            for answer, run in table.do(message, blob):
                send(answers, answer, run)
        except BrokenPipeError:
            return False
        except Exception as error:  # noqa: BLE001 - the library raises nearly every kind
            send(answers, _error_message(error))
        try:
            message, blob = receive(commands)
        except EOFError:
            return False


def _error_message(error: Exception) -> Message:
    kind = "foreign" if isinstance(error, TypeError) else "failed"
    # The first line alone: what follows may quote values. Without places in LanceDB's source.
    line = _SOURCE.sub("", (str(error).splitlines() or [""])[0])[:200]
    if _FULL in line:
        return {"error": kind, "problem": "the disk is full"}
    return {"error": kind, "problem": f"{type(error).__name__}: {line}"}


if __name__ == "__main__":
    main()
