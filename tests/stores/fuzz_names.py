"""
A fuzz target: whatever the name, its file lies where it should and is nobody else's.

`python fuzz_names.py SECONDS` needs atheris. Ends with 0, or with a traceback and the input.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from clawstate.errors import InvalidError
    from clawstate.files.paths import StatePaths, normalise_account_id, normalise_agent_id
    from clawstate.files.safe_names import MAX_NAME_BYTES, decode_name, encode_name
    from clawstate.stores.dedupe.namespaces import require_namespace

ROOT = Path("/s")
PATHS = StatePaths(ROOT)
PLAIN = set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    one, other = provider.ConsumeUnicode(200), provider.ConsumeUnicode(200)
    for name in (one, other, f"{one}:{other}", f"{one}/{other}"):
        names(name)
    assert (encode_name(one) == encode_name(other)) == (one == other)
    assert (encode_name(one).casefold() == encode_name(other).casefold()) == (one == other)
    decoded(one)


def names(text: str) -> None:
    """Look at a session key, an agent, an account, a namespace and a pairing code of this name."""
    name = encode_name(text)
    assert 0 < len(name.encode("ascii")) <= MAX_NAME_BYTES
    assert set(name) <= PLAIN | set(".%=")
    assert not name.startswith(".")
    assert decode_name(name) in {text, None}
    for path in (PATHS.session_profile(text), PATHS.dedupe(text)):
        assert path.name == f"{name}.json"
        inside(path)
    for path in (PATHS.agent_config(text), PATHS.auth_profiles(text), PATHS.auth_cache(text)):
        inside(path)
    agent = normalise_agent_id(text)
    assert set(agent) <= PLAIN
    assert 0 < len(agent) <= 64
    assert normalise_agent_id(agent) == agent
    account(text)
    namespace(text)


def account(text: str) -> None:
    try:
        plain = normalise_account_id(text)
    except InvalidError:
        return
    assert set(plain) <= PLAIN
    inside(PATHS.matrix_account(text))


def namespace(text: str) -> None:
    try:
        trimmed = require_namespace(text)
    except InvalidError:
        assert len(text) > 1024 or any("\ud800" <= each <= "\udfff" for each in text)
        return
    assert trimmed
    assert require_namespace(trimmed) == trimmed


def inside(path: Path) -> None:
    assert path.is_relative_to(ROOT)
    assert not {"..", "."} & set(path.parts)
    assert "\0" not in str(path)


def decoded(text: str) -> None:
    """Take *text* for the name of a file that somebody put there."""
    try:
        key = decode_name(text)
    except InvalidError:
        return
    assert key is None or encode_name(key) == text


if __name__ == "__main__":
    seconds = sys.argv.pop(1)
    atheris.Setup([*sys.argv, f"-max_total_time={seconds}", "-max_len=1200"], one_input)
    atheris.Fuzz()
