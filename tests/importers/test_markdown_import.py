from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawstate.clock import from_iso
from clawstate.importers.front_matter import date_in_name
from clawstate.importers.markdown import read_markdown
from clawstate.importers.passages import MAXIMUM_LENGTH, Passage, Problem

BOMB = ["a", *(f"b{n}" for n in range(39))]
GUIDE = """\
---
title: House book
tags: [home, "heat"]
draft: true
---
# Heating

## Boiler

The boiler stands in the cellar. It is
serviced every October.

```sh
# not a heading

boiler --restart
```

Meters
------

| meter | number |
|-------|--------|
| gas   | 1742   |

<!--
# neither is this
-->
"""


@pytest.fixture
def passages(tmp_path: Path):
    def read(text: str | bytes) -> list[Passage]:
        path = tmp_path / "page.md"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        items = list(read_markdown(path))
        assert not [item for item in items if isinstance(item, Problem)]
        return items

    return read


def test_sections_carry_their_headings_lines_and_tags(passages) -> None:
    """A section is one passage that knows its headings, its lines and the document's tags."""
    boiler, meters = passages(GUIDE)

    assert boiler.heading == "House book > Heating > Boiler"
    assert meters.heading == "House book > Heating > Meters"
    assert (boiler.start_line, boiler.end_line) == (6, 17)
    assert (meters.start_line, meters.end_line) == (19, 28)
    assert boiler.tags == ("home", "heat")
    assert boiler.metadata == {"title": "House book", "draft": True}
    assert [boiler.position, meters.position] == [0, 1]
    assert boiler.text == "\n".join(GUIDE.split("\n")[5:17])


def test_front_matter_stays_out_of_the_text(passages) -> None:
    """What stands between the rules of the front matter is in no passage."""
    assert not any("draft" in each.text for each in passages(GUIDE))


@pytest.mark.parametrize(
    ("front", "tags"),
    [
        ("tags:\n  - a\n  - 'b c'\ntitle: T", ("a", "b c")),
        ("tags: a, #b, a", ("a", "b")),
        ("tags: []", ()),
        ("tags:\ntitle: T", ()),
    ],
)
def test_tags_in_every_common_form(passages, front: str, tags: tuple[str, ...]) -> None:
    """Tags are found in a list over lines, in brackets, and behind commas."""
    (passage,) = passages(f"---\n{front}\n---\nBody.\n")

    assert passage.tags == tags


@pytest.mark.parametrize(
    ("front", "tags", "metadata"),
    [
        ('tags: ["with, comma", x]', ("with, comma", "x"), {}),
        ("tags: [\n  a,\n  b\n]\nn: [1,\n 2]", ("a", "b"), {"n": [1, 2]}),
        ("tags:\n- #a\n- #b/c", ("a", "b/c"), {}),
        ("note: |\n  two\n  lines\n\ntags: 2024", ("2024",), {"note": "two\nlines\n"}),
        (
            "due: 2024-05-04\nat: 12:30\nok: no",
            (),
            {"due": "2024-05-04", "at": "12:30", "ok": "no"},
        ),
        ("a: {b: [1, {c: null}]}\n1: x", (), {"a": {"b": [1, {"c": None}]}, "1": "x"}),
        ("f: .inf\nzip: 01234\nbig: 99999999999999999999", (), None),
        ("title: Trip: the plan\ntags: [a, b]\nmood: good", ("a", "b"), None),
        ("x: &x [a, b]\ny: *x", (), {"x": ["a", "b"], "y": ["a", "b"]}),
        ("when: !!timestamp 2024-05-04", (), {"when": "2024-05-04"}),
    ],
)
def test_front_matter_is_any_yaml(passages, front: str, tags, metadata) -> None:
    """What YAML says is metadata that JSON can say; broken YAML is read line by line."""
    (passage,) = passages(f"---\n{front}\n---\nBody.\n")

    assert passage.text == "Body."
    assert passage.tags == tags
    if metadata is not None:
        assert passage.metadata == metadata
    json.dumps(passage.metadata, allow_nan=False)


@pytest.mark.parametrize(
    "front",
    [
        "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*{p}, *{p}]\n" for n, p in enumerate(BOMB)),
        "a: " + "[" * 5000,
        "a: " + "[" * 100 + "]" * 100,
        "? [a, b]\n: x\n!!python/object:os.system x: y",
        "- a\n- b",
    ],
)
def test_front_matter_made_to_do_harm_is_text(passages, front: str) -> None:
    """What would grow beyond all bounds, nest too deep or name other types is no front matter."""
    found = passages(f"---\n{front}\n---\nBody.\n")

    assert found[-1].text.endswith("Body.")
    assert all(len(json.dumps(each.metadata)) < 64_000 for each in found)


@pytest.mark.parametrize(
    ("front", "made"),
    [
        ("created: 2024-05-04", "2024-05-04"),
        ("date: 2024-05-04T10:30:00+02:00", "2024-05-04T08:30:00"),
        ("Date Created: 2024/5/4", "2024-05-04"),
        ("date: 2024-05-04 10:30", "2024-05-04T10:30:00"),
        ("date: soon\ncreated: 1714780800", "2024-05-04"),
        ("date: 9999-99-99", None),
    ],
)
def test_a_note_was_made_when_it_says(passages, front: str, made: str | None) -> None:
    """The date in the front matter is when the passages were made, in UTC without a zone."""
    (passage,) = passages(f"---\n{front}\n---\nBody.\n")

    assert passage.created_at == (None if made is None else from_iso(made))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("2024-05-04.md", "2024-05-04"),
        ("Standup 20240504 notes.md", "2024-05-04"),
        ("2024_05_04-trip.md", "2024-05-04"),
        ("2024-13-41 and 2024-05-04.md", "2024-05-04"),
        ("120240504.md", None),
        ("2024-0504.md", None),
        ("Lisbon.md", None),
    ],
)
def test_a_name_may_tell_the_day(name: str, made: str | None) -> None:
    """A day of the calendar in a file's name is found, however it is written."""
    assert date_in_name(name) == (None if made is None else from_iso(made))


@pytest.mark.parametrize(
    "text",
    ["---\nJust a line\n---\nBody.", "---\ntitle: never closed\nBody.", "\n---\na: b\n---\nx"],
)
def test_rules_are_not_always_front_matter(passages, text: str) -> None:
    """Lines between two rules that are no YAML, or not at the start, stay text."""
    assert "\n\n".join(each.text for each in passages(text)).split() == text.split()


def test_title_of_the_first_heading_is_not_repeated(passages) -> None:
    """A document whose first heading is its title names it once."""
    (passage,) = passages("---\ntitle: Trip\n---\n# Trip\nWe left at six.\n")

    assert passage.heading == "Trip"


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("# One", "One"),
        ("   ### Three ###", "Three"),
        ("## C#", "C#"),
        ("# Closed \t##  ", "Closed"),
        ("#", ""),
        ("####### seven", ""),
        ("#tag", ""),
        ("    # code", ""),
        ("Title\nover lines\n===", "Title over lines"),
        ("> quoted\n---", ""),
        ("- item\n---", ""),
        ("---", ""),
        ("***\nA\n---", "A"),
        ("a | b\n--|--\n1 | 2\n---", ""),
    ],
)
def test_headings_are_those_of_commonmark(passages, line: str, heading: str) -> None:
    """A heading is recognised exactly where CommonMark sees one."""
    assert passages(f"{line}\n\nBody.")[-1].heading == heading


@pytest.mark.parametrize(
    "text",
    [
        "```\n# a\n~~~\n# b\n```",
        "~~~~ python\n# a\n~~~\n# b\n~~~~~",
        "````md\n```\n# a\n```\n````",
        "```\n    ```\n# a\n```",
        "- item\n\n  ```\n# b is outside\n".replace("# b is outside", "  # a"),
        "- ```\n  # a\n  ```\n- next",
        "<!-- hidden\n\n# a\n-->",
        "<pre>\n\n# a\n</pre>",
        "<script>\n# a\n\n# b\n</SCRIPT>",
        "```\n# never closed",
    ],
)
def test_no_heading_within_verbatim_text(passages, text: str) -> None:
    """Within a fence, a comment or raw HTML a # is a character like any other."""
    assert {each.heading for each in passages(f"# Top\n\n{text}\n")} == {"Top"}


@pytest.mark.parametrize(
    "text",
    [
        "```\ncode\n```",
        "- item\n\n  ```\n  code",
        "<!-- note -->",
        "- one\n\n  two",
        "> quote\nlazy",
    ],
)
def test_a_heading_after_a_block_is_seen(passages, text: str) -> None:
    """Each kind of block ends where it ends: the heading behind it counts."""
    assert passages(f"{text}\n\n# After\n\nBody.")[-1].heading == "After"


def test_heading_without_body_joins_what_follows(passages) -> None:
    """Headings alone are no passage: they open the next one."""
    first, second = passages("# A\n\n## B\n\ntext\n\n## C\n\nmore")

    assert (first.text, first.heading) == ("# A\n\n## B\n\ntext", "A > B")
    assert (second.text, second.heading) == ("## C\n\nmore", "A > C")


def test_heading_at_the_end_is_kept(passages) -> None:
    """A last heading without a body is a passage, for nothing may be lost."""
    assert [each.text for each in passages("text\n\n# End\n")] == ["text", "# End"]


def test_small_paragraphs_are_packed_up_to_the_target(passages) -> None:
    """Paragraphs share a passage up to about a thousand characters."""
    paragraph = "The tide tables hang behind the door of the shed. " * 6

    sizes = [len(each.text) for each in passages("\n\n".join([paragraph] * 12))]

    assert all(size <= 1000 for size in sizes)
    assert len(sizes) == 4


@pytest.mark.parametrize(
    "block",
    [
        "```\n" + "\n\n".join(f"row {n} of the output" for n in range(60)) + "\n```",
        "\n".join(f"| row {n} | twenty characters |" for n in range(45)),
        "\n\n".join(f"- item {n} of a loose list\n  with more" for n in range(35)),
    ],
    ids=["fence", "table", "list"],
)
def test_a_block_that_fits_is_not_cut(passages, block: str) -> None:
    """A fence, table or list of up to the maximum stays in one passage."""
    assert 1000 < len(block) < MAXIMUM_LENGTH
    text = f"{'Before it. ' * 60}\n\n{block}\n\n{'After it. ' * 60}"

    assert sum(block in each.text for each in passages(text)) == 1


def test_a_long_list_is_cut_before_an_item(passages) -> None:
    """A list above the maximum is cut between items, never inside of one."""
    text = "\n".join(f"{n}. Check station {n}.\n   Note the level. Close it." for n in range(1, 90))

    assert all(each.text.lstrip()[0].isdigit() for each in passages(text))


def test_a_long_paragraph_is_cut_after_sentences(passages) -> None:
    """A paragraph above the maximum is cut where a sentence ends."""
    sentence = "The ferry to the island leaves twice a day, except on Sundays."

    pieces = passages(" ".join([sentence] * 60))

    assert len(pieces) > 2
    assert all(each.text.endswith("Sundays.") for each in pieces)
    assert all(each.text.startswith("The ferry") for each in pieces)


def test_heading_stays_with_its_long_paragraph(passages) -> None:
    """The first piece of a long section begins with the section's heading."""
    first, second, *_ = passages("# Ferry\n\n" + "It leaves at dawn and at dusk. " * 150)

    assert first.text.startswith("# Ferry\n\nIt leaves")
    assert second.heading == "Ferry"


@pytest.mark.parametrize(
    "cluster",
    ["\U0001f469\u200d\U0001f4bb", "e\u0301\u0323", "\U0001f1e8\U0001f1ed", "\U0001f44d\U0001f3fd"],
    ids=["joined", "accents", "flag", "skin tone"],
)
def test_visible_characters_are_never_cut(passages, cluster: str) -> None:
    """A cut without any space falls between characters as a reader sees them."""
    pieces = passages("x" + cluster * 2000)

    assert len(pieces) > 1
    assert pieces[0].text.startswith("x" + cluster)
    assert all(each.text.removeprefix("x").replace(cluster, "") == "" for each in pieces)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_numbers_hold_for_every_line_ending(passages, end: str) -> None:
    r"""Lines are counted alike whether they end in \n, \r\n or \r, and text has \n."""
    text = "\ufeff# A\n\nalpha\nbeta\n\n# B\n\ngamma\n"

    first, second = passages(text.replace("\n", end).encode())

    assert (first.text, first.start_line, first.end_line) == ("# A\n\nalpha\nbeta", 1, 4)
    assert (second.text, second.start_line, second.end_line) == ("# B\n\ngamma", 6, 8)


def test_damaged_line_is_named_and_the_others_stay(tmp_path: Path) -> None:
    """A line that is not UTF-8 is a problem with its byte, and costs only itself."""
    path = tmp_path / "mixed.md"
    path.write_bytes("# Menü\n\nfirst\n".encode() + b"caf\xe9 secret\n" + b"last\n")

    problem, *found = sorted(read_markdown(path), key=lambda item: isinstance(item, Passage))

    assert (problem.path, problem.line) == (path, 4)
    assert "byte 18 " in problem.message
    assert "secret" not in problem.message
    assert [each.text for each in found] == ["# Menü\n\nfirst", "last"]


def test_binary_file_is_one_problem(tmp_path: Path) -> None:
    """A file with a NUL byte yields no passage and says where it is."""
    path = tmp_path / "binary.md"
    path.write_bytes(b"Hello\0there \x01\x02")

    (problem,) = read_markdown(path)

    assert isinstance(problem, Problem)
    assert "NUL at byte 5" in problem.message


def test_huge_line_is_cut_into_passages(passages) -> None:
    """Ten megabytes without a line end come in pieces, and none is lost."""
    text = "word " * 2_000_000

    pieces = passages(text)

    assert max(len(each.text) for each in pieces) <= MAXIMUM_LENGTH
    assert {(each.start_line, each.end_line) for each in pieces} == {(1, 1)}
    assert sum(each.text.count("word") for each in pieces) == 2_000_000


@pytest.mark.parametrize("text", [" " * 2_000_000 + "x", "x\n" + "\n" * 300_000 + "x"])
def test_white_space_is_no_passage(passages, text: str) -> None:
    """However much white space there is, it makes no passage and joins none."""
    assert {each.text for each in passages(text)} == {"x"}


def test_empty_file_has_no_passages(passages) -> None:
    """Nothing, or nothing but white space, yields nothing."""
    assert passages("") == passages(" \n\n\t\n") == []


def test_long_titles_are_shortened_in_headings(passages) -> None:
    """A heading of many characters is cut in the trail and whole in the text."""
    (passage,) = passages(f"# {'tide ' * 60}\n\nBody.")

    assert len(passage.heading) <= 121
    assert passage.text.count("tide") == 60
