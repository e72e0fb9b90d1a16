"""No argument of a wrong type or size brings anything but a typed error, or an answer in time."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import clawstate
from clawstate.errors import StateError

STORES = ("auth", "config", "dedupe", "device_auth", "devices", "directories", "encryption")
STORES += ("identity", "memory", "openclaw", "pairing", "sessions", "transcripts")
FUNCTIONS = sorted(
    name
    for name in clawstate.__all__
    if callable(getattr(clawstate, name)) and not inspect.isclass(getattr(clawstate, name))
)
CLASSES = ("DirectoryCache", "FileLock", "LockOptions", "TTLCache")
PATIENCE = 20  # seconds: longer than any of these calls may take
GOOD: dict[str, Any] = {
    "agent_id": "main",
    "at": "0a543b42",
    "caller_scopes": ["operator.admin"],
    "change": lambda records: (records, None),
    "choice": "file",
    "config": {},
    "credential": {"type": "api_key", "provider": "openai", "key": "sk-made-up-of-the-test"},
    "data": {},
    "document": {},
    "documents": {},
    "entries": {},
    "ids": ["openai:default"],
    "judge": lambda *_: None,
    "key": "agent:main:main",
    "keys": ["one"],
    "lines": [],
    "listener": lambda *_: None,
    "marks": {},
    "max_size": 8,
    "messages": [{"role": "user", "content": "tea"}],
    "mutator": lambda _: None,
    "path": "gateway.port",
    "predicate": lambda _: False,
    "profile_id": "openai:default",
    "reason": "rate_limit",
    "record_ids": ["x"],
    "records": [{"text": "tea"}],
    "refresher": lambda _: None,
    "scopes": ["operator.read"],
    "store": {},
    "value": 7,
    "work": lambda: None,
}
"""What a parameter without a default is given while another one is tried; text if not here."""


def odd_values() -> dict[str, Any]:
    """Return values of all kinds that hardly any parameter is meant for."""
    circle: dict[str, Any] = {}
    circle["me"] = circle
    ring: list[Any] = []
    ring.append(ring)
    return {
        "None": None,
        "number": 5,
        "negative": -1,
        "bytes": b"x",
        "object": object(),
        "half": "\ud800",
        "null": "a\0b",
        "empty": "",
        "long": "x" * 100_000,
        "nan": float("nan"),
        "infinity": float("inf"),
        "huge": 10**5000,
        "bool": True,
        "dict": {},
        "list": [],
        "circle": circle,
        "ring": ring,
        "function": lambda *_: None,
    }


class TooLongError(BaseException):
    """A call did not come back."""


@contextmanager
def in_time() -> Iterator[None]:
    """Raise `TooLongError` in a block that takes too long."""

    def ring(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def calls_of(call: Callable[..., Any]) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """Yield what to call with, for each parameter and each odd value, and its name."""
    kinds = inspect.Parameter
    parameters = [
        each
        for each in inspect.signature(call).parameters.values()
        if each.kind not in {kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD}
    ]
    for tried in parameters:
        for name, odd in odd_values().items():
            placed: list[Any] = []
            named: dict[str, Any] = {}
            for each in parameters:
                if each is not tried and each.default is not kinds.empty:
                    continue
                given = odd if each is tried else GOOD.get(each.name, "x")
                if each.kind is kinds.POSITIONAL_ONLY:
                    placed.append(given)
                else:
                    named[each.name] = given
            yield f"{tried.name}={name}", placed, named


def raw_errors(name: str, call: Callable[..., Any]) -> list[str]:
    """Return what *call* raised that is no `StateError`, for each odd argument."""
    found = []
    for what, placed, named in calls_of(call):
        try:
            with in_time():
                _used(call(*placed, **named))
        except StateError:
            continue
        except (Exception, TooLongError) as error:  # noqa: BLE001 - any of them is a finding
            found.append(f"{name}({what}): {type(error).__name__}: {error!s:.80}")
    return found


def _used(answer: Any) -> None:
    """Let an answer do what it is for: be awaited, entered, iterated or closed."""
    if inspect.iscoroutine(answer):
        asyncio.run(_closed(answer))
    elif inspect.isgenerator(answer):
        list(answer)
    elif hasattr(answer, "__enter__"):
        with answer:
            pass
    elif hasattr(answer, "close"):
        answer.close()


async def _closed(opening: Any) -> None:
    await (await opening).close()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "default"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture(autouse=True)
def quiet_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make sure that nothing that was begun fails later in a thread."""
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    yield
    assert failed == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ["file", "sqlite"])
@pytest.mark.parametrize("name", STORES)
def test_wrong_arguments_of_stores(place: Path, name: str, engine: str) -> None:
    """Every public method of a store refuses what it cannot use with a `StateError`."""
    found = []
    with clawstate.open(place / "state", store=engine) as state:
        store = state.auth() if name == "auth" else getattr(state, name)
        for member, static in inspect.getmembers_static(type(store)):
            if not (member.startswith("_") or isinstance(static, property) or member == "close"):
                found += raw_errors(f"{name}.{member}", getattr(store, member))

    assert found == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_arguments_of_functions(name: str) -> None:
    """So does every function of `clawstate`."""
    assert raw_errors(name, getattr(clawstate, name)) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLASSES)
def test_wrong_arguments_of_classes(name: str) -> None:
    """So does every class that is made with settings."""
    assert raw_errors(name, getattr(clawstate, name)) == []


@pytest.mark.filterwarnings("ignore")
def test_wrong_arguments_of_the_state(place: Path) -> None:
    """So does the method of the state that takes an argument."""
    with closing(clawstate.open(place / "state")) as state:
        assert raw_errors("auth", state.auth) == []


@pytest.mark.parametrize("text", [5, None, b"{}", {}, [], object()])
def test_text_of_a_configuration_that_is_none(place: Path, text: object) -> None:
    """`config.replace` of something else than text is refused, and names what it was."""
    with (
        clawstate.open(place / "state") as state,
        pytest.raises(clawstate.InvalidError, match=f"is {type(text).__name__}, not text"),
    ):
        state.config.replace(text)  # type: ignore[arg-type]
