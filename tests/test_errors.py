from __future__ import annotations

import copy
import inspect
import pickle
import re
import threading
import warnings
from pathlib import Path

import pytest

import clawstate
from clawstate import errors
from clawstate.files.os_errors import os_errors

CODES = {
    "StateError": "internal",
    "NotFoundError": "not_found",
    "ConflictError": "conflict",
    "InvalidError": "invalid",
    "ConfigError": "config",
    "DimensionError": "dimension",
    "LimitError": "limit",
    "LeaseLostError": "lease_lost",
    "LockLostError": "lock_lost",
    "LockTimeoutError": "locked",
    "CorruptError": "corrupt",
    "VersionError": "version",
    "UnavailableError": "unavailable",
    "MissingExtraError": "missing_extra",
    "EmbeddingError": "embedding",
    "ClosedError": "closed",
}
EXAMPLES = [
    errors.StateError("something"),
    errors.NotFoundError("memory", "a", "look elsewhere"),
    errors.ConflictError("memory", "a"),
    errors.InvalidError("text", "is empty", "write something"),
    errors.ConfigError("gateway.port", "is no number"),
    errors.DimensionError(256, 3),
    errors.LimitError("pairing requests", 3),
    errors.LimitError("wrong codes", 5, "try again in 12.0 s", 12.0),
    errors.LeaseLostError("import", 7),
    errors.LockLostError("sessions.json"),
    errors.LockTimeoutError("memory.db", 30.0, "wait"),
    errors.LockTimeoutError("memory.db", 30.0, "wait", holder="process 7"),
    errors.CorruptError("memory.db", "is damaged"),
    errors.VersionError("memory.db", 9, 1),
    errors.UnavailableError("disk", "is full", "free some space"),
    errors.MissingExtraError("bench", "matplotlib"),
    errors.EmbeddingError("weights", "are damaged", "reinstall"),
    errors.ClosedError("memory.db"),
]
BUILTINS = {
    "NotFoundError": LookupError,
    "InvalidError": ValueError,
    "LockTimeoutError": TimeoutError,
    "MissingExtraError": ImportError,
    "StateWarning": UserWarning,
}


def classes() -> dict[str, type[BaseException]]:
    """Return every error and warning class of the module by name."""
    members = inspect.getmembers(errors, inspect.isclass)
    return {name: each for name, each in members if each.__module__ == errors.__name__}


def drawn_tree() -> dict[str, tuple[str | None, str]]:
    """Return what the module's docstring draws: each class with its parent and the rest."""
    drawn: dict[str, tuple[str | None, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│├└─ ]*)(\w+(?:Error|Warning)) ?(.*)", line)
        if match:
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            drawn[match[2]] = (above[depth - 1] if depth else None, match[3])
    return drawn


def test_the_drawn_tree_is_the_tree() -> None:
    """The module's docstring draws every class once, under its parent, with code and builtin."""
    expected = {}
    for name, each in classes().items():
        parents = [base.__name__ for base in each.__bases__ if base.__name__ in classes()]
        builtin = [base.__name__ for base in each.__bases__ if base.__name__ not in classes()]
        told = [each.__dict__["code"]] if "code" in each.__dict__ else []
        told += [f"({base})" for base in builtin if base != "Exception"]
        expected[name] = (parents[0] if parents else None, " ".join(told))

    assert drawn_tree() == expected


def test_codes_are_stable() -> None:
    """Each error has its own code, and none of them has moved."""
    found = {
        name: each.__dict__["code"]
        for name, each in classes().items()
        if issubclass(each, errors.StateError)
    }

    assert found == CODES
    assert len(set(found.values())) == len(found)


def test_every_error_has_an_example_here() -> None:
    """The laws below are asked of every class."""
    assert {type(each).__name__ for each in EXAMPLES} == set(CODES)


def test_all_are_public() -> None:
    """Every error and warning can be imported from `clawstate`."""
    assert classes().keys() <= set(clawstate.__all__)
    for name, each in classes().items():
        assert getattr(clawstate, name) is each


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_errors_are_what_callers_expect(name: str, builtin: type[BaseException]) -> None:
    """An error is also the builtin that a caller would catch."""
    assert issubclass(classes()[name], builtin)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda each: type(each).__name__)
def test_errors_survive_pickling_and_copying(error: errors.StateError) -> None:
    """Pickled or copied, an error has the same class, code, fields and sentence."""
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(made) is type(error)
        assert made.code == error.code
        assert vars(made) == vars(error)
        assert (str(made), made.args) == (str(error), error.args)


@pytest.mark.parametrize("error", EXAMPLES[1:], ids=lambda each: type(each).__name__)
def test_errors_build_one_sentence_of_their_fields(error: errors.StateError) -> None:
    """The sentence is one line without a full stop, and holds each field that says something."""
    sentence = str(error)

    assert sentence
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    for name, value in vars(error).items():
        shown = f"{value:.1f}" if isinstance(value, float) else str(value)
        assert value is None or shown in sentence, name


def test_silence_is_of_one_thread() -> None:
    """What one thread keeps to itself is told in another, also where their blocks overlap."""
    inside, ended = threading.Event(), threading.Event()
    message = errors.CorruptWarning("a file is damaged")

    def look() -> None:
        with errors.silent(errors.CorruptWarning):
            inside.set()
            ended.wait()
            errors.warn(message)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other = threading.Thread(target=look)
        other.start()
        inside.wait()
        errors.warn(message)
        with errors.silent(errors.CorruptWarning):
            errors.warn(errors.FallbackWarning("of another kind"))
            ended.set()
            other.join()
        errors.warn(message)

    assert [each.category for each in caught] == [
        errors.CorruptWarning,
        errors.FallbackWarning,
        errors.CorruptWarning,
    ]
    assert {each.filename for each in caught} == {__file__}


def test_an_error_of_our_own_keeps_its_kind_where_errors_of_files_are_told() -> None:
    """What `os_errors` makes of errors of the system does not hide one that says more."""
    with (
        pytest.raises(errors.LockTimeoutError, match="held by 7"),
        os_errors(Path("f"), "was not written"),
    ):
        raise errors.LockTimeoutError("f", 1.0, holder="7")


def test_a_lock_that_nobody_waited_for_is_told_without_a_time() -> None:
    """A wait of unknown length is not told as one of no seconds."""
    assert str(errors.LockTimeoutError("db", 0.0, "try again")) == "db is locked; try again"
    assert "for 0.2 s" in str(errors.LockTimeoutError("db", 0.2))
