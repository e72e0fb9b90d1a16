"""Laws of the ledger of imports."""

from __future__ import annotations

from clawstate.memory.contract import MemoryEngine
from clawstate.memory.ledger import Finished, Imported
from clawstate.memory.records import content_hash
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

        assert _begun(memory, "a.md") == ({"r"}, set())

        assert engine.imports.marks("default") == {}
        assert memory.stats()["sources"] == 1

    def test_what_a_source_gives_no_more_is_forgotten(self, memory: Memory) -> None:
        """Vanished records go in the step that notes the import, but those of others stay."""
        _import(memory, "a.md", {"r": "one", "s": "two", "t": "three"})
        _import(memory, "b.md", {"s": "two"})

        _begun(memory, "a.md")
        gone = memory.imports.finish("a.md", fingerprint="2", vanished=["s", "t", "x"])

        assert gone == 1
        assert texts_of(memory) == {"one", "two"}
        assert _begun(memory, "a.md") == ({"r"}, set())

    def test_what_is_left_is_nobodys(self, memory: Memory) -> None:
        """A vanished record that is left stays, and no source is noted for it any more."""
        _import(memory, "a.md", {"r": "one", "s": "two"})
        _import(memory, "b.md", {"t": "three", "u": "four"})

        _begun(memory, "a.md")
        gone = memory.imports.finish_all([Finished("a.md", "2", vanished=["s"], left=["r"])])

        assert (gone, memory.imports.forget("b.md", left=["t"])) == (1, 1)
        assert texts_of(memory) == {"one", "three"}
        assert _begun(memory, "a.md") == _begun(memory, "b.md") == (set(), set())

    def test_several_sources_are_one_step(self, memory: Memory) -> None:
        """What is noted of several sources at once is what is noted of each alone."""
        before = memory.imports.begin_all(["a.md", "b.md"])
        rows = {"a.md": [Imported("r")], "b.md": [Imported("r"), Imported("s")]}
        memory.imports.note_all(rows)
        memory.add_many({"id": each, "text": each} for each in "rs")
        memory.imports.finish_all([Finished("a.md", "1"), Finished("b.md", "2", rows=rows["b.md"])])

        assert [each.known for each in before.values()] == [frozenset(), frozenset()]
        assert memory.imports.fingerprints() == {"a.md": "1", "b.md": "2"}
        assert _begun(memory, "a.md") == ({"r"}, set())
        assert _begun(memory, "b.md") == ({"r", "s"}, set())

    def test_digests_of_passages_are_kept(self, memory: Memory) -> None:
        """What was noted of a passage is told again, and which sources gave it."""
        memory.imports.note_all({"a.md": [Imported("r", b"p"), Imported("s", b"q")]})
        memory.imports.note_all(
            {"a.md": [Imported("r", None, b"g")], "b.md": [Imported("t", b"p")]}
        )

        rows = memory.imports.look(["a.md", "none.md"])

        assert rows["a.md"].rows == {"r": Imported("r", b"p", b"g"), "s": Imported("s", b"q")}
        assert rows["none.md"].rows == {}
        assert memory.imports.sources_of([b"p", b"q", b"z"]) == {"a.md": 2, "b.md": 1}
        assert memory.imports.sources_of([b"p"], namespace="work") == {}
        assert memory.imports.sources() == {"a.md", "b.md"}

    def test_what_was_there_before_is_nobodys(self, memory: Memory) -> None:
        """A record made by hand is not tracked by an import that gives it as well."""
        memory.add_many([{"id": "r", "text": "by hand"}])
        _import(memory, "a.md", {"r": "from a file", "s": "more"})

        assert _begun(memory, "a.md") == ({"s"}, set())

    def test_what_was_forgotten_is_remembered(self, memory: Memory) -> None:
        """An id that was forgotten after a whole import is told, until it is kept again."""
        _import(memory, "a.md", {"r": "one", "s": "two"})
        memory.delete("r")
        assert memory.imports.look(["a.md"])["a.md"].forgotten == {"r"}

        assert _begun(memory, "a.md") == ({"r", "s"}, {"r"})
        assert _begun(memory, "a.md") == ({"r", "s"}, {"r"})
        memory.add_many([{"id": "r", "text": "again"}])
        assert _begun(memory, "a.md") == ({"r", "s"}, set())

    def test_what_was_forgotten_is_known_anywhere(self, memory: Memory) -> None:
        """A forgotten record is told by its id and by its text, in its namespace alone."""
        one, other = content_hash("one"), content_hash("other")
        _import(memory, "a.md", {"r": "one", "s": "two"})
        asked = [("r", other), ("x", one), ("y", other)]
        assert memory.imports.were_forgotten(asked) == set()

        memory.delete("r")

        assert memory.imports.were_forgotten(asked) == {"r", "x"}
        assert memory.imports.were_forgotten(asked, namespace="work") == set()
        assert memory.imports.were_forgotten(asked, namespace=None) == {"r", "x"}

    def test_what_was_forgotten_outlives_its_namespace(self, memory: Memory) -> None:
        """Asked in any namespace, what was forgotten in one that is empty since is told."""
        made = memory.add("one", namespace="work")
        assert memory.imports.were_forgotten([(made, b"")], namespace=None) == set()

        memory.forget([made])

        assert memory.imports.were_forgotten([(made, b"")], namespace=None) == {made}

    def test_what_goes_with_its_source_was_not_forgotten(self, memory: Memory) -> None:
        """What a source took along may come again, but not what somebody forgot before."""
        _import(memory, "a.md", {"r": "one", "s": "two", "t": "three"})
        memory.delete("s")
        _begun(memory, "a.md")
        memory.imports.finish("a.md", fingerprint="2", vanished=["t"])
        memory.forget_source("a.md")

        asked = [(each, content_hash(text)) for each, text in (("r", "one"), ("t", "three"))]
        assert memory.imports.were_forgotten(asked) == set()
        assert memory.imports.were_forgotten([("s", content_hash("x"))]) == {"s"}

    def test_a_source_may_have_another_name(self, memory: Memory) -> None:
        """All that is noted goes along; a name that is taken stays what it is."""
        _import(memory, "a.md", {"r": "one", "s": "two"})
        _import(memory, "b.md", {"t": "three"})
        memory.delete("s")

        memory.imports.rename("a.md", "c.md")
        memory.imports.rename("c.md", "b.md")

        assert memory.imports.sources() == {"b.md", "c.md"}
        assert _begun(memory, "c.md") == ({"r", "s"}, {"s"})
        assert _begun(memory, "b.md") == ({"t"}, set())

    def test_an_interrupted_import_forgot_nothing(self, memory: Memory) -> None:
        """Records that are missing because their import was cut off were not forgotten."""
        memory.imports.begin("a.md")
        memory.imports.note("a.md", ["r", "s"])
        memory.add_many([{"id": "r", "text": "one"}])

        assert _begun(memory, "a.md") == ({"r", "s"}, set())

    def test_every_source_is_told(self, engine: MemoryEngine, memory: Memory) -> None:
        """A source is told from the beginning of its import on, until it is forgotten."""
        _import(memory, "a.md", {"r": "one"})
        memory.imports.begin("b.md")
        memory.imports.note("c.md", ["s"], namespace="work")

        assert engine.imports.sources("default") == {"a.md", "b.md"}
        assert engine.imports.sources("work") == {"c.md"}
        engine.imports.forget("default", "b.md")
        assert engine.imports.sources("default") == {"a.md"}

    def test_a_source_that_was_cut_off_may_be_forgotten(self, memory: Memory) -> None:
        """What an import had given before it was cut off goes, but what others give stays."""
        _import(memory, "b.md", {"r": "one"})
        memory.imports.begin("a.md")
        memory.imports.note("a.md", ["r", "s", "t"])
        memory.add_many([{"id": "s", "text": "two"}])

        assert memory.imports.forget("a.md") == 1

        assert texts_of(memory) == {"one"}
        assert memory.imports.forget("nowhere.md") == 0

    def test_a_source_may_be_forgotten(self, engine: MemoryEngine, memory: Memory) -> None:
        """With its note all that a source alone gave goes, in its namespace only."""
        _import(memory, "a.md", {"r": "one"})
        _import(memory, "a.md", {"s": "two"}, namespace="work")

        assert memory.imports.forget("a.md") == 1

        assert texts_of(memory, namespace=None) == {"two"}
        assert engine.imports.marks("default") == {}
        assert engine.imports.marks("work") == {"a.md": "1"}


def _begun(memory: Memory, source: str) -> tuple[set[str], set[str]]:
    """Begin an import of *source*; return the ids that are known of it, and the forgotten."""
    before = memory.imports.begin(source)
    return set(before.known), set(before.forgotten)


def _import(
    memory: Memory, source: str, given: dict[str, str], *, namespace: str = "default"
) -> None:
    memory.imports.begin(source, namespace=namespace)
    memory.imports.note(source, list(given), namespace=namespace)
    memory.add_many(
        {"id": each, "text": text, "namespace": namespace} for each, text in given.items()
    )
    memory.imports.finish(source, fingerprint="1", namespace=namespace)
