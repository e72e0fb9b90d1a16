from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clawstate.cli.command import WithExamples
from clawstate.cli.main import NOUNS, root
from clawstate.clock import to_iso

DAY = 86_400


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(root)
    for noun in NOUNS:
        command = root.get_command(context, noun)
        assert command is not None
        yield (noun,), command
        if isinstance(command, click.Group):
            assert command.list_commands(context) == sorted(command.commands)
            yield from (((noun, name), each) for name, each in command.commands.items())


ALL = dict(commands())
NUMBERS = [
    (*path, option.opts[0])
    for path, command in ALL.items()
    for option in command.params
    if isinstance(option, click.Option)
    and isinstance(option.type, type(click.INT) | type(click.FLOAT))
]
TIMES = [
    (*path, option.opts[0])
    for path, command in ALL.items()
    for option in command.params
    if option.type.name in {"time", "duration", "minutes", "size"}
]


def filled_in(path: tuple[str, ...]) -> list[str]:
    """Return *path* with a value for each argument and option that must be given."""
    command = ALL[path]
    needed = [each for each in command.params if each.required]
    words = [(each.opts[0], "x") if isinstance(each, click.Option) else ("x",) for each in needed]
    return [*path, *(word for pair in words for word in pair)]


@pytest.mark.parametrize("option", NUMBERS, ids=" ".join)
@pytest.mark.parametrize("value", ["-5", "x", "1e400", "nan"])
def test_a_number_that_cannot_be_is_a_usage_error(cli, option, value: str) -> None:
    """A number out of its range, or none at all, ends with 2 and a usage line, wherever it is."""
    if option[-1] == "--position" and value == "-5":
        pytest.skip("a place may be before all others")

    failed = cli(*filled_in(option[:-1]), f"{option[-1]}={value}")

    assert failed.code == 2, failed
    assert option[-1] in failed.err


@pytest.mark.parametrize("option", TIMES, ids=" ".join)
@pytest.mark.parametrize("value", ["-5d", "soon", "7 fortnights", "", "99999999999999y"])
def test_a_time_that_cannot_be_is_a_usage_error(cli, option, value: str) -> None:
    """What is no time, length of time or size ends with 2 and tells how to write one."""
    failed = cli(*filled_in(option[:-1]), f"{option[-1]}={value}")

    assert failed.code == 2, failed
    assert "write" in failed.err or "between" in failed.err or "too" in failed.err


@pytest.mark.parametrize("limit", [["search", "tea", "--limit", "0"], ["list", "-k", "0"]])
def test_nothing_at_all_cannot_be_asked_for(cli, limit) -> None:
    """A limit below one record is a usage error."""
    assert cli("memory", *limit).code == 2


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("7d", 7 * DAY),
        ("2h", 7200),
        ("1w", 7 * DAY),
        ("now", 0),
        ("2026-02-27", None),
        ("2026-02-27T09:30Z", None),
        ("20260227", None),
        ("yesterday", None),
        ("Today", None),
    ],
)
def test_a_time_is_written_as_people_write_it(cli, text: str, ago) -> None:
    """`--since` and `--until` take a length of time back from now, a day by name, or a date."""
    cli("memory", "add", "tea")

    found = cli("memory", "search", "tea", "--since", text, "--json")

    assert found.code == 0
    assert len(found.json["results"]) == (0 if ago == 0 else 1) or text == "tomorrow"
    assert cli("memory", "list", "--until", text, "--json").json["records"] == (
        [] if ago != 0 else cli("memory", "list", "--json").json["records"]
    )


def test_since_yesterday_leaves_out_what_is_older(cli, tmp_path: Path) -> None:
    """What was made before yesterday is not found since yesterday, what is of today is."""
    kept = [
        {"text": f"tea {back}", "createdAt": to_iso(time.time() - back * DAY)} for back in (0, 3)
    ]
    (tmp_path / "kept.jsonl").write_text("\n".join(map(json.dumps, kept)))
    cli("memory", "import", tmp_path / "kept.jsonl")

    found = cli("memory", "search", "tea", "--since", "yesterday", "--json").json["results"]

    assert [each["text"] for each in found] == ["tea 0"]


def test_every_noun_has_an_example() -> None:
    """The help of each noun shows how it is used."""
    nouns = {path[0] for path, command in ALL.items() if getattr(command, "examples", ())}

    assert nouns == set(NOUNS)
    assert isinstance(root, WithExamples)
    assert root.examples


def test_the_examples_work_as_they_are_written(environment, tmp_path) -> None:
    """Each example of a help text, typed in the order of the helps, ends with exit code 0."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "tea.md").write_text("# Tea\n\nGreen tea is best at 80 degrees.\n")
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw" / "openclaw.json").write_text("{}")
    (tmp_path / "key.txt").write_text("sk-0123456789abcdef")
    (tmp_path / "token.txt").write_text("a-token-of-the-gateway")
    shown = [(path, each) for path, command in ALL.items() for each in command.examples]
    typed = [*(((), each) for each in root.examples), *shown]
    lines = [
        f"(\n{line}\n) >out 2>&1 || {{ echo {shlex.quote(f'{path}: {line}')}; cat out; }}"
        for path, line in typed
        if path != ("completion",)
    ]
    script = f'clawstate() {{ "{sys.executable}" -m clawstate "$@"; }}\n' + "\n".join(lines)

    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    assert done.stdout == ""


def test_the_version_is_a_noun_as_well(cli) -> None:
    """`clawstate version` tells what `--version` tells, and what it stands on."""
    told = cli("version", "--json").json

    assert told.keys() == {"version", "python", "sqlite"}
    assert told["version"] in cli("--version").out
    assert cli("version").out.startswith(f"clawstate {told['version']} ")
