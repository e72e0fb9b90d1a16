from __future__ import annotations

import re
from pathlib import Path

COLOUR = re.compile(r"\x1b\[[0-9;]*[349][0-7][0-9;]*m")


def test_a_terminal_shows_colours(terminal) -> None:
    """On a terminal hits and failures are coloured, and the words of the query stand out."""
    terminal("memory", "add", "Ada prefers green tea", "--tag", "drink")

    found = terminal("memory", "search", "green tea")
    failed = terminal("memory", "get", "nothing")

    assert COLOUR.search(found.out)
    assert "\x1b[33m\x1b[1mgreen\x1b[0m" in found.out
    assert COLOUR.search(failed.out)
    assert failed.code == 3


def test_no_color_takes_colours_away(terminal) -> None:
    """`--no-color`, before the noun or after the verb, prints no escape sequence on a terminal."""
    terminal("memory", "add", "Ada prefers green tea", "--tag", "drink")

    for arguments in (
        ["--no-color", "memory", "search", "tea"],
        ["memory", "search", "tea", "--no-color"],
        ["memory", "get", "nothing", "--no-color"],
        ["--no-color", "nope"],
        ["status", "--no-color"],
    ):
        assert "\x1b" not in terminal(*arguments).out, arguments


def test_an_import_shows_a_bar_on_a_terminal(terminal, tmp_path: Path) -> None:
    """A person sees the progress of an import, and afterwards only its report."""
    for number in range(20):
        (tmp_path / f"{number}.md").write_text(f"note {number}")

    watched = terminal("memory", "import", tmp_path)

    assert "importing" in watched.out
    assert "20 files read: 20 added" in watched.out
    assert watched.code == 0


def test_a_bar_without_colours(terminal, tmp_path: Path) -> None:
    """With `--no-color` the bar is drawn without colours."""
    (tmp_path / "a.md").write_text("a note")

    watched = terminal("memory", "import", tmp_path / "a.md", "--no-color")

    assert "importing" in watched.out
    assert not COLOUR.search(watched.out)


def test_json_on_a_terminal_is_plain(terminal) -> None:
    """With `--json` a terminal gets the document without colours or bars."""
    terminal("memory", "add", "tea")

    assert len(terminal("memory", "list", "--json").json["records"]) == 1


def test_what_was_kept_cannot_steer_the_terminal(terminal) -> None:
    """Control characters in a record's text or tags do not reach the terminal as such."""
    added = terminal("memory", "add", "tea \x1b]0;owned\x07 and \x1b[2J milk", "--no-color")
    made = added.out.strip()

    for arguments in (["search", "tea"], ["list"], ["get", made]):
        shown = terminal("memory", *arguments, "--no-color").out
        assert "\x1b" not in shown, arguments
        assert "\x07" not in shown, arguments


def test_forgetting_by_demands_asks_a_person(terminal) -> None:
    """On a terminal nothing is forgotten by a tag or a source before somebody says yes."""
    terminal("memory", "add", "green tea", "--tag", "drink", "--source", "ada")

    for demand in (["--tag", "drink"], ["--older-than", "0s"], ["--source", "ada"]):
        asked = terminal("memory", "forget", *demand, typed=b"n\n")
        assert "forget 1 record for good?" in asked.out
        assert asked.code == 130
    assert "green tea" in terminal("memory", "list").out

    assert terminal("memory", "forget", "--tag", "drink", typed=b"y\n").code == 0
    terminal("memory", "add", "black tea", "--tag", "drink")
    assert "for good?" not in terminal("memory", "forget", "--tag", "drink", "--yes").out
    assert "nothing is kept here" in terminal("memory", "list").out
