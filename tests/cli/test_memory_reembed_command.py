"""`clawstate memory reembed`."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from clawstate.memory.embedders import default_embedder
from clawstate.memory.service import Memory

OLDER = Path(__file__).parents[1] / "memory" / "wordllama.db.gz"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Make the state of the command line one with vectors of wordllama."""
    folder = tmp_path / "state" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(OLDER.read_bytes()))
    return folder.parent


@pytest.mark.usefixtures("older")
def test_it_tells_before_and_then_does(cli) -> None:
    """A dry run tells time, cost and space, and changes nothing; then it is done, once."""
    plan = cli("memory", "reembed", "--dry-run")
    told = json.loads(cli("memory", "stats", "--json").out)
    done = cli("memory", "reembed")
    again = cli("memory", "reembed")

    assert (plan.code, done.code, again.code) == (0, 0, 0)
    assert plan.out.startswith("this was a dry run: nothing is written\n5 records")
    assert "5 distinct texts" in plan.out
    assert "no text leaves this machine" in plan.out
    assert "space needed" in plan.out
    assert told["embedder"].startswith("wordllama")
    assert done.out.startswith("5 records embedded anew: wordllama")
    assert again.out.startswith("nothing to do: all vectors are of clawstate-static")
    assert cli("memory", "search", "beverage", "--mode", "vector", "-k", 1).out.count("tea")


@pytest.mark.usefixtures("older")
def test_its_document_is_the_report(cli) -> None:
    """A program reads all of it as JSON."""
    document = json.loads(cli("memory", "reembed", "--dry-run", "--json").out)

    assert document["before"].startswith("wordllama")
    assert (document["records"], document["done"], document["complete"]) == (5, 0, False)
    assert document["local"] is True


@pytest.mark.usefixtures("older")
def test_interrupted_it_says_how_to_go_on(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it with 130; statistics, status and doctor tell of it until it is dropped."""
    with monkeypatch.context() as patch:

        def interrupt(memory: Memory, *_: object, **__: object) -> None:
            memory._engine.replacement.begin(default_embedder().identity)
            raise KeyboardInterrupt

        patch.setattr(Memory, "reembed", interrupt)
        cut = cli("memory", "reembed")

    assert cut.code == 130
    assert "run it again to go on" in cut.err
    assert re.search("being embedded anew by +clawstate-static", cli("memory", "stats").out)
    assert "being embedded anew by" in cli("status").out
    assert "memory reembed" in cli("doctor").out
    assert (
        cli("memory", "reembed", "--discard").out
        == "what was begun is dropped; 'clawstate memory compact' gives back its space\n"
    )
    assert cli("memory", "reembed", "--discard").out == "nothing was begun\n"
    assert "being embedded anew" not in cli("memory", "stats").out


@pytest.mark.usefixtures("older")
def test_dropping_stands_alone(cli) -> None:
    """To drop what was begun and to begin is a mistake."""
    assert cli("memory", "reembed", "--discard", "--dry-run").code == 2
