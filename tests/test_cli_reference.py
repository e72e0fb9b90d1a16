from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clawstate.cli.main import NOUNS
from clawstate.cli.reference import reference_text

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    """docs/reference/cli.md is the commands' own help; `make docs` writes it anew."""
    assert PAGE.read_text() == reference_text()


def test_every_noun_and_verb_is_on_the_page() -> None:
    """Each command has a heading of its own."""
    text = reference_text()

    for noun in NOUNS:
        assert f"### `clawstate {noun}`\n" in text
    for verb in ("add", "search", "get", "update", "forget", "list", "import", "export"):
        assert f"#### `clawstate memory {verb}`\n" in text


def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow or wide terminal gives the same page."""
    text = reference_text()

    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert reference_text() == text


def test_the_module_prints_the_page() -> None:
    """`python -m clawstate.cli.reference` prints the page and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "clawstate.cli.reference"],
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.decode() == reference_text()
    assert done.stderr == b""
