from __future__ import annotations

import json
import os
import stat

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clawstate.errors import CorruptError
from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.json_text import parse_json

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SAFE = 2**53 - 1  # JavaScript keeps no larger integer exactly
TEXT = st.text(st.characters(), max_size=20)
KEYS = TEXT | st.integers(-3, 2**33).map(str) | st.sampled_from(["__proto__", "01", "1e3", ""])
NUMBERS = st.integers(-SAFE, SAFE) | st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
CORPUS = {
    "nothing": "{}",
    "pairing": '{"version":1,"requests":[{"id":"4242","code":"G3BZCC4Z",'
    '"createdAt":"2026-11-22T19:10:57.989Z","lastSeenAt":"2026-11-22T19:10:57.989Z",'
    '"meta":{"accountId":"work"}}]}',
    "allow list": '{"version":1,"allowFrom":["4242","+491701234567","Ada Łovelace 🦞"]}',
    "dedupe": '{"evt_10":1763838657989,"42":1763838657990,"7":1763838657991,"msg:\\"x\\"":1}',
    "floats": "[1.0,-0.0,0.00009426,9.426e-05,1e-7,1e-6,1e20,1e21,1.5e300,5e-324,0.1,100.25]",
    "text": '["\\u0000\\u001f\\u007f\\u2028\\u2029","\\ud83e\\udd9e","\\ud83e","\\udd9e\\ud83e"]',
    "order of keys": '{"b":0,"10":1,"9":2,"4294967294":3,"4294967295":4,"-1":5,"01":6,"":7}',
    "a key twice": '{"a":1,"b":2,"a":3}',
    "empty parts": '{"a":[],"b":{},"c":[[]],"d":[{}],"e":null,"f":""}',
    "deep": "[" * 200 + "]" * 200,
    "bare values": '"only text"',
}

pytestmark = pytest.mark.interop


def ours(folder, text):
    path = folder / "ours" / "a.json"
    write_json_file_atomically(path, parse_json(text, path=path))
    return path


def theirs(folder, peer, text):
    path = folder / "theirs" / "a.json"
    peer.ask("write", path=path, text=text)
    return path


def comparable(value):
    """Return a value that is equal for what JavaScript writes alike."""
    return json.loads(json.dumps(value), parse_int=float)


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS.keys())
def test_corpus_is_written_alike(tmp_path, peer, text) -> None:
    """A document of the kinds that OpenClaw keeps is the same file, whoever of us writes it."""
    mine, other = ours(tmp_path, text), theirs(tmp_path, peer, text)

    assert mine.read_bytes() == other.read_bytes()
    assert peer.ask("read", path=mine)["value"] == peer.ask("read", path=other)["value"]
    assert parse_json(other.read_bytes(), path=other) == parse_json(mine.read_bytes(), path=mine)


@settings(
    max_examples=2000 if FULL else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=DOCUMENTS)
@example(value=-0.0)
@example(value={"": {"__proto__": [1e21, 1e-7, 123456789012345680000.0]}})
def test_any_document_is_written_alike(tmp_path, peer, value) -> None:
    """Any document is the same file, whoever of us writes it, and each reads it back."""
    text = json.dumps(value)

    mine, other = ours(tmp_path, text), theirs(tmp_path, peer, text)

    assert mine.read_bytes() == other.read_bytes()
    assert comparable(peer.ask("read", path=mine)["value"]) == comparable(value)
    assert comparable(parse_json(other.read_bytes(), path=other)) == comparable(value)


def test_modes_are_alike(tmp_path, peer) -> None:
    """What either of us writes is private, and so is the folder made for it."""
    paths = ours(tmp_path, "{}"), theirs(tmp_path, peer, "{}")

    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "{", '\ufeff{"a":1}', "[1,]", "{'a':1}", "NaN"])
def test_same_damage_is_refused(tmp_path, peer, text) -> None:
    """What OpenClaw takes for a damaged file is one for us, too, and never the other way round."""
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")

    answer = peer.ask("read", path=path, fallback="nothing")

    assert answer["value"] == "nothing"
    with pytest.raises(CorruptError):
        parse_json(path.read_bytes(), path=path)
