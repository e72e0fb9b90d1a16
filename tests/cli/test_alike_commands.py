"""What the command line shows of records that contradict each other, or say the same."""

from __future__ import annotations

from pathlib import Path

from clawstate.cli.text_differences import mark_differences

TEA = "Ada prefers green tea in the morning"


def test_near_duplicates_are_shown_with_what_differs(cli) -> None:
    """Of records that say nearly the same, the later one is shown with its difference marked."""
    for text in (TEA, f"{TEA}s"):
        assert cli("memory", "add", text).code == 0

    shown = cli("memory", "duplicates", "--min-similarity", "0.9")

    assert shown.code == 0
    assert TEA in shown.out
    assert "the {+mornings+}" in shown.out
    assert "clawstate memory supersede" in shown.out


def test_nothing_alike_is_said(cli) -> None:
    """A memory without duplicates says so, and gives an empty list to programs."""
    cli("memory", "add", TEA)

    assert cli("memory", "duplicates").out == "nothing is there twice\n"
    assert cli("memory", "duplicates", "--json").json["groups"] == []


def test_both_sides_of_a_conflict_are_shown(cli, tmp_path: Path) -> None:
    """A conflict with a file shows both texts, what differs, and the command that settles it."""
    file = tmp_path / "bread.md"
    file.write_text("# Bread\n\nThe dough rises for twelve hours.\n")
    cli("memory", "import", file)
    record = cli("memory", "list", "--json").json["records"][0]["id"]
    cli("memory", "update", record, "--text", "# Bread\n\nThe dough rises for fourteen hours.")
    file.write_text("# Bread\n\nThe dough rises for ten hours.\n")
    cli("memory", "import", file)

    shown = cli("memory", "conflicts").out

    assert "for [-fourteen-] hours." in shown
    assert "for {+ten+} hours." in shown
    settling = f"clawstate memory resolve {record} --keep mine|file|both"
    assert settling in shown


def test_long_texts_are_cut_around_what_differs() -> None:
    """Of long texts only what is around the differences is shown."""
    long = " ".join(f"word{number}" for number in range(200))

    first, second = mark_differences(f"{long} old {long}", f"{long} new {long}")

    assert first.startswith("... word194")
    assert "[-old-]" in first
    assert second.endswith("word5 ...")
    assert len(second.split()) < 20
