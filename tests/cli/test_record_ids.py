from __future__ import annotations

import pytest

VERBS = [
    ["get"],
    ["update", "--text", "changed"],
    ["forget"],
    ["forget", "--receipt"],
    ["explain", "lobster"],
    ["history"],
    ["supersede"],
]


def call(cli, verb: list[str], given: str):
    """Run *verb* of the memory on the record *given*."""
    name, *rest = verb
    arguments = [*rest, given] if name == "explain" else [given, *rest]
    arguments += ["the lobster swims"] if name == "supersede" else []
    return cli("memory", name, *arguments)


def add(cli, *texts: str) -> list[str]:
    """Return the ids of records of *texts*, in the order in which ids are."""
    return sorted(cli("memory", "add", text).out.strip() for text in texts)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("write", [str, str.upper, lambda id_: id_[:-3]], ids=["id", "ID", "part"])
def test_a_record_is_meant_by_its_id_in_capitals_or_in_part(cli, verb, write) -> None:
    """Every verb of one record takes its id in capitals, and a beginning that is no other's."""
    (made,) = add(cli, "the lobster sleeps")

    done = call(cli, verb, write(made))

    assert done.code == 0, done.err
    assert made in done.out or "forgot 1 record" in done.out or verb == ["supersede"]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_beginning_of_several_is_refused(cli, verb) -> None:
    """Where several ids begin so, nothing is done, and the error lists them."""
    made = add(cli, "one lobster", "two lobsters")
    length = next(n for n in range(36) if made[0][:n] != made[1][:n])
    before = cli("memory", "list", "--json").json

    refused = call(cli, verb, made[0][: length - 1])

    assert refused.code == 1
    assert all(each in refused.err for each in made)
    assert cli("memory", "list", "--json").json == before


@pytest.mark.parametrize(
    "given", ["", "abc", "zzzz", "zz zz", "a\nb\nc", "\x1b[2J", "*", "x" * 5000]
)
def test_what_begins_no_id_is_not_found(cli, given: str) -> None:
    """Less than four characters, or others, mean no record: the error is that of an unknown id."""
    add(cli, "the lobster sleeps")

    missing = cli("memory", "get", given)

    assert missing.code in {1, 2, 3}
    assert "Traceback" not in missing.err
    assert len(cli("memory", "list", "--json").json["records"]) == 1


def test_a_whole_id_goes_before_what_begins_so(cli, tmp_path) -> None:
    """An id that is the beginning of another is meant itself."""
    lines = tmp_path / "records.jsonl"
    lines.write_text('{"id": "note", "text": "a"}\n{"id": "note-2", "text": "b"}\n')
    assert cli("memory", "import", lines).code == 0
    ids = [each["id"] for each in cli("memory", "list", "--json").json["records"]]

    texts = [cli("memory", "get", each, "--json").json["text"] for each in ids]

    assert texts == ["a", "b"]


def test_a_source_goes_before_a_beginning(cli) -> None:
    """`explain` takes what is a source for one, also where an id begins so."""
    (made,) = add(cli, "the lobster sleeps")
    cli("memory", "add", "another lobster", "--source", made[:8])

    told = cli("memory", "explain", "lobster", made[:8], "--json").json["verdicts"]

    assert [each["source"] for each in told] == [made[:8]]
