from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from clawstate.importers.jsonl import read_json_lines
from clawstate.importers.lines import LONGEST_LINE
from clawstate.importers.passages import MAXIMUM_LENGTH, Passage, Problem
from clawstate.memory.validation import MAX_TEXT


@pytest.fixture
def items(tmp_path: Path):
    def read(*lines: object, end: str = "\n"):
        path = tmp_path / "records.jsonl"
        parts = [each if isinstance(each, bytes) else _text(each).encode() for each in lines]
        path.write_bytes(b"".join(part + end.encode() for part in parts))
        return list(read_json_lines(path))

    return read


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_every_field_arrives(items) -> None:
    """All fields of a record go to the passage, unknown ones to its metadata."""
    (passage,) = items(
        {
            "text": "The spare key hangs in the shed.",
            "id": "k1",
            "tags": ["home", " home ", "keys"],
            "category": "fact",
            "importance": 0.9,
            "namespace": "family",
            "thread": "house",
            "position": 7,
            "createdAt": "2026-02-27T09:30:00Z",
            "source": "notebook",
            "metadata": {"page": 3},
            "colour": "red",
        }
    )

    assert passage == Passage(
        text="The spare key hangs in the shed.",
        start_line=1,
        end_line=1,
        thread="house",
        position=7,
        created_at=1772184600.0,
        tags=("home", "keys"),
        category="fact",
        importance=0.9,
        namespace="family",
        id="k1",
        metadata={"page": 3, "colour": "red"},
        own={"source": "notebook"},
    )


def test_text_alone_is_enough(items) -> None:
    """A record needs a text only; its position is its place among the passages."""
    first, problem, second = items({"text": "one"}, "{}", {"content": "two", "id": 5})

    assert (first.position, second.position, second.id) == (0, 1, "5")
    assert (second.start_line, second.text, second.metadata) == (3, "two", {})
    assert (problem.line, isinstance(problem, Problem)) == (2, True)


@pytest.mark.parametrize(
    "time",
    [1772184600, 1772184600.0, 1772184600000, "2026-02-27T09:30Z", "2026-02-27T10:30:00+01:00"],
)
@pytest.mark.parametrize("name", ["createdAt", "created_at", "timestamp"])
def test_times_in_every_common_form(items, name: str, time: object) -> None:
    """A time is seconds, milliseconds or ISO 8601, under three names."""
    assert items({"text": "x", name: time})[0].created_at == 1772184600


BAD = [
    '{"text": "hunter2"',
    "hunter2",
    '["hunter2"]',
    '"hunter2"',
    '{"txt": "hunter2"}',
    '{"text": " "}',
    '{"text": 5, "x": "hunter2"}',
    '{"text": null}',
    '{"text": "hunter2\\u0000"}',
    '{"text": "a\0b hunter2"}',
    '{"text": "hunter2", "text": "b"}',
    '{"text": "hunter2", "x": NaN}',
    '{"text": "hunter2", "x": 1e999}',
    '{"text": "hunter2", "importance": "high"}',
    '{"text": "hunter2", "importance": true}',
    '{"text": "hunter2", "importance": 1' + "0" * 400 + "}",
    '{"text": "hunter2", "x": 1' + "0" * 5000 + "}",
    '{"text": "hunter2", "tags": [1]}',
    '{"text": "hunter2", "tags": {"a": 1}}',
    '{"text": "hunter2", "metadata": []}',
    '{"text": "hunter2", "position": 1.5}',
    '{"text": "hunter2", "position": true}',
    '{"text": "hunter2", "id": ["hunter2"]}',
    '{"text": "hunter2", "id": true}',
    '{"text": "hunter2", "createdAt": "hunter2"}',
    '{"text": "hunter2", "createdAt": -5}',
    '{"text": "hunter2", "createdAt": 1e300}',
    '{"text": "hunter2", "createdAt": []}',
    '{"text": "hunter2", "thread": {}}',
    '{"text": "hunter2", "x": ' + "[" * 100 + "]" * 100 + "}",
    '{"text": "hunter2", "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    b'{"text": "hunter2 \xff"}',
    b'{"text": "\\x hunter2"}',
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_bad_line_costs_only_itself(items, bad: object) -> None:
    """A line that is no record is a problem that names the line and hides what it says."""
    before, problem, after = items({"text": "before"}, bad, {"text": "after"})

    assert isinstance(problem, Problem)
    assert problem.line == 2
    assert "hunter2" not in problem.message
    assert [before.text, after.text] == ["before", "after"]


def test_line_above_the_bound_is_passed_over(items) -> None:
    """A line over the bound is a problem, and lines behind it keep their numbers."""
    huge = b'{"text": "' + b"x" * LONGEST_LINE + b'"}'

    problem, passage = items(huge, {"text": "after"})

    assert (problem.line, "16 MiB" in problem.message) == (1, True)
    assert (passage.text, passage.start_line) == ("after", 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_line_ends_and_mark_do_not_matter(items, end: str) -> None:
    """A byte order mark, empty lines and each kind of line end are fine."""
    first, second = items("\ufeff" + json.dumps({"text": "one"}), {"text": "two"}, end=end)

    assert [first.text, second.text] == ["one", "two"]
    assert second.start_line == (3 if end == "\n\n" else 2)


def test_last_line_needs_no_end(tmp_path: Path) -> None:
    """A last line without a line end is read; a torn one is a problem."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}')
    torn = tmp_path / "b.jsonl"
    torn.write_text('{"text": "one"}\n{"text": "tw')

    assert [each.text for each in read_json_lines(path)] == ["one", "two"]
    assert [type(each) for each in read_json_lines(torn)] == [Passage, Problem]


@pytest.mark.parametrize("ttl", [0, -1, "soon", True, []])
def test_bad_ttl_is_left_out_and_reported(items, ttl: object) -> None:
    """A record with a time to live that makes no sense goes in without it, and says so."""
    problem, passage = items({"text": "x", "ttl": ttl})

    assert (problem.line, "ttl" in problem.message) == (1, True)
    assert passage.metadata == {}


def test_good_ttl_is_kept_for_the_caller(items) -> None:
    """A time to live in seconds is in the metadata."""
    assert items({"text": "x", "ttl": 60})[0].own == {"ttl": 60}


def test_half_a_surrogate_pair_becomes_a_replacement(items) -> None:
    """Text that was cut within a character can be written as UTF-8 nevertheless."""
    (passage,) = items('{"text": "cut \\ud83d", "note": ["\\udc4d"], "\\ud83d": 1}')

    assert passage.text == "cut \ufffd"
    assert passage.metadata == {"note": ["\ufffd"], "\ufffd": 1}


def test_vectors_are_left_behind(items) -> None:
    """A vector of some model is no metadata."""
    (passage,) = items({"text": "x", "vector": [0.5] * 256, "scores": [1, 2]})

    assert passage.metadata == {"scores": [1, 2]}


def test_text_above_the_record_bound_comes_in_parts(items) -> None:
    """A text that no record could hold is cut, with the fields repeated on each part."""
    text = "The log goes on. " * (MAX_TEXT // 10)

    parts = items({"text": text, "id": "log", "tags": ["t"]}, {"text": "next"})

    assert max(len(each.text) for each in parts) <= MAXIMUM_LENGTH
    assert [each.position for each in parts] == list(range(len(parts)))
    assert (parts[1].id, parts[1].metadata, parts[1].tags) == ("log#2", {"part": 2}, ("t",))
    assert "".join("".join(each.text for each in parts[:-1]).split()) == "".join(text.split())


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file is read as a stream: 10 MB need less than 8 MB at once."""
    path = tmp_path / "big.jsonl"
    path.write_text((json.dumps({"text": "x" * 1000}) + "\n") * 10_000)
    tracemalloc.start()

    count = sum(1 for _ in read_json_lines(path))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 8_000_000


def test_every_whole_record_of_a_damaged_line_is_taken(items) -> None:
    """Records that two writers put on one line are both taken, and the rest is told."""
    one, two = json.dumps({"text": "one", "metadata": {"text": "no"}}), json.dumps({"text": "two"})

    found = items(one + two, one + one[:20] + two)

    assert [each.text for each in found if isinstance(each, Passage)] == ["one", "two"] * 2
    assert [each.position for each in found if isinstance(each, Passage)] == [0, 1, 2, 3]
    assert [each.line for each in found if isinstance(each, Problem)] == [2]
