from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from sample_configs import SOUND
from schema_walk import Spot, arms, spots

from clawstate.clock import to_ms
from clawstate.config.issues import check
from clawstate.config.own_settings import OWN
from clawstate.config.schema.root import Config, defaults, json_schema
from clawstate.errors import InvalidError
from clawstate.json5.parse import parse_document, parse_json5
from clawstate.quantities import duration_seconds, size_bytes

SCHEMA = json_schema()
EDITOR = Draft202012Validator(SCHEMA)
SPOTS = list(spots(SCHEMA))
WRONG = [True, 987654321, "a wrong kind of text", {"wrong": 1}, ["wrong"], None]
KIND = {dict: "object", list: "array"}


def refused(spot: Spot) -> list[object]:
    """Return the wrong values that are wrong in *spot* as a whole, by its schema."""
    judge = Draft202012Validator({**spot.schema, "$defs": SCHEMA["$defs"]})
    kinds = {arm.get("type") for arm in arms(spot.schema, SCHEMA["$defs"])}
    inside = [each for each in ({"wrong": 1}, ["wrong"]) if KIND[type(each)] in kinds]
    return [value for value in WRONG if value not in inside and not judge.is_valid(value)]


def is_open(spot: Spot) -> bool:
    """Tell whether one of the words of OpenClaw stands in *spot*."""
    choices = [arm for arm in arms(spot.schema, SCHEMA["$defs"]) if {"enum", "const"} & arm.keys()]
    is_ours = any(spot.path[: len(own)] == own for own in OWN)
    return any(isinstance(arm.get("const", ""), str) for arm in choices) and not is_ours


TYPED = [spot for spot in SPOTS if refused(spot)]


@pytest.mark.parametrize("name", SOUND)
def test_sound_configurations_have_no_issue(name: str) -> None:
    """What people have, of either dialect, is accepted without an error or a warning."""
    document = parse_document(SOUND[name], path=Path("openclaw.json"))

    assert check(document.value, document=document, text=SOUND[name]) == ()


@pytest.mark.parametrize("name", SOUND)
def test_editors_accept_sound_configurations(name: str) -> None:
    """The JSON Schema accepts what the check accepts."""
    value = parse_json5(SOUND[name], path=Path("openclaw.json"))

    assert [error.message for error in EDITOR.iter_errors(value)] == []


def test_json_schema_is_one_itself() -> None:
    """The JSON Schema is a valid document of the draft it names."""
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_of_the_json_schema_is_described() -> None:
    """An editor has a sentence for every key."""
    silent = [
        str(spot)
        for spot in SPOTS
        if isinstance(spot.path[-1], str)
        and spot.path[-1] not in {"any-key", "default"}
        and "description" not in spot.schema
        and "description" not in arms(spot.schema, SCHEMA["$defs"])[0]
    ]

    assert silent == []


def test_json_schema_says_nothing_needless() -> None:
    """The JSON Schema neither mentions null nor titles made from names, and allows more keys."""
    text = json.dumps(SCHEMA)

    assert "null" not in text
    assert [name for name, each in SCHEMA["$defs"].items() if "title" in each] == []
    assert SCHEMA["additionalProperties"] is True


def test_wrong_values_are_tried_everywhere() -> None:
    """The walk over the schema reaches all that it describes."""
    places = {str(spot) for spot in SPOTS}

    assert len(places) > 400
    assert {
        "auth.order.0",
        "auth.order.any-key.0",
        "secrets.providers.default.passEnv.0",
        "plugins.entries.memory-lancedb.config.embedding.apiKey.id",
        "agents.list.0.memorySearch.query.hybrid.mmr.lambda",
    } <= places


@pytest.mark.parametrize("spot", TYPED, ids=str)
def test_wrong_value_is_an_error_in_its_place(spot: Spot) -> None:
    """
    A value of a wrong type is an error at exactly its path, line and column; editors agree.

    A word of OpenClaw's that nobody knows is a warning: a newer one may know it.
    """
    for wrong in refused(spot):
        text = json.dumps(spot.config(wrong), indent=2)
        document = parse_document(text, path=Path("openclaw.json"))

        issues = check(document.value, document=document, text=text)

        severity = "warning" if isinstance(wrong, str) and is_open(spot) else "error"
        errors = [each for each in issues if each.path == spot.path and each.severity == severity]
        assert len(errors) == 1
        line = text.splitlines()[errors[0].line - 1]
        assert line[errors[0].column - 1 :].startswith(json.dumps(wrong, indent=2).splitlines()[0])
        assert not EDITOR.is_valid(document.value)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("{gateway: {port: 18789.0}}", True),
        ("{gateway: {port: 1e3}}", True),
        ("{gateway: {port: 0x10}}", True),
        ("{gateway: {port: 1.5}}", False),
        ("{gateway: {port: 0}}", False),
        ("{gateway: {port: 65536}}", False),
        ('{gateway: {port: "5"}}', False),
        ("{gateway: {auth: {rateLimit: {maxAttempts: Infinity}}}}", False),
        ("{gateway: {auth: {rateLimit: {maxAttempts: 1" + "0" * 400 + "}}}}", False),
        ("{locks: {stale: NaN}}", False),
        ("{locks: {stale: 0}}", False),
        ("{pairing: {ttl: -1}}", False),
        ("{pairing: {ttl: NaN}}", False),
        ("{pairing: {ttl: 1" + "0" * 400 + "}}", False),
        ("{pairing: {ttl: false}}", False),
        ("{session: {maintenance: {resetArchiveRetention: false}}}", True),
        ("{session: {maintenance: {pruneAfter: '3 weeks'}}}", False),
        ("{session: {maintenance: {maxDiskBytes: '10pb'}}}", False),
        ("{state: {store: 'sqlite'}}", True),
        ("{state: {store: 'mysql://db'}}", False),
        ("{state: {store: 'postgres://db/x'}}", True),
        ("{gateway: {auth: {token: {source: 'env', id: 'a b'}}}}", False),
        ("{gateway: {auth: {token: {source: 'env', id: 'TOKEN', provider: 'Vault'}}}}", False),
        ("{secrets: {providers: {Vault: {source: 'env'}}}}", False),
        ("{secrets: {providers: {v: {source: 'env', allowlist: ['lower']}}}}", False),
        ("{secrets: {providers: {v: {source: 5}}}}", False),
        ("{plugins: {entries: {'memory-lancedb': {config: {captureMaxChars: 99}}}}}", False),
        ("{plugins: {entries: {'memory-lancedb': {config: {captureMaxChars: 10000}}}}}", True),
    ],
)
def test_values_at_the_border(text: str, *, accepted: bool) -> None:
    """Numbers, durations, sizes and references are taken for what they are, never converted."""
    issues = check(parse_json5(text, path=Path("openclaw.json")))

    assert [issue.severity for issue in issues] == ([] if accepted else ["error"])


def test_unknown_keys_are_kept() -> None:
    """A document keeps keys that it does not know."""
    config = Config.model_validate({"gateway": {"colour": "red"}, "model_dump": 1})

    assert config.gateway.model_extra == {"colour": "red"}
    assert config.model_extra == {"model_dump": 1}


def test_documents_do_not_show_their_values() -> None:
    """Neither `repr` nor `str` of a document has a value in it."""
    config = Config.model_validate(
        {"gateway": {"auth": {"token": "canary"}}, "env": {"A": "canary"}}
    )

    assert "canary" not in f"{config!r} {config} {config.gateway.auth!r} {config.env}"


def test_defaults_are_those_of_the_specification() -> None:
    """What is not written has the value that the specification or OpenClaw gives it."""
    found = defaults()

    assert found["gateway"] == {"port": 18789, "host": "localhost", "mode": "local"}
    vector = {"enabled": True, "embedder": "static", "index": "auto", "threads": 1}
    store = {"type": "sqlite", "vector": vector}
    assert found["memory"] == {"history": {"versions": 10}, "store": store}
    assert found["caches"]["dedupe"] == {
        "ttlMs": to_ms(24 * 3600),
        "memoryMaxSize": 100,
        "fileMaxEntries": 1000,
    }
    assert found["agents"] == {"defaults": {"maxConcurrent": 4, "subagents": {"maxConcurrent": 8}}}
    assert found["messages"] == {"ackReactionScope": "group-mentions"}


def test_defaults_are_sound() -> None:
    """The defaults pass the check and the JSON Schema."""
    assert check(defaults()) == ()
    assert EDITOR.is_valid(defaults())


def test_schema_is_loaded_with_the_first_check() -> None:
    """Neither the package nor what reads and redacts a configuration loads pydantic."""
    program = (
        "import sys, clawstate, clawstate.config.issues, clawstate.secrets.redaction\n"
        "import clawstate.quantities\n"
        "sys.exit('pydantic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("500ms", 0.5),
        ("2 S", 2),
        ("1.5m", 90),
        ("12h", 43_200),
        ("2w", 1_209_600),
        ("1h30m", 5400),
        ("30d", 2_592_000),
        ("7", 604_800),
    ],
)
def test_durations(value: str, seconds: float) -> None:
    """A duration is a number and a unit; without one, the unit of the key."""
    assert duration_seconds(value, unit="d") == pytest.approx(seconds)


def test_duration_of_a_number() -> None:
    """A bare number counts in the unit of the key."""
    assert duration_seconds(2, unit="m") == 120


@pytest.mark.parametrize(("value", "size"), [("1kb", 1024), ("1.5 MB", 1_572_864), (7.9, 7)])
def test_sizes(value: float | str, size: int) -> None:
    """A size is a number and a unit of 1,024, or bytes."""
    assert size_bytes(value) == size


@pytest.mark.parametrize(
    "value", ["", "d", "-1d", "1f", "30m1h", "1h30", "1e3s", "٣d", "1.s", True, -1, 10**400]
)
def test_what_is_no_duration(value: object) -> None:
    """Anything but a number and a unit is refused, without repeating it."""
    with pytest.raises(InvalidError, match="duration: cannot be read"):
        duration_seconds(value, unit="s")


@pytest.mark.parametrize("value", ["ten mb", "1pb", "9" * 400, float("inf")])
def test_what_is_no_size(value: object) -> None:
    """Anything but a number and a unit is refused, without repeating it."""
    with pytest.raises(InvalidError, match="size: cannot be read"):
        size_bytes(value)


@pytest.mark.parametrize(
    ("value", "unit"),
    [(1e300, "s"), ("999999999999999999w", "s"), (10**400, "d"), ("1001y", "s"), (366_000, "d")],
)
def test_a_duration_beyond_all_dates_is_refused(value: float | str, unit: str) -> None:
    """More than a thousand years is no duration: what would end then can be told by no date."""
    with pytest.raises(InvalidError):
        duration_seconds(value, unit=unit)

    assert duration_seconds("1000y", unit="s") == 1_000 * 365.25 * 86_400
