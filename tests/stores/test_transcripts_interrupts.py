"""What a reader of a transcript that is cut off leaves behind: nothing that it held."""

from __future__ import annotations

import contextlib
import sys
import time
from itertools import count

import apsw

from clawstate.sqlite import blocks, part
from clawstate.stores.transcripts.backends.sqlite import log as engine
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts
from clawstate.stores.transcripts.service import Transcripts

FILES = {engine.__file__, part.__file__, blocks.__file__, contextlib.__file__}
PATIENCE = 20.0  # seconds until what is held counts as held for ever


class InterruptedTestError(BaseException):
    """As `KeyboardInterrupt`, no `Exception`."""


def interrupt(work, place):
    """Cut *work* off at its instruction number *place*, and return the error; `None` behind it."""
    left = [place]

    def called(frame, _event, _argument):
        if frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = True
        return traced

    def traced(_frame, event, _argument):
        if event == "opcode":
            left[0] -= 1
            if not left[0]:
                raise InterruptedTestError
        return traced

    sys.settrace(called)
    try:
        work()
    except InterruptedTestError as error:
        return error
    finally:
        sys.settrace(None)
    return None


def read_by_nobody(connection):
    """Tell whether the log can be emptied, at the latest when the guard of the holders looked."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
            return True
        time.sleep(0.002)
    return False


def test_interrupted_lines_hold_no_transaction(tmp_path) -> None:
    """Wherever a reader of lines is cut off, its transaction ends, though its error is kept."""
    log = SqliteTranscripts(tmp_path / "memory.db")
    store = Transcripts(log)
    store.append("s", [{"role": "user", "content": "a"}])
    other = apsw.Connection(str(log.path))
    other.pragma("synchronous", "OFF")  # only who reads counts here
    kept = []  # a shell keeps the last stack alive, and so all that is on it

    def work():
        with log.lines("s") as lines:
            assert len(list(lines)) == 2

    for place in count(1):
        other.execute("UPDATE transcripts SET leaf = leaf")  # or there is no log to be emptied
        error = interrupt(work, place)
        if error is None:
            break
        kept.append(error)
        assert read_by_nobody(other), place

    assert len(kept) > 20
    other.close()
    store.close()
