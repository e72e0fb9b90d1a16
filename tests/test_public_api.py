from __future__ import annotations

import dataclasses
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import clawstate
from clawstate import Hit, Memory, MemoryRecord, State

TYPED = Path(__file__).parent / "typing" / "api.py"

RECORD_FIELDS = {
    *("title", "headings", "names"),
    "id", "text", "source", "tags", "metadata", "importance", "category", "namespace",
    "thread", "position", "created_at", "updated_at", "expires_at",
}  # fmt: skip
ADDED = {
    "source": None,
    "tags": (),
    "metadata": None,
    "importance": 0.7,
    "category": "other",
    "ttl": None,
    "namespace": "default",
    "thread": None,
    "position": None,
    "title": None,
    "headings": (),
    "names": (),
}
SEARCHED = {
    "k": 10,
    "mode": "hybrid",
    "namespace": "default",
    "tags": None,
    "source": None,
    "where": None,
    "since": None,
    "until": None,
    "min_score": 0.0,
    "explain": False,
    "as_of": None,
    "fresh": False,
}


def named(function) -> dict[str, object]:
    """Return the keyword-only settings of *function* with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def placed(function) -> list[str]:
    """Return the names that may be given by position, without self."""
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    return [name for name in names if name != "self"]


def test_add_takes_what_the_contract_names() -> None:
    """`memory.add` takes a text and these settings, by keyword, with these defaults."""
    assert (placed(Memory.add), named(Memory.add)) == (["text"], ADDED)


def test_search_takes_what_the_contract_names() -> None:
    """`memory.search` takes a query and these settings, by keyword, with these defaults."""
    assert (placed(Memory.search), named(Memory.search)) == (["query"], SEARCHED)


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        ("add_many", ["records", "progress"]),
        ("get", ["record_id"]),
        ("update", ["record_id"]),
        ("delete", ["record_id"]),
        ("records", []),
        ("optimize", []),
        ("stats", []),
        ("close", []),
    ],
)
def test_the_verbs_of_a_memory(verb: str, names: list[str]) -> None:
    """The other verbs exist and take these names by position."""
    assert placed(getattr(Memory, verb)) == names


STORES = {
    "auth": {
        "upsert": ["profile_id", "credential"],
        "get": ["profile_id"],
        "profiles": [],
        "remove": ["profile_id"],
        "reload": [],
        "order": ["provider"],
        "mark_used": ["profile_id"],
        "mark_failure": ["profile_id", "reason"],
        "refresh": ["profile_id", "refresher"],
    },
    "sessions": {
        "resolve": ["key"],
        "get": ["key"],
        "entries": ["active_within"],
        "update": ["key", "change"],
        "delete": ["key"],
        "prune": [],
    },
    "transcripts": {
        "append": ["session_id", "messages"],
        "messages": ["session_id", "limit", "before", "after"],
        "search": ["text", "session_id", "limit", "role", "since", "until"],
    },
    "pairing": {"request": [], "pending": [], "approve": ["code"], "reject": ["code"]},
    "devices": {
        "paired": [],
        "verify": ["device_id", "token", "scopes"],
        "rotate": ["device_id"],
        "revoke": ["device_id"],
    },
    "device_auth": {"tokens": [], "set": ["name", "token", "scopes"], "remove": ["name"]},
    "dedupe": {"check_and_record": ["key", "namespace"]},
}
FUNCTIONS = {
    "load_auth_profile_store",
    "reload_auth_profile_store",
    "resolve_and_persist_session_file",
    "save_auth_profile_store",
    "update_session_store",
    "upsert_auth_profile",
    "PersistentDedupe",
}


@pytest.mark.parametrize("noun", STORES)
def test_the_verbs_of_a_store(state, noun: str) -> None:
    """Each store of a state has the verbs of the contract, with these names by position."""
    store = state.auth() if noun == "auth" else getattr(state, noun)

    assert {verb: placed(getattr(store, verb)) for verb in STORES[noun]} == STORES[noun]


def test_a_request_names_user_and_device(state) -> None:
    """`pairing.request` takes who asks by keyword."""
    assert {"user_id", "device_id", "account_id"} <= named(state.pairing.request).keys()


def test_the_functions_of_the_stores_are_public() -> None:
    """The functions by the specification's names are names of the package."""
    assert set(clawstate.__all__) >= FUNCTIONS
    assert all(callable(getattr(clawstate, name)) for name in FUNCTIONS)


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_the_stores_work_as_the_contract_shows(tmp_path: Path, store: str) -> None:
    """What the contract shows works on each engine, one store after the other."""
    key = {"type": "api_key", "provider": "openai", "key": "sk-0123456789"}
    with clawstate.open(tmp_path / "state", store=store) as state:
        state.auth(agent_id="main").upsert("openai:default", key)
        entry = state.sessions.resolve("telegram:42")
        state.transcripts.append(entry.session_id, [{"role": "user", "content": "green tea"}])
        request = state.pairing.request(user_id="ada", device_id="phone", account_id=None)
        issued = state.pairing.approve(request.code)
        state.device_auth.set("gateway", "token-of-another")

        assert state.auth().order("openai") == ("openai:default",)
        assert state.sessions.get("telegram:42") == entry
        assert [each.text for each in state.transcripts.messages(entry.session_id)] == ["green tea"]
        assert len(state.transcripts.search("tea")) == 1
        assert state.pairing.pending() == ()
        assert state.devices.verify("phone", issued.token) is not None
        assert state.devices.verify("phone", "another") is None
        assert [*state.device_auth.tokens()] == ["gateway"]
        assert state.dedupe.check_and_record("key", namespace="telegram")
        assert not state.dedupe.check_and_record("key", namespace="telegram")


def test_pages_take_what_the_contract_names() -> None:
    """`memory.records` can be restricted, and goes on behind an id."""
    settings = named(Memory.records)

    assert {"where", "namespace", "after", "limit"} <= settings.keys()
    assert (settings["after"], settings["limit"]) == (None, 100)


def test_a_record_has_the_fields_of_the_contract() -> None:
    """`MemoryRecord` has exactly the fields of the contract, and cannot be changed."""
    record = MemoryRecord(text="x")

    assert {each.name for each in dataclasses.fields(MemoryRecord)} == RECORD_FIELDS
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.text = "y"  # type: ignore[misc]


def test_a_hit_has_a_record_and_scores() -> None:
    """`Hit` has the record, the score, the score of each leg, and where asked for its reasons."""
    fields = [each.name for each in dataclasses.fields(Hit)]

    assert fields == ["record", "score", "words_score", "vector_score", "explanation"]


def test_open_gives_a_state_at_a_path(tmp_path: Path) -> None:
    """`open` takes a str or a path, and its state closes at the end of the block."""
    for path in (tmp_path / "a", str(tmp_path / "a"), os.fspath(tmp_path / "b")):
        with clawstate.open(path) as state:
            assert isinstance(state, State)
            assert isinstance(state.memory, Memory)
            assert state.paths.root == Path(path)
        with pytest.raises(clawstate.ClosedError):
            state.memory.add("too late")


def test_open_without_a_path_is_the_environments(tmp_path: Path, monkeypatch) -> None:
    """Without a path it is `$OPENCLAW_STATE_DIR`, and without that `~/.openclaw`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OPENCLAW_HOME", raising=False)
    monkeypatch.delenv("CLAWDBOT_STATE_DIR", raising=False)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "named"))
    with clawstate.open() as state:
        assert state.paths.root == tmp_path / "named"

    monkeypatch.delenv("OPENCLAW_STATE_DIR")
    with clawstate.open() as state:
        assert state.paths.root == tmp_path / ".openclaw"


def test_the_example_of_the_package_works(tmp_path: Path) -> None:
    """What the package's docstring shows finds what it added."""
    with clawstate.open(tmp_path / "state") as state:
        made = state.memory.add("Ada prefers tea", tags=["preference"])
        hits = state.memory.search("what does Ada drink?")

    assert [hit.record.id for hit in hits] == [made]


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    """A state can be closed again."""
    state = clawstate.open(tmp_path / "state")
    state.memory.add("x")

    state.close()
    state.close()


def test_types_are_those_of_the_contract(tmp_path: Path) -> None:
    """A program that uses the public names as the contract shows passes mypy --strict."""
    sources = Path(clawstate.__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--follow-imports=silent",
            f"--cache-dir={tmp_path}",
            "--config-file=",
            str(TYPED),
        ],
        env={**os.environ, "MYPYPATH": str(sources), "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
