"""
Runs our command line for each line on stdin, each time in a process that is forked for it.

A line is `{"words": [...], "stdin": "..."}`, or `{"call": name}` for a call of `library_calls`; the
answer is `{"code", "out", "err"}`. Loading everything once is what it saves.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from importlib import import_module
from typing import Any

import library_calls

from clawstate.cli.main import MORE_VERBS, NOUNS, run


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked in a process of its own, and return how it ended."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(asked.get("stdin", "").encode())
        given.seek(0)
        child = os.fork()
        if child == 0:
            for number, stream in enumerate((given, out, err)):
                os.dup2(stream.fileno(), number)
            os._exit(_done(asked))
        _, status = os.waitpid(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


def _done(asked: dict[str, Any]) -> int:
    for number, mode in enumerate("rww"):
        stream = os.fdopen(number, mode, encoding="utf-8")
        setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
    try:
        code = library_calls.main(asked["call"]) if "call" in asked else run(asked["words"])
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told of it
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    for noun, (module, _, _) in NOUNS.items():
        import_module(module)
        for name in MORE_VERBS.get(noun, ()):
            import_module(f"clawstate.cli.{name}")
    for line in sys.stdin:
        found = json.dumps(answer(json.loads(line)))
        sys.stdout.write(f"{found}\n")
        sys.stdout.flush()
