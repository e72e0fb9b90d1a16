from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from clawstate.wire.members import camel, dialect, times

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
MOMENTS = range(10**12, 10**13)


def is_moment(value: object) -> bool:
    return isinstance(value, int) and value in MOMENTS


def objects(value) -> Iterator[dict]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


@pytest.fixture
def filled(cli) -> None:
    cli("memory", "add", "tea", "--source", "notes")
    cli("auth", "add", "openai:default", "--type", "token", "--expires", "30d", stdin=b"t" * 20)
    cli("transcripts", "append", "telegram:42", stdin=b'{"role": "user", "content": "tea"}')
    cli("sessions", "create", "telegram:43")
    cli("sessions", "delete", "telegram:43")
    cli("pairing", "request", "--user", "ada", "--device", "phone")
    cli("pairing", "request", "--user", "ada", "--device", "tablet")
    cli("pairing", "approve", "--device", "tablet")
    cli("dedupe", "check", "x", "--namespace", "telegram")
    cli("config", "set", "gateway.port", "18790")


SHOWN = [
    ["memory", "list"],
    ["memory", "search", "tea"],
    ["memory", "stats"],
    ["auth", "list"],
    ["auth", "show", "openai:default"],
    ["auth", "status"],
    ["sessions", "list"],
    ["sessions", "list", "--archived"],
    ["sessions", "show", "telegram:42"],
    ["transcripts", "show", "telegram:42"],
    ["transcripts", "search", "tea"],
    ["transcripts", "stats"],
    ["pairing", "list"],
    ["devices", "list"],
    ["dedupe", "stats"],
    ["config", "history"],
    ["status"],
    ["doctor"],
]


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_a_document_tells_its_times_in_one_form(cli, filled, arguments) -> None:
    """Each time in a document has a name that ends in Ms, in milliseconds."""
    for found in objects(cli(*arguments, "--json").json):
        for name, value in found.items():
            is_time = is_moment(value) or (isinstance(value, str) and ISO.match(value))
            if is_time and not name.endswith("Ms"):
                assert is_moment(found[f"{name}Ms"]), name


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_a_document_has_its_names_in_camel_case(cli, filled, arguments) -> None:
    """Each name with an underscore has one in camelCase beside it, with the same value."""
    for found in objects(cli(*arguments, "--json").json):
        assert all(found[camel(name)] == value for name, value in found.items() if "_" in name)


def test_names_and_times() -> None:
    """Names are joined in camelCase; a time that is not known is null."""
    assert [camel(name) for name in ("a", "cached_vectors", "paired devices")] == [
        "a", "cachedVectors", "pairedDevices",
    ]  # fmt: skip
    assert dialect({"a_b": 1}) == {"a_b": 1, "aB": 1}
    assert times(at=1.5, until=None) == {"atMs": 1500, "untilMs": None}


def test_a_source_counts_once_it_has_a_record(cli, filled) -> None:
    """`memory stats` counts each source of records, imported or named by hand, and tells dates."""
    cli("memory", "add", "milk", "--source", "notes")

    assert cli("memory", "stats", "--json").json["sources"] == 1
    assert re.search(r"changed +2\d\d\d-\d\d-\d\dT", cli("memory", "stats").out)


def test_a_plain_hit_scores(cli, filled) -> None:
    """What has all words scores above one half, what has some above nothing, in that order."""
    cli("transcripts", "append", "telegram:42", stdin=b'{"role": "user", "content": "tea, milk"}')

    whole = cli("transcripts", "search", "tea", "--json").json["results"]
    partly = cli("transcripts", "search", "milk tea", "--json").json["results"]

    assert all(0.5 <= each["score"] <= 1 for each in whole)
    assert partly[0]["score"] >= 0.5 > partly[1]["score"] >= 0


def test_a_request_is_found_by_its_device(cli) -> None:
    """`--device` takes the place of the code; two users who ask for one are told apart."""
    for user in ("ada", "bob"):
        cli("pairing", "request", "--user", user, "--device", "phone")

    assert cli("pairing", "approve", "--device", "phone").code == 1
    assert cli("pairing", "reject", "--device", "phone", "--user", "bob").code == 0
    approved = cli("pairing", "approve", "--device", "phone", "--json")
    assert (approved.json["deviceId"], cli("pairing", "list", "--json").json["requests"]) == (
        "phone",
        [],
    )
    assert cli("pairing", "reject", "--device", "phone").code == 3
    for wrong in ([], ["ABCD", "--device", "phone"], ["ABCD", "--user", "ada"]):
        assert cli("pairing", "approve", *wrong).code == 2


@pytest.mark.parametrize("text", ["{gatewya: {}}", "{gateway: {prt: 1}}", "{ broken"])
def test_the_doctor_says_what_to_do_once(cli, tmp_path, text) -> None:
    """No advice is given twice in a finding, and nobody who runs the doctor is told to run it."""
    (tmp_path / "state" / "sessions").mkdir(parents=True)
    (tmp_path / "state" / "openclaw.json").write_text(text)
    (tmp_path / "state" / "sessions" / "sessions.json").write_text("{ broken")
    (tmp_path / "state" / "dedupe").mkdir()
    (tmp_path / "state" / "dedupe" / "x.json").write_text("{ broken")

    told = cli("doctor")

    assert told.out.count("did you mean") <= 1
    assert "run 'clawstate doctor'" not in told.out
    assert "\n      \n" not in told.out


@pytest.mark.parametrize(("files", "told"), [(1, "1 file read: 1 added"), (2, "2 files read: 2")])
def test_one_is_told_as_one(cli, tmp_path, files, told) -> None:
    """One file is a file, two are files."""
    for number in range(files):
        (tmp_path / f"{number}.md").write_text(f"note {number}")

    assert told in cli("memory", "import", *tmp_path.glob("*.md")).out
