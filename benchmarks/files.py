"""Files: a locked durable update, and a durable write, against the bare system calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bare
from clawstate.files.atomic import write_atomic, write_json_file_atomically
from clawstate.files.lock import FileLock
from clawstate.records.json_files import JsonFilesBackend
from devices import SECTION, SHAPE, SMALL, fill, key, used
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "Durable files, nobody else around"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS, CALLS = 120, 2
TARGET = 1.3

UPDATE, BY_HAND = "Collection.update", "FileLock + write_json_file_atomically"
BARE, BARE_JSON = "bare system calls", "bare system calls + json"
LOCK, BARE_LOCK = "FileLock alone", "bare lock file alone"
WRITE, BARE_WRITE, UNSAFE = "write_atomic", "bare system calls", "temp + rename, no fsync"


def measure(bench: Workbench) -> Figures:
    """Return the times of an update of a small file, and of writes by size."""
    return {
        "update": _update(bench.scratch),
        "sizes": {size: _sizes(bench.scratch, size) for size in SIZES},
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    update = result["update"]
    yield f"One record of {SMALL} in a file of {update['bytes']:,} bytes updated"
    yield from table(update["arms"])
    for (ours, rival), each in _RATIOS.items():
        yield told(update["ratios"][_named(ours, rival)], _named(ours, rival), each)
    for size, found in result["sizes"].items():
        yield f"A file of {int(size):,} bytes written"
        yield from table(found["arms"])
        for rival, each in found["ratios"].items():
            yield told(each, f"{WRITE} / {rival}", TARGET if rival == BARE_WRITE else None)


_RATIOS = {
    (UPDATE, BARE_JSON): TARGET,
    (UPDATE, BARE): None,
    (BY_HAND, BARE_JSON): TARGET,
    (BY_HAND, BARE): None,
    (LOCK, BARE_LOCK): None,
}


def _named(ours: str, rival: str) -> str:
    return f"{ours} / {rival}"


def _update(scratch: Path) -> Figures:
    collections = {}
    paths = {}
    for name in (UPDATE, BY_HAND, BARE, BARE_JSON):  # a folder each
        root = scratch / name
        collections[name] = JsonFilesBackend(root).collection(SHAPE)
        fill(collections[name], SMALL)
        paths[name] = root / SHAPE.path
    same = paths[BARE].read_bytes()
    texts = {name: str(path) for name, path in paths.items()}
    arms: dict[str, Arm] = {
        UPDATE: lambda n: collections[UPDATE].update(key(n), used),
        BY_HAND: lambda n: _by_hand(paths[BY_HAND], n),
        BARE_JSON: lambda n: bare.update(texts[BARE_JSON], lambda old: _changed(old, n)),
        BARE: lambda _: bare.update(texts[BARE], lambda _: same),
        LOCK: lambda _: _held(paths[BY_HAND]),
        BARE_LOCK: lambda _: bare.locked(texts[BARE]),
    }
    figures = turns(arms, range(CALLS), rounds=ROUNDS)
    ratios = {_named(ours, rival): ratio(figures, ours, rival) for ours, rival in _RATIOS}
    return {"bytes": len(same), "arms": figures, "ratios": ratios}


def _by_hand(path: Path, number: int) -> None:
    with FileLock(path) as lock:
        document = json.loads(path.read_bytes())
        document[SECTION][key(number)]["uses"] += 1
        write_json_file_atomically(path, document, fence=lock.confirm)


def _changed(old: bytes, number: int) -> bytes:
    document = json.loads(old)
    document[SECTION][key(number)]["uses"] += 1
    return json.dumps(document, indent=2).encode()


def _held(path: Path) -> None:
    with FileLock(path):
        pass


def _sizes(scratch: Path, size: int) -> Figures:
    data = b"clawstate " * (size // 10)
    folder = scratch / f"size-{size}"
    folder.mkdir()
    ours, fast, unsafe = folder / "ours", str(folder / "bare"), str(folder / "unsafe")
    arms: dict[str, Arm] = {
        WRITE: lambda _: write_atomic(ours, data),
        BARE_WRITE: lambda _: bare.replace(fast, data),
        UNSAFE: lambda _: bare.replace(unsafe, data, durably=False),
    }
    figures = turns(arms, range(CALLS), rounds=ROUNDS // 2)
    ratios = {rival: ratio(figures, WRITE, rival) for rival in (BARE_WRITE, UNSAFE)}
    return {"arms": figures, "ratios": ratios}
