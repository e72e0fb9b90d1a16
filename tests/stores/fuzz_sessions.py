"""
Feeds an index and a profile with whatever a fuzzer thinks of: `python fuzz_sessions.py <seconds>`.

Ends with 0 when nothing but a `StateError` was ever raised, and nothing damaged was overwritten.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["clawstate.stores.sessions", "clawstate.records"]):
    from clawstate.errors import CorruptError, StateError
    from clawstate.state.sessions import open_index

PLACES = ("sessions.json", "agents/main/sessions/sessions.json")
FOLDER = Path(tempfile.mkdtemp(dir=Path.cwd()))
KEYS = ("k", "K", " k ", "", "a/../b", "x" * 1025, "con")
NAMES = ("sessionId", "sessionKey", "sessionFile", "updatedAt", "fromIndex", "model", "provider")
VALUES = (
    "a", "../../x", "", "k", "K", 5, -5, 10**400, 1e300, True, None, [], ["sessionId"], {},
    {"a": 1}, "/etc/passwd", "sub/x.jsonl", "profile/k.json", "\ud800", "a\0b", "x" * 129,
)  # fmt: skip


def made(provider: atheris.FuzzedDataProvider) -> bytes:
    """Return the text of an index or a profile, some of it damaged."""
    if provider.ConsumeIntInRange(0, 3) == 0:
        return provider.ConsumeBytes(200)
    entries = {pick(provider, KEYS): entry(provider) for _ in range(pick(provider, (0, 1, 1, 3)))}
    whole = entries if provider.ConsumeBool() else entry(provider)
    text = json.dumps(whole).encode()
    if provider.ConsumeIntInRange(0, 3) == 0 and text:
        spot = provider.ConsumeIntInRange(0, len(text) - 1)
        return text[:spot] + provider.ConsumeBytes(2) + text[spot + 1 :]
    return text


def entry(provider: atheris.FuzzedDataProvider) -> object:
    if provider.ConsumeIntInRange(0, 9) == 0:
        return pick(provider, VALUES)
    names = range(provider.ConsumeIntInRange(0, 6))
    return {pick(provider, NAMES): pick(provider, VALUES) for _ in names}


def pick(provider: atheris.FuzzedDataProvider, choices: Sequence[Any]) -> Any:
    return choices[provider.ConsumeIntInRange(0, len(choices) - 1)]


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    path, key = FOLDER / pick(provider, PLACES), pick(provider, KEYS)
    index, profile = made(provider), made(provider)
    shutil.rmtree(FOLDER)
    (path.parent / "profile").mkdir(parents=True)
    path.write_bytes(index)
    (path.parent / "profile/k.json").write_bytes(profile)
    os.utime(path, (0, 0))
    sessions = open_index(path)
    for call in (
        sessions.entries,
        lambda: sessions.get(key),
        sessions.check,
        lambda: sessions.update(key, {"n": 1}),
        lambda: sessions.resolve("k"),
        lambda: sessions.prune(max_entries=3),
        lambda: sessions.delete("k"),
        lambda: sessions.restore("k"),
        sessions.repair,
    ):
        try:
            call()
        except CorruptError:
            if not is_document(index):
                assert path.read_bytes() == index
        except StateError:
            pass
    for each in sessions.archived():
        assert "/" not in each.archive


def is_document(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # On a busy machine one input may take long: nothing is held against it.
    options = ["-timeout=60", "-verbosity=0", "-len_control=0", "-max_len=600"]
    atheris.Setup([sys.argv[0], f"-max_total_time={sys.argv[1]}", *options], one_input)
    atheris.Fuzz()
