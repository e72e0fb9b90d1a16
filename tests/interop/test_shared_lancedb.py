"""The LanceDB table of OpenClaw's plugin `memory-lancedb`, shared with the real plugin."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from openclaw_package import LANCEDB, OpenClaw

import clawstate
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder
from conftest import installed
from lance_table import in_table, texts_in_table

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
DIMENSIONS = 1536


class FnvEmbedder:
    """Makes the vectors that `lancedb_plugin.mjs` makes, under the name of the plugin's model."""

    identity = EmbedderIdentity("text-embedding-3-small", DIMENSIONS)

    def embed(self, texts: list[str]) -> Any:
        rows = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                found = 0x811C9DC5
                for byte in word.encode():
                    found = ((found ^ byte) * 0x01000193) & 0xFFFFFFFF
                row[found % DIMENSIONS] += 1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1)


class Plugin:
    """The plugin in a process of its own; to be used with `with`."""

    def __init__(self, openclaw: OpenClaw, lancedb: OpenClaw, folder: Path, home: Path) -> None:
        script = HERE / "lancedb_plugin.mjs"
        self._complaints = (home / "complaints").open("w")
        self._process = subprocess.Popen(
            [openclaw.node, script, openclaw.package, lancedb.root, folder],
            env=openclaw.environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def __enter__(self) -> Self:
        line = self._process.stdout.readline()
        assert line, Path(self._complaints.name).read_text()
        assert "memory_store" in json.loads(line)["ready"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._complaints.close()

    def ask(self, tool: str, **params: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps({"tool": tool, "params": params}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        assert "failed" not in told, told
        return told

    def store(self, text: str) -> str:
        return self.ask("memory_store", text=text, category="fact", importance=0.5)["id"]

    def recall(self, query: str) -> dict[str, str]:
        found = self.ask("memory_recall", query=query)
        return {each["id"]: each["text"] for each in found.get("memories", ())}


@pytest.fixture
def start(request, openclaw, tmp_path):
    """Return what starts the plugin on a folder."""
    lancedb = installed(request, LANCEDB)
    return lambda folder: Plugin(openclaw, lancedb, folder, tmp_path)


@pytest.fixture(params=["same model", "other model"])
def embedder(request):
    """Give an embedder of ours: the model of the plugin, and another."""
    return FnvEmbedder() if request.param == "same model" else HashEmbedder()


def test_what_either_keeps_the_other_finds(start, tmp_path, embedder) -> None:
    """Rows of the plugin's table are found here by words and meaning; ours stand beside them."""
    folder = tmp_path / "lancedb"
    with start(folder) as plugin:
        theirs = plugin.store("a lobster walks over the beach")
        memory = Memory(LancedbMemory(folder), embedder=embedder)

        assert memory.search("lobster", mode="words")[0].record.id == theirs
        memory.optimize()
        assert memory.search("beach lobster", mode="vector")[0].record.id == theirs
        ours = memory.add("the kettle whistles at six", tags=["kitchen"])
        memory.close()

    assert texts_in_table(folder).keys() == {theirs, ours}
    with start(folder) as plugin:
        assert next(iter(plugin.recall("a lobster walks over the beach"))) == theirs
        found = next(iter(plugin.recall("the kettle whistles at six")))
        assert (found == ours) == isinstance(embedder, FnvEmbedder)
        second = plugin.store("milk is in the fridge")

    again = Memory(LancedbMemory(folder), embedder=embedder)
    assert {each.id for each in again.records()} == {theirs, ours, second}
    assert again.require(ours).tags == ("kitchen",)
    again.close()


def test_what_the_plugin_stores_meanwhile_is_found_and_what_it_forgets_is_gone(
    start, tmp_path, embedder
) -> None:
    """Both are open at once: the next search of ours sees each change of the plugin."""
    folder = tmp_path / "lancedb"
    with start(folder) as plugin:
        first = plugin.store("a lobster walks over the beach")
        memory = Memory(LancedbMemory(folder), embedder=embedder)
        assert [each.id for each in memory.records()] == [first]

        second = plugin.store("milk is in the fridge")
        assert memory.search("milk", mode="words")[0].record.id == second
        plugin.ask("memory_forget", memoryId=first)
        assert memory.search("lobster", mode="words") == []
        third = memory.add("the kettle whistles at six")
        memory.close()

        assert plugin.store("salt is in the cupboard") in texts_in_table(folder)
        plugin.ask("memory_forget", memoryId=third)

    assert sorted(texts_in_table(folder).values()) == [
        "milk is in the fridge",
        "salt is in the cupboard",
    ]


def test_vectors_of_the_plugin_stay_whatever_changes_here(start, tmp_path) -> None:
    """A tag that is added here, and a move to SQLite, leave the plugin what it had."""
    root = tmp_path / "state"
    folder = root / "memory" / "lancedb"
    folder.parent.mkdir(parents=True, mode=0o700)
    with start(folder) as plugin:
        theirs = plugin.store("a lobster walks over the beach")
    before = {row["id"]: row["vector"] for row in in_table(folder)["rows"]}
    with clawstate.open(root) as state:
        state.config.set("memory.store.type", "lancedb")
    with clawstate.open(root) as state:
        state.memory.update(theirs, tags=["animal"])
        state.memory.optimize()
    with clawstate.open(root) as state:
        state.records.migrate_memory("sqlite")

    assert {row["id"]: row["vector"] for row in in_table(folder)["rows"]} == before
    with start(folder) as plugin:
        assert plugin.recall("a lobster walks over the beach").keys() == {theirs}
    with clawstate.open(root) as state:
        assert state.memory.require(theirs).tags == ("animal",)
