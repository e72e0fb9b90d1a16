"""What `memory capture` takes on standard input, and what it says of what it does not keep."""

from __future__ import annotations

import json

import pytest

BOM = "\ufeff"


def lines(*messages: object) -> str:
    return "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in messages)


TEA = {"role": "user", "content": "I prefer green tea in the morning"}


@pytest.mark.parametrize(
    "text",
    [
        lines(TEA),
        BOM + lines(TEA),
        lines({"role": "user", "content": "hi"}) + BOM + lines(TEA),
        lines(TEA).replace("\n", "\r\n"),
        lines({**TEA, "content": "I prefer green tea\u2028in the morning"}),
    ],
    ids=["plain", "mark", "joined files", "Windows", "a line separator within"],
)
def test_lines_are_taken_as_programs_write_them(cli, text: str) -> None:
    """A byte order mark, line ends of Windows and odd separators in strings lose no message."""
    done = cli("memory", "capture", "--json", stdin=text.encode())

    assert done.code == 0, done.err
    assert len(done.json["records"]) == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{", "line 4: is no JSON"),
        ("[]", "line 4: is no JSON object"),
        ('{"role": 5, "content": "x"}', "line 4, role: "),
        ('{"role": "user", "content": 5}', "line 4, content: "),
        ('{"role": "user", "content": "x", "origin": "nobody"}', "line 4, origin: "),
    ],
)
def test_an_error_names_the_line(cli, wrong: str, told: str) -> None:
    """Lines count from 1, empty ones too, whoever finds the mistake; nothing is kept then."""
    text = f"\n{lines(TEA)}\n{wrong}\n"

    failed = cli("memory", "capture", stdin=text.encode())

    assert failed.code == 1
    assert told in failed.err
    assert cli("memory", "list", "--json").json["records"] == []


def test_bytes_that_are_no_text_are_a_usage_error(cli) -> None:
    """What is not UTF-8 is told with its place."""
    failed = cli("memory", "capture", stdin=b'{"role": "user", "content": "\xff"}')

    assert failed.code == 2
    assert "not UTF-8" in failed.err


def test_what_is_passed_over_is_told_in_words(cli) -> None:
    """Messages without a role and those of programs are counted as well; no reason is a riddle."""
    said = lines(
        {"content": "I prefer black tea in the morning"},
        {"role": "system", "content": "You are an agent"},
        {"role": "user", "content": "Thanks, that helps a lot!"},
        {"role": "user", "content": "What time is it in Paris now?"},
    )

    told = cli("memory", "capture", stdin=said.encode()).out
    document = cli("memory", "capture", "--json", stdin=said.encode()).json

    assert "1 without a role" in told
    assert "1 from a program" in told
    assert "1 without anything to remember" in told
    assert "no-" not in told
    assert document["skipped"] == {"no-role": 1, "no-rule": 1, "question": 1, "system": 1}
