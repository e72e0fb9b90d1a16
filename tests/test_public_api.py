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
    """`Hit` has the record, the score, and the score of each leg."""
    fields = [each.name for each in dataclasses.fields(Hit)]

    assert fields == ["record", "score", "words_score", "vector_score"]


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
