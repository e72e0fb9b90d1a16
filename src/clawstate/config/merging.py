"""
Two parts of a configuration as one, the one *above* over the one *below*.

Files that are included are parts of one text: their arrays are joined. An override speaks last: its
arrays replace, for otherwise nobody could take an element away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clawstate.config.provenance import Origin, Piece, Trace

# Node programs would reach the prototype of every object through these.
_SKIPPED = frozenset({"__proto__", "prototype", "constructor"})


def join(pieces: Sequence[Piece]) -> Piece:
    """
    Return the *pieces* as one, each over those before it; there is at least one.

    Objects are joined member by member, arrays one after the other, and anything else replaces what
    is before it, as OpenClaw merges what it includes. In objects that meet, `__proto__`,
    `prototype` and `constructor` are left out. Costs as much as there is in all pieces.
    """
    start = _start_of_run(pieces)
    run, replaced = pieces[start:], pieces[:start]
    piece = run[0] if len(run) == 1 else _join_run(run)
    hidden = [origin for each in reversed(replaced) for origin in _all_origins(each.trace)]
    if not hidden:
        return piece
    return Piece(piece.value, replace(piece.trace, hidden=(*hidden, *piece.trace.hidden)))


def override(below: Any, above: Any) -> Any:
    """
    Return *below* with *above* over it: objects member by member, all else replaced, arrays too.

    Neither is changed; the result shares with both. The same three keys are left out of *above*.
    """
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    merged = dict(below)
    for key, value in above.items():
        if key not in _SKIPPED:
            # Member by member: whoever overrides one setting of a section means no other.
            merged[key] = override(merged[key], value) if key in merged else value
    return merged


def _start_of_run(pieces: Sequence[Piece]) -> int:
    """Return from where on all pieces are objects, or all arrays; else the index of the last."""
    start = len(pieces) - 1
    kind = type(pieces[start].value)
    while kind in {dict, list} and start and type(pieces[start - 1].value) is kind:
        start -= 1
    return start


def _join_run(run: Sequence[Piece]) -> Piece:
    origins = tuple(origin for piece in reversed(run) for origin in piece.trace.origins)
    if isinstance(run[0].value, list):
        value = [each for piece in run for each in piece.value]
        traces = (trace for piece in run for trace in piece.trace.members().values())
        return Piece(value, Trace(origins, dict(enumerate(traces))))
    members: dict[str, list[Piece]] = {}
    for piece in run:
        traced = piece.trace.members()
        for key, each in piece.value.items():
            if key not in _SKIPPED:
                members.setdefault(key, []).append(Piece(each, traced[key]))
    whole = {key: join(pieces) for key, pieces in members.items()}
    children: dict[str | int, Trace] = {key: piece.trace for key, piece in whole.items()}
    return Piece({key: piece.value for key, piece in whole.items()}, Trace(origins, children))


def _all_origins(trace: Trace) -> tuple[Origin, ...]:
    return (*trace.origins, *trace.hidden)
