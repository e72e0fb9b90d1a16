from __future__ import annotations

import dataclasses
import enum
import inspect
import pickle
import re
import subprocess
import sys
import typing
from pathlib import Path, PurePosixPath

import pytest

import clawstate
import clawstate.types as values
from clawstate import (
    ApiKey,
    InvalidError,
    LockOptions,
    NotFoundError,
    PersistentDedupe,
    SessionEntry,
)

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"
SECRET = "sk-proj-0123456789abcdefghij"


def parts(state) -> dict[str, object]:
    names = ("memory", "config", "sessions", "transcripts", "pairing", "devices", "device_auth")
    others = ("identity", "dedupe", "matrix", "device_flow")
    return {
        "auth": state.auth(),
        "credentials": state.matrix.credentials(),
        **{name: getattr(state, name) for name in (*names, *others)},
    }


def classes(annotation) -> set[type]:
    """Return the classes that an annotation names, however deep."""
    if isinstance(annotation, type):
        return {annotation}
    return {each for part in typing.get_args(annotation) for each in classes(part)}


def given_back(part: object) -> set[type]:
    """Return the dataclasses that the public methods of *part* give back."""
    found: set[type] = set()
    for name, method in inspect.getmembers(type(part), callable):
        if not name.startswith("_"):
            module = sys.modules[method.__module__] if hasattr(method, "__module__") else None
            public = {each: getattr(values, each) for each in values.__all__}
            try:
                hints = typing.get_type_hints(method, {**public, **vars(module or values)})
            except NameError:
                continue  # what only a type checker imports
            found |= classes(hints.get("return"))
    return {each for each in found if dataclasses.is_dataclass(each)}


def test_what_the_stores_give_can_be_imported(state) -> None:
    """Each value that a public method returns is a name of `clawstate` and of `clawstate.types`."""
    public = {getattr(values, name) for name in values.__all__}

    missing = {name: given_back(part) - public for name, part in parts(state).items()}

    assert not {name: each for name, each in missing.items() if each}


@pytest.mark.parametrize("name", values.__all__)
def test_a_type_has_one_home(name: str) -> None:
    """`clawstate.X` and `clawstate.types.X` are the same, and say what they are."""
    found = getattr(clawstate, name)

    assert found is getattr(values, name)
    assert name in dir(clawstate)
    assert not isinstance(found, type) or (found.__doc__ or "").strip()


def test_types_are_loaded_when_they_are_used() -> None:
    """Importing `clawstate`, or `clawstate.types`, loads no store, no engine and no event loop."""
    code = (
        "import sys, clawstate, clawstate.types; "
        "print([each for each in sys.modules if each.startswith('clawstate.')"
        " or each in ('asyncio', 'pydantic', 'apsw')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    known = {"clawstate.errors", "clawstate.version", "clawstate.types"}
    assert set(re.findall(r"'([\w.]+)'", done.stdout)) == known


def described() -> dict[str, set[str]]:
    """Return what the reference says: the fields of each type."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", told)) for name, told in rows}


@pytest.mark.parametrize("name", [each for each in values.__all__ if each != "Credential"])
def test_the_reference_describes_each_field(name: str) -> None:
    """docs/reference/python.md lists the fields of each type, all of them and no others."""
    found = getattr(values, name)
    if isinstance(found, enum.EnumMeta):
        fields = {each.name for each in found}
    elif dataclasses.is_dataclass(found):
        fields = {each.name for each in dataclasses.fields(found) if not each.name.startswith("_")}
    else:
        fields = {"name", "scopes", "token", "role", "updated_at"} & set(dir(found)) or set()

    assert described().get(name) == fields or not fields


def test_a_store_says_what_it_is(state) -> None:
    """The repr of each part names it and its place, and opens nothing."""
    for name, part in parts(state).items():
        assert " object at 0x" not in repr(part), name
    assert not state.paths.root.exists()


def test_a_message_tells_what_was_said(state) -> None:
    """The repr of a message has who said it and the words, shortened, without a secret."""
    session = state.sessions.resolve("telegram:42").session_id
    state.transcripts.append(session, [{"role": "user", "content": f"my key is {SECRET}"}])
    state.transcripts.append(session, [{"role": "assistant", "content": "tea\n" * 500}])
    state.transcripts.append(session, [{"type": "model_change", "modelId": "x"}])

    said, answered, noted = state.transcripts.messages(session)

    assert "user, 'my key is [redacted]'" in repr(said)
    assert repr(answered).startswith("Message(assistant, 'tea tea tea")
    assert len(repr(answered)) < 250
    assert (noted.role, repr(noted)[:21]) == ("", "Message(model_change,")
    assert isinstance(pickle.loads(pickle.dumps(said)), clawstate.Message)


def test_no_repr_shows_a_secret(state) -> None:
    """Neither a credential nor what holds it shows the secret."""
    state.auth().upsert("openai:default", {"type": "api_key", "provider": "openai", "key": SECRET})

    found = state.auth().get("openai:default")

    assert isinstance(found, ApiKey)
    assert SECRET not in f"{found!r} {state.auth().profiles()!r} {state.auth()!r} {state!r}"


def test_a_key_in_the_place_of_an_id_is_explained(state) -> None:
    """The key of a session where its id belongs is refused with how to get the id."""
    message = [{"role": "user", "content": "x"}]

    for call in (
        lambda: state.transcripts.append("telegram:42", message),
        lambda: state.transcripts.messages("telegram:42"),
        lambda: state.transcripts.delete("telegram:42"),
    ):
        with pytest.raises(InvalidError, match=r"sessions\.resolve\(key\)\.session_id"):
            call()


def test_credentials_belong_to_an_agent(state) -> None:
    """`state.auth.order` says to call `state.auth()`; `hasattr` still answers."""
    with pytest.raises(AttributeError, match=r"state\.auth\(\)\.order"):
        state.auth.order("openai")
    assert not hasattr(state.auth, "order")
    assert state.auth() is state.auth(agent_id="main")


def test_a_session_that_is_not_there_cannot_be_changed(state) -> None:
    """`sessions.update` of a key without a session says so, and makes none."""
    for change in ({"label": "x"}, lambda old: {**old, "n": 1}):
        with pytest.raises(NotFoundError, match=r"missing.*resolve"):
            state.sessions.update("missing", change)

    assert state.sessions.get("missing") is None
    assert isinstance(state.sessions.resolve("missing"), SessionEntry)


def test_dedupe_as_the_specification_writes_it(tmp_path, clock) -> None:
    """`PersistentDedupe` takes the specification's settings and writes OpenClaw's file."""
    dedupe = PersistentDedupe(
        ttl_ms=60_000,
        memory_max_size=10,
        file_max_entries=2,
        resolve_file_path=lambda namespace: tmp_path / f"{namespace}.json",
        clock=clock,
    )

    assert [dedupe.check_and_record(key, "telegram") for key in "aabc"] == [True, False, True, True]
    clock.advance(61)
    assert dedupe.check_and_record("c", "telegram")
    assert (tmp_path / "telegram.json").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"resolve_file_path": "x"},
        {"ttl_ms": "1d"},
        {"ttl_ms": -1},
        {"ttl_ms": float("nan")},
        {"ttl_ms": 10**400},
        {"memory_max_size": 1.5},
        {"memory_max_size": True},
        {"file_max_entries": -1},
        {"lock": 5},
        {"lock": {"patience": 1}},
    ],
)
def test_dedupe_refuses_what_it_cannot_work_with(tmp_path, settings) -> None:
    """A setting that makes no sense is an `InvalidError` that names it."""
    known = {"resolve_file_path": lambda name: tmp_path / name} if settings else {}

    with pytest.raises(InvalidError):
        PersistentDedupe(**{**known, **settings})


class Nested:
    """The nested form as an object."""

    retries = 3
    factor = 3.0
    minTimeout = 50  # noqa: N815 - the specification's spelling
    randomize = False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"retries": {"retries": 3, "factor": 3, "min_timeout": 0.5, "randomize": False}},
            LockOptions(3, 3, 0.5, randomize=False),
        ),
        (
            {"retries": {"retries": 10, "minTimeout": 100, "maxTimeout": 10_000}, "stale": 30_000},
            LockOptions(),
        ),
        ({"retries": Nested()}, LockOptions(3, 3.0, 0.05, randomize=False)),
        ({"retries": {}}, LockOptions()),
        ({"retries": 2, "timeout": 1}, LockOptions(2, timeout=1)),
    ],
)
def test_lock_options_in_the_specifications_form(tmp_path, given, expected) -> None:
    """The nested form means what the flat one does, to `LockOptions` and to `file_lock` itself."""
    assert LockOptions(**given) == expected
    with clawstate.file_lock(tmp_path / "x.json", given):
        pass
    assert clawstate.with_file_lock(tmp_path / "x.json", lambda: 7, given) == 7


@pytest.mark.parametrize(
    "given",
    [
        {"retries": {"attempts": 3}},
        {"retries": {"retries": "3"}},
        {"retries": {"factor": None}},
        {"retries": {"minTimeout": "100"}},
        {"retries": {"minTimeout": 100}, "stale": None},
        {"retries": {"randomize": 1}},
        {"retries": object()},
        {"retries": [3]},
        {"retries": None},
        {"retries": True},
        {"retries": 1.5},
        {"retries": -1},
        {"stale": "30s"},
        {"stale": 0},
        {"factor": float("nan")},
        {"timeout": {}},
    ],
)
def test_lock_options_refuse_what_makes_no_sense(tmp_path, given) -> None:
    """A member that is unknown, or of the wrong kind, is an `InvalidError`."""
    with pytest.raises(InvalidError):
        LockOptions(**given)
    with pytest.raises(InvalidError), clawstate.file_lock(tmp_path / "x.json", given):
        pass


@pytest.mark.parametrize("given", [5, "fast", {"patience": 1}, {1: 2}, []])
def test_what_are_no_lock_options_is_refused(tmp_path, given) -> None:
    """`file_lock` says what it takes."""
    with pytest.raises(InvalidError), clawstate.file_lock(tmp_path / "x.json", given):
        pass
    assert PurePosixPath("x.json.lock") not in {each.name for each in tmp_path.iterdir()}
