from __future__ import annotations

import json
import subprocess
import sys

import pytest

ARITHMETIC = {"numpy", "tokenizers", "wordllama"}
HEAVY = ARITHMETIC | {"rich", "asyncio", "sqlite3", "hypothesis"}

RUN = """
import json, sys
from clawstate.cli.main import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(environment, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return set(modules)


@pytest.fixture
def filled(program) -> str:
    """Keep one record with its vector; return its id."""
    made: str = program("memory", "add", "Ada prefers green tea", "--json").json["id"]
    return made


def test_help_loads_nothing_heavy(environment) -> None:
    """`clawstate --help` imports no arithmetic, no drawing, no event loop and no verbs."""
    assert not loaded(environment, "--help") & (HEAVY | {"clawstate.cli.memory"})


@pytest.mark.parametrize("noun", [["memory", "--help"], ["memory", "search", "--help"]])
def test_help_of_a_verb_loads_nothing_heavy(environment, noun: list[str]) -> None:
    """The help of a noun or verb needs neither arithmetic nor an opened state."""
    assert not loaded(environment, *noun) & HEAVY


def test_search_by_words_loads_no_embedder(environment, filled: str) -> None:
    """A words-mode search over records that have vectors loads numpy, and no tokenizers."""
    found = loaded(environment, "memory", "search", "tea", "--mode", "words")

    assert found & HEAVY <= {"numpy"}


def test_a_search_loads_what_a_search_needs(environment, filled: str) -> None:
    """It loads no verb of another module, nor what captures, retains, compacts or explains."""
    found = loaded(environment, "memory", "search", "tea", "--mode", "words")

    others = ("retention", "reembed", "backends.sqlite.compactor", "verdict")
    assert not [each for each in found if each.startswith("clawstate.cli.memory_")]
    assert not found & {f"clawstate.memory.{each}" for each in others}
    assert not [each for each in found if each.startswith("clawstate.memory.capture")]


@pytest.mark.parametrize(
    "arguments",
    [["memory", "list"], ["memory", "stats"], ["memory", "export"], ["status"]],
    ids=" ".join,
)
def test_looking_at_records_loads_no_arithmetic(environment, filled: str, arguments) -> None:
    """What only reads rows loads no numpy and no tokenizers."""
    assert not loaded(environment, *arguments) & HEAVY


def test_getting_a_record_loads_no_arithmetic(environment, filled: str) -> None:
    """Getting a record by its id loads no numpy and no tokenizers."""
    assert not loaded(environment, "memory", "get", filled) & HEAVY


def test_a_pipe_loads_no_terminal_drawing(environment, tmp_path) -> None:
    """An import whose output nobody watches does not load what draws progress bars."""
    (tmp_path / "a.md").write_text("hello")

    assert "rich" not in loaded(environment, "memory", "import", str(tmp_path / "a.md"))
