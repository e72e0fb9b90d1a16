"""A state directory that does not exist is named as such."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from clawstate.cli.command import Command
from clawstate.cli.main import root

READING = [
    *(["memory", "search", "tea"], ["memory", "list"], ["memory", "stats"], ["status"]),
    *(["auth", "list"], ["auth", "audit"], ["sessions", "list"], ["sessions", "prune"]),
    *(["transcripts", "search", "tea"], ["transcripts", "stats"], ["pairing", "list"]),
    *(["devices", "list"], ["dedupe", "stats"], ["config", "get", "gateway.port"]),
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_mistyped_directory_is_not_taken_for_an_empty_one(
    cli, tmp_path: Path, arguments: list[str]
) -> None:
    """What only reads names a directory that was given and is not there, and ends with 3."""
    absent = tmp_path / "mistyped"

    told = cli("--state-dir", str(absent), *arguments)

    assert (told.code, told.out) == (3, "")
    assert str(absent) in told.err
    assert not absent.exists()


@pytest.mark.parametrize("arguments", [["memory", "list"], ["status"]], ids=" ".join)
def test_the_usual_directory_may_be_missing_yet(cli, arguments: list[str]) -> None:
    """Where nobody gave a directory, reading works before the first write, and says so."""
    told = cli(*arguments)

    assert told.code == 0
    assert "does not exist" in told.err


def test_the_doctor_names_a_directory_that_is_not_there(cli, tmp_path: Path) -> None:
    """The doctor finds that there is no directory, or that it is a link to nothing."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "unmounted")

    for place in (tmp_path / "mistyped", link):
        told = cli("--state-dir", str(place), "doctor", "--json")

        assert told.code == 1
        assert [each["code"] for each in told.json["findings"]] == ["no-directory"]


def test_a_command_that_creates_makes_the_directory(cli, tmp_path: Path) -> None:
    """The first write makes the directory without a word about it."""
    told = cli("--state-dir", str(tmp_path / "new"), "memory", "add", "tea")

    assert (told.code, told.err) == (0, "")


def commands(command: click.Command) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    names = command.list_commands(context)
    found = [command.get_command(context, name) for name in names]
    return [leaf for each in found if each is not None for leaf in commands(each)]


def test_every_command_says_whether_it_needs_the_directory() -> None:
    """Every verb is a `Command`, so that a new one needs the directory unless it says otherwise."""
    assert [each.name for each in commands(root) if not isinstance(each, Command)] == []
