"""Laws of the ledger of imports."""

from __future__ import annotations

from clawstate.memory.contract import MemoryEngine
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import MemoryHooks, texts_of


class ImportLaws(MemoryHooks):
    """What is noted of imports, and what goes with them."""

    def test_a_source_is_marked_when_it_is_whole(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """A source has a fingerprint from the end of its import to the beginning of the next."""
        _import(memory, "a.md", {"r": "tea"})
        assert engine.imports.marks("default") == {"a.md": "1"}
        assert engine.imports.marks("work") == {}

        assert engine.imports.begin("default", "a.md") == ({"r"}, set())

        assert engine.imports.marks("default") == {}
        assert memory.stats()["sources"] == 1

    def test_what_a_source_gives_no_more_is_forgotten(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """Vanished records go in the step that notes the import, but those of others stay."""
        _import(memory, "a.md", {"r": "one", "s": "two", "t": "three"})
        _import(memory, "b.md", {"s": "two"})

        engine.imports.begin("default", "a.md")
        gone = engine.imports.finish("default", "a.md", fingerprint="2", vanished=["s", "t", "x"])

        assert gone == 1
        assert texts_of(memory) == {"one", "two"}
        assert engine.imports.begin("default", "a.md") == ({"r"}, set())

    def test_what_was_there_before_is_nobodys(self, engine: MemoryEngine, memory: Memory) -> None:
        """A record made by hand is not tracked by an import that gives it as well."""
        memory.add_many([{"id": "r", "text": "by hand"}])
        _import(memory, "a.md", {"r": "from a file", "s": "more"})

        assert engine.imports.begin("default", "a.md") == ({"s"}, set())

    def test_what_was_forgotten_is_remembered(self, engine: MemoryEngine, memory: Memory) -> None:
        """An id that was forgotten after a whole import is told, until it is kept again."""
        _import(memory, "a.md", {"r": "one", "s": "two"})
        memory.delete("r")

        assert engine.imports.begin("default", "a.md") == ({"r", "s"}, {"r"})
        assert engine.imports.begin("default", "a.md") == ({"r", "s"}, {"r"})
        memory.add_many([{"id": "r", "text": "again"}])
        assert engine.imports.begin("default", "a.md") == ({"r", "s"}, set())

    def test_an_interrupted_import_forgot_nothing(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """Records that are missing because their import was cut off were not forgotten."""
        engine.imports.begin("default", "a.md")
        engine.imports.note("default", "a.md", ["r", "s"])
        memory.add_many([{"id": "r", "text": "one"}])

        assert engine.imports.begin("default", "a.md") == ({"r", "s"}, set())

    def test_every_source_is_told(self, engine: MemoryEngine, memory: Memory) -> None:
        """A source is told from the beginning of its import on, until it is forgotten."""
        _import(memory, "a.md", {"r": "one"})
        engine.imports.begin("default", "b.md")
        engine.imports.note("work", "c.md", ["s"])

        assert engine.imports.sources("default") == {"a.md", "b.md"}
        assert engine.imports.sources("work") == {"c.md"}
        engine.imports.forget("default", "b.md")
        assert engine.imports.sources("default") == {"a.md"}

    def test_a_source_that_was_cut_off_may_be_forgotten(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """What an import had given before it was cut off goes, but what others give stays."""
        _import(memory, "b.md", {"r": "one"})
        engine.imports.begin("default", "a.md")
        engine.imports.note("default", "a.md", ["r", "s", "t"])
        memory.add_many([{"id": "s", "text": "two"}])

        assert engine.imports.forget("default", "a.md") == 1

        assert texts_of(memory) == {"one"}
        assert engine.imports.forget("default", "nowhere.md") == 0

    def test_a_source_may_be_forgotten(self, engine: MemoryEngine, memory: Memory) -> None:
        """With its note all that a source alone gave goes, in its namespace only."""
        _import(memory, "a.md", {"r": "one"})
        _import(memory, "a.md", {"s": "two"}, namespace="work")

        assert memory.imports.forget("a.md") == 1

        assert texts_of(memory, namespace=None) == {"two"}
        assert engine.imports.marks("default") == {}
        assert engine.imports.marks("work") == {"a.md": "1"}


def _import(
    memory: Memory, source: str, given: dict[str, str], *, namespace: str = "default"
) -> None:
    memory.imports.begin(source, namespace=namespace)
    memory.imports.note(source, list(given), namespace=namespace)
    memory.add_many(
        {"id": each, "text": text, "namespace": namespace} for each, text in given.items()
    )
    memory.imports.finish(source, fingerprint="1", namespace=namespace)
