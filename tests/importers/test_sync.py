from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.clock import from_iso
from clawstate.errors import InvalidError, NotFoundError
from clawstate.importers.discover import Kind
from clawstate.importers.report import Report
from clawstate.importers.sync import import_paths
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.records import MemoryRecord
from clawstate.records.inmemory import InMemoryBackend
from clawstate.testing.forked import Child, child_process
from clawstate.wire.memory import export_form

GARDEN = "# Garden\n\nTomatoes need water every evening."
KITCHEN = "# Kitchen\n\nThe bread rises for twelve hours."
CELLAR = "# Cellar\n\nThe boiler is serviced in October."


class CountingEmbedder:
    """Makes a vector of each text's letters, and notes the texts it was asked for."""

    identity = EmbedderIdentity("letters", 26)

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fails_after: int | None = None

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self.fails_after is not None and len(self.texts) >= self.fails_after:
            raise KeyboardInterrupt
        self.texts += texts
        rows = np.array(
            [[1 + text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], np.float32
        )
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def memory(tmp_path: Path, clock, embedder: CountingEmbedder):
    with clawstate.open(tmp_path / "state", embedder=embedder, clock=clock) as state:
        yield state.memory


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def write(path: Path, *sections: str) -> Path:
    path.write_text("\n\n".join(sections) + "\n")
    return path


def write_lines(path: Path, *values: object) -> Path:
    lines = (json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    path.write_bytes("".join(lines).encode())
    return path


def counts(report: Report) -> tuple[int, int, int, int]:
    """Return what was added, updated, kept and removed."""
    return report.added, report.updated, report.kept, report.removed


def everything(memory, namespace: str | None = None) -> dict[str, MemoryRecord]:
    return {each.id: each for each in memory.records(namespace=namespace, limit=5000)}


def by_text(memory, namespace: str | None = None) -> dict[str, MemoryRecord]:
    return {each.text: each for each in everything(memory, namespace).values()}


def changes(memory) -> int:
    with memory._engine.reading() as reading:
        return reading.version


# --- the first import, and the same again ---


def test_a_file_becomes_records(memory, notes: Path, clock) -> None:
    """Each passage is one record that knows its file, lines, heading, tags, thread and place."""
    path = write(notes / "home.md", GARDEN, KITCHEN)

    report = import_paths(memory, [path], tags=["house"])

    assert (report.files, report.skipped, counts(report)) == (1, 0, (2, 0, 0, 0))
    second = by_text(memory)[KITCHEN]
    assert second == MemoryRecord(
        id=second.id,
        text=KITCHEN,
        headings=("Kitchen",),
        names=("home", notes.name, notes.parent.name),
        source=str(path),
        tags=("house",),
        metadata={"heading": "Kitchen", "start_line": 5, "end_line": 7},
        thread=str(path),
        position=1,
        created_at=pytest.approx(path.stat().st_mtime, abs=0.001),
        updated_at=clock.now,
    )


def test_importing_again_writes_nothing(memory, notes: Path, embedder, clock) -> None:
    """A file that is as it was is skipped: no change, no vector, the same records."""
    write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [notes])
    before, version = everything(memory), changes(memory)
    embedder.texts.clear()
    clock.advance(60)

    report = import_paths(memory, [notes])

    assert (report.files, report.skipped, counts(report)) == (1, 1, (0, 0, 0, 0))
    assert everything(memory) == before
    assert changes(memory) == version
    assert embedder.texts == []


def test_importing_again_leaves_the_database_byte_for_byte(tmp_path: Path, notes: Path) -> None:
    """The database file has the same bytes after an import of unchanged files."""
    write(notes / "home.md", GARDEN, KITCHEN)

    def imported() -> bytes:
        with clawstate.open(tmp_path / "state", embedder=CountingEmbedder()) as state:
            import_paths(state.memory, [notes])
            path = state.paths.memory_db
        return hashlib.sha256(path.read_bytes()).digest()

    assert imported() == imported()


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_two_imports_at_once_take_turns(tmp_path: Path, notes: Path, store: str) -> None:
    """Of two processes that import one folder at once one takes all, and the other skips all."""
    for number in range(5):
        write(notes / f"{number}.md", GARDEN, KITCHEN, CELLAR)

    def work(child: Child) -> None:
        with clawstate.open(tmp_path, store=store, embedder=CountingEmbedder()) as state:
            child.say()
            child.hear()
            report = import_paths(state.memory, [notes])
        (tmp_path / f"{os.getpid()}.report").write_text(f"{report.added} {report.skipped}")

    with child_process(work) as one, child_process(work) as two:
        for each in (one, two):
            each.hear()
        for each in (one, two):
            each.say()
        assert (one.wait(), two.wait()) == (0, 0)

    assert sorted(each.read_text() for each in tmp_path.glob("*.report")) == ["0 5", "15 0"]


def test_an_import_that_was_killed_keeps_nobody_waiting(tmp_path: Path, notes: Path) -> None:
    """The lease of a killed import is granted to the next one at once."""
    write(notes / "home.md", GARDEN)

    def hold(child: Child) -> None:
        with clawstate.open(tmp_path) as state, state.memory.imports.alone():
            child.say()
            child.hear()

    with child_process(hold) as child:
        child.hear()
        child.kill()
        with clawstate.open(tmp_path, embedder=CountingEmbedder()) as state:
            assert import_paths(state.memory, [notes]).added == 1


def test_touching_a_file_is_no_change(memory, notes: Path) -> None:
    """What counts is what a file says: a new time or a copy back in place is skipped."""
    path = write(notes / "home.md", GARDEN)
    import_paths(memory, [notes])

    os.utime(path, (1, 1))

    assert import_paths(memory, [notes]).skipped == 1


# --- changed files ---


def test_only_changed_passages_change(memory, notes: Path, embedder) -> None:
    """In a changed file the other passages keep their ids and times, and are not embedded again."""
    path = write(notes / "home.md", GARDEN, KITCHEN, CELLAR)
    import_paths(memory, [path])
    before = by_text(memory)
    embedder.texts.clear()

    changed = KITCHEN.replace("twelve", "fourteen")
    report = import_paths(memory, [write(path, GARDEN, changed, CELLAR)])

    after = by_text(memory)
    assert counts(report) == (1, 0, 2, 1)
    assert embedder.texts == [changed]
    assert after.keys() == {GARDEN, changed, CELLAR}
    assert (after[GARDEN], after[CELLAR]) == (before[GARDEN], before[CELLAR])
    assert after[changed].position == 1


def test_a_passage_that_moved_keeps_its_id(memory, notes: Path, embedder) -> None:
    """A passage that only moved gets new lines and a new place, under its id and vector."""
    path = write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [path])
    before = by_text(memory)[KITCHEN]
    embedder.texts.clear()

    report = import_paths(memory, [write(path, GARDEN, CELLAR, KITCHEN)])

    after = by_text(memory)[KITCHEN]
    assert counts(report) == (1, 1, 1, 0)
    assert after.id == before.id
    assert (after.metadata["start_line"], after.position) == (9, 2)
    assert after.created_at == before.created_at
    assert embedder.texts == [CELLAR]


def test_vanished_passages_are_removed(memory, notes: Path) -> None:
    """A passage that its file says no more is not found any more."""
    path = write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [path])

    report = import_paths(memory, [write(path, KITCHEN)])

    assert report.removed == 1
    assert by_text(memory).keys() == {KITCHEN}
    assert memory.search("tomatoes", mode="words") == []


def test_equal_passages_of_a_file_are_counted(memory, notes: Path) -> None:
    """A passage that stands twice is two records; when one goes, one is left in its place."""
    path = write(notes / "home.md", GARDEN, KITCHEN, GARDEN)
    first = import_paths(memory, [path])
    places = [each.position for each in everything(memory).values() if each.text == GARDEN]

    second = import_paths(memory, [write(path, KITCHEN, GARDEN)])

    assert (first.added, sorted(places)) == (3, [0, 2])
    assert (second.added, second.removed) == (0, 1)
    assert by_text(memory)[GARDEN].position == 1
    assert len(everything(memory)) == 2


def test_equal_passages_of_two_files_are_apart(memory, notes: Path) -> None:
    """The same words in two files are two records, and removing one file leaves the other's."""
    write(notes / "a.md", GARDEN)
    write(notes / "b.md", GARDEN)
    import_paths(memory, [notes])

    (notes / "a.md").unlink()
    import_paths(memory, [notes])

    assert [each.source for each in everything(memory).values()] == [str(notes / "b.md")]


def test_other_tags_are_a_change(memory, notes: Path) -> None:
    """Importing an unchanged file with other tags gives its records those tags as well."""
    path = write(notes / "home.md", GARDEN)
    import_paths(memory, [path], tags=["a"])

    report = import_paths(memory, [path], tags=["b", "c"])

    assert counts(report) == (0, 1, 0, 0)
    assert by_text(memory)[GARDEN].tags == ("a", "b", "c")


def test_a_tag_with_a_blank_is_not_two_tags(memory, notes: Path) -> None:
    """Tags that only look the same when written in a row are a change as well."""
    path = write(notes / "home.md", GARDEN)
    import_paths(memory, [path], tags=["a b"])

    import_paths(memory, [path], tags=["a", "b"])

    assert by_text(memory)[GARDEN].tags == ("a", "a b", "b")


def test_times_finer_than_a_millisecond_are_no_change(memory, notes: Path) -> None:
    """A record whose file tells microseconds is written once, not at each import."""
    old = {"id": "a", "text": "old", "createdAt": "2026-02-27T09:30:00.123456Z"}
    path = write_lines(notes / "log.jsonl", old)
    import_paths(memory, [path])

    report = import_paths(memory, [write_lines(path, old, {"id": "b", "text": "new"})])

    assert counts(report) == (1, 0, 1, 0)


def test_a_new_end_of_life_is_a_change(memory, notes: Path) -> None:
    """When a line of a file gives its record another expiry, the record gets it."""
    line = {"id": "a", "text": "meeting", "expiresAt": "2030-01-01T00:00:00Z"}
    path = write_lines(notes / "log.jsonl", line)
    import_paths(memory, [path])
    before = memory.require("a").expires_at

    report = import_paths(memory, [write_lines(path, line | {"expiresAt": "2031-01-01"})])

    assert report.updated == 1
    assert memory.require("a").expires_at != before


# --- files that vanish or cannot be read ---


def test_a_file_that_left_its_folder_is_removed(memory, notes: Path) -> None:
    """Importing a folder again removes what came from files that are gone, and nothing else."""
    write(notes / "a.md", GARDEN)
    (notes / "deep").mkdir()
    write(notes / "deep" / "b.md", KITCHEN)
    outside = write(notes.parent / "c.md", CELLAR)
    import_paths(memory, [notes, outside])
    made = memory.add("by hand")

    (notes / "deep" / "b.md").unlink()
    (notes / "deep").rmdir()
    outside.unlink()
    report = import_paths(memory, [notes])

    assert report.removed == 1
    assert by_text(memory).keys() == {GARDEN, CELLAR, "by hand"}
    assert memory.get(made) is not None


@pytest.mark.parametrize("cause", ["stopped", "binary", "first"])
def test_a_file_that_vanished_after_an_import_of_it_failed_is_removed(
    memory, notes: Path, embedder, cause: str
) -> None:
    """What a file gave goes with it, also when its last import was cut off, failed or was first."""
    path = notes / "log.jsonl"
    write_lines(path, *({"text": f"note {number}"} for number in range(1500)))
    write(notes / "a.md", GARDEN)
    embedder.fails_after = 500 if cause == "first" else None
    with contextlib.suppress(KeyboardInterrupt):
        import_paths(memory, [notes])
    if cause == "stopped":
        write_lines(path, *({"text": f"other {number}"} for number in range(1500)))
        embedder.fails_after = len(embedder.texts) + 500
        with pytest.raises(KeyboardInterrupt):
            import_paths(memory, [notes])
    if cause == "binary":
        path.write_bytes(b"\0\1\2" * 1000)
        assert import_paths(memory, [notes]).failed == {path}
    embedder.fails_after = None
    assert len(everything(memory)) > 1000

    path.unlink()
    import_paths(memory, [notes])

    assert by_text(memory).keys() == {GARDEN}
    assert memory.imports.sources() == {str(notes / "a.md")}


def test_a_file_whose_folder_became_a_file_is_removed(memory, notes: Path) -> None:
    """A file below a name that is no folder any more has vanished."""
    (notes / "deep").mkdir()
    write(notes / "deep" / "b.md", KITCHEN)
    import_paths(memory, [notes])

    (notes / "deep" / "b.md").unlink()
    (notes / "deep").rmdir()
    (notes / "deep").write_text("now a file")
    import_paths(memory, [notes], emptied=True)

    assert everything(memory) == {}


def test_a_named_file_that_vanished_is_an_error(memory, notes: Path) -> None:
    """A path that does not exist stops the import before anything is written."""
    path = write(notes / "a.md", GARDEN)
    import_paths(memory, [path])
    path.unlink()
    other = write(notes / "b.md", KITCHEN)

    with pytest.raises(NotFoundError, match=r"a\.md"):
        import_paths(memory, [other, path])

    assert by_text(memory).keys() == {GARDEN}


def test_a_file_that_cannot_be_read_keeps_its_records(memory, notes: Path) -> None:
    """When something unreadable stands where a file was, its records stay, with a problem."""
    path = write(notes / "a.md", GARDEN)
    import_paths(memory, [notes])

    path.unlink()
    os.mkfifo(path)
    report = import_paths(memory, [notes])

    assert by_text(memory).keys() == {GARDEN}
    assert [(each.path, each.line) for each in report.problems] == [(path, None)]
    assert report.removed == 0


def test_a_file_that_is_hidden_now_keeps_its_records(memory, notes: Path) -> None:
    """A file that a folder import passes over, but that is still there, has not vanished."""
    path = write(notes / "a.weird", GARDEN)
    import_paths(memory, [path])

    report = import_paths(memory, [notes])

    assert report.removed == 0
    assert by_text(memory).keys() == {GARDEN}


def test_problems_have_a_place_and_stop_nothing(memory, notes: Path) -> None:
    """What cannot be taken in is reported with path and line; the rest of the file goes in."""
    path = notes / "log.jsonl"
    path.write_text(
        '{"text": "one"}\nno json\n{"text": "three", "importance": 7}\n{"text": "four"}'
    )

    report = import_paths(memory, [path, write(notes / "a.md", GARDEN)])

    assert report.added == 3
    assert [(each.path, each.line) for each in report.problems] == [(path, 2), (path, 3)]
    assert all("json" not in each.message.replace("JSON", "") for each in report.problems)
    assert by_text(memory).keys() == {"one", "four", GARDEN}


def test_a_file_with_problems_tells_them_each_time(memory, notes: Path) -> None:
    """A file whose lines partly cannot be taken in is read at each import, and changes nothing."""
    path = notes / "log.jsonl"
    path.write_text('{"text": "one"}\nno json\n')
    first = import_paths(memory, [path])

    again = import_paths(memory, [path])

    assert (again.problems, again.kept, counts(again)) == (first.problems, 1, (0, 0, 1, 0))


def test_a_conflict_in_one_file_stops_no_other(memory, notes: Path) -> None:
    """A line whose id lives in another namespace is a problem of its file; the rest goes in."""
    memory.add_many([{"id": "taken", "text": "mine", "namespace": "private"}])
    write_lines(notes / "a.jsonl", {"id": "taken", "text": "theirs"}, {"id": "free", "text": "x"})
    write(notes / "b.md", GARDEN)

    report = import_paths(memory, [notes])

    assert by_text(memory, "private").keys() == {"mine"}
    assert GARDEN in by_text(memory)
    assert [(each.path, each.line) for each in report.problems] == [(notes / "a.jsonl", 1)]


# --- what was forgotten, and what was interrupted ---


def test_the_forgotten_stays_forgotten(memory, notes: Path) -> None:
    """A record that was forgotten on purpose does not come back, however its file changes."""
    path = write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [path])
    memory.delete(by_text(memory)[GARDEN].id)

    again = import_paths(memory, [path])
    changed = import_paths(memory, [write(path, GARDEN, KITCHEN, CELLAR)])
    twice = import_paths(memory, [write(path, CELLAR, GARDEN, KITCHEN)])

    assert again.skipped == 1
    assert (changed.added, changed.forgotten) == (1, 1)
    assert (twice.added, twice.forgotten) == (0, 1)
    assert by_text(memory).keys() == {KITCHEN, CELLAR}


def test_the_forgotten_stays_forgotten_over_an_interruption(memory, notes: Path, embedder) -> None:
    """An import that was cut off does not make the next one forget what was forgotten."""
    path = write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [path])
    memory.delete(by_text(memory)[GARDEN].id)
    write(path, GARDEN, KITCHEN, CELLAR)
    embedder.fails_after = 0
    with pytest.raises(KeyboardInterrupt):
        import_paths(memory, [path])
    embedder.fails_after = None

    import_paths(memory, [path])

    assert by_text(memory).keys() == {KITCHEN, CELLAR}


def test_an_interrupted_file_is_completed(memory, notes: Path, embedder) -> None:
    """After an import that stopped within a file the next one adds just what was missing."""
    path = notes / "log.jsonl"
    write_lines(path, *({"text": f"note {number}"} for number in range(2500)))
    embedder.fails_after = 2000
    with pytest.raises(KeyboardInterrupt):
        import_paths(memory, [path])
    kept = set(everything(memory))
    embedder.fails_after = None
    embedder.texts.clear()

    report = import_paths(memory, [path])

    assert 0 < len(kept) < 2500
    assert counts(report) == (2500 - len(kept), 0, len(kept), 0)
    assert len(embedder.texts) == 2500 - len(kept)
    assert kept < set(everything(memory))
    assert import_paths(memory, [path]).skipped == 1


def test_an_import_stopped_between_files_goes_on(memory, notes: Path) -> None:
    """Of many small files those that were written before it are skipped by the next import."""
    for number in range(2100):
        write(notes / f"{number:04}.md", f"note {number}")

    def stop(_done: int, _total: int, what: str) -> None:
        if what == "2090.md":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_paths(memory, [notes], progress=stop)
    report = import_paths(memory, [notes])

    assert report.skipped > 2000
    assert (report.skipped + report.added, len(everything(memory))) == (2100, 2100)


def test_an_interruption_removes_nothing(memory, notes: Path, embedder) -> None:
    """Until a changed file was read to its end, what it said before stays."""
    path = write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [path])
    write(path, CELLAR)
    embedder.fails_after = 0

    with pytest.raises(KeyboardInterrupt):
        import_paths(memory, [path])

    assert by_text(memory).keys() == {GARDEN, KITCHEN}


# --- namespaces, ids and kinds ---


def test_two_namespaces_hold_the_same_file(memory, notes: Path) -> None:
    """One file imported into two namespaces is followed in each on its own."""
    path = write(notes / "home.md", GARDEN, KITCHEN)
    import_paths(memory, [path], namespace="a")
    report = import_paths(memory, [path], namespace="b")

    write(path, GARDEN)
    import_paths(memory, [path], namespace="a")

    assert (report.skipped, report.added) == (0, 2)
    assert by_text(memory, "a").keys() == {GARDEN}
    assert by_text(memory, "b").keys() == {GARDEN, KITCHEN}


def test_json_lines_bring_their_own_names(memory, notes: Path) -> None:
    """A line's id, source, tags, times, thread, place and expiry are its record's."""
    path = write_lines(
        notes / "log.jsonl",
        {
            "id": "note-1",
            "text": "hello",
            "source": "mail:17",
            "tags": ["x"],
            "createdAt": "2026-02-27T09:30:00Z",
            "updatedAt": "2026-02-28T09:30:00Z",
            "expiresAt": "2031-01-01T00:00:00Z",
            "thread": "t",
            "position": 4,
            "importance": 0.2,
            "category": "fact",
            "namespace": "post",
            "mood": "good",
        },
    )

    import_paths(memory, [path], tags=["mine"])

    record = memory.require("note-1")
    assert (record.source, record.thread, record.position) == ("mail:17", "t", 4)
    assert set(record.tags) == {"mine", "x"}
    assert record.created_at == 1_772_184_600
    assert record.updated_at == 1_772_271_000
    assert record.expires_at == 1_924_992_000
    assert (record.importance, record.category, record.namespace) == (0.2, "fact", "post")
    assert record.metadata["mood"] == "good"


def test_a_lifetime_in_json_lines_counts_from_the_import(memory, notes: Path, clock) -> None:
    """A line's `ttl` ends that many seconds after it was imported."""
    import_paths(memory, [write_lines(notes / "a.jsonl", {"id": "a", "text": "x", "ttl": 90})])

    assert memory.require("a").expires_at == clock.now + 90


def test_a_changed_line_under_its_own_id_is_an_update(memory, notes: Path) -> None:
    """New text under an id that the file gives replaces the text of that record."""
    path = write_lines(notes / "log.jsonl", {"id": "a", "text": "old"})
    import_paths(memory, [path])

    report = import_paths(memory, [write_lines(path, {"id": "a", "text": "new"})])

    assert counts(report) == (0, 1, 0, 0)
    assert memory.require("a").text == "new"


def test_one_id_given_twice_is_one_record(memory, notes: Path) -> None:
    """When two lines of a file give one id, the last one counts, and one record was added."""
    lines = [{"id": "a", "text": "first"}, {"id": "a", "text": "last"}]
    report = import_paths(memory, [write_lines(notes / "log.jsonl", *lines)])

    assert memory.require("a").text == "last"
    assert report.added == len(everything(memory))


def test_a_record_of_two_files_stays_while_one_has_it(memory, notes: Path) -> None:
    """An id that two files give is removed only when both are gone."""
    write_lines(notes / "monday.jsonl", {"id": "a", "text": "hello"})
    write_lines(notes / "tuesday.jsonl", {"id": "a", "text": "hello"}, {"id": "b", "text": "bye"})
    import_paths(memory, [notes])

    (notes / "monday.jsonl").unlink()
    import_paths(memory, [notes])
    left = set(everything(memory))
    (notes / "tuesday.jsonl").unlink()
    import_paths(memory, [notes], emptied=True)

    assert left == {"a", "b"}
    assert everything(memory) == {}


def test_records_made_by_hand_outlive_their_export(memory, notes: Path) -> None:
    """Exporting, importing the export and removing it takes away nothing that was there before."""
    memory.add("by hand")
    exported = [export_form(each) for each in everything(memory).values()]
    path = write_lines(notes / "backup.jsonl", *exported)
    import_paths(memory, [notes])

    path.unlink()
    import_paths(memory, [notes])

    assert by_text(memory).keys() == {"by hand"}


def test_the_kind_can_be_given(memory, notes: Path) -> None:
    """With a kind given a file is read as that, and reading it as another is a change."""
    path = write_lines(notes / "log.txt", {"text": "hello"})

    import_paths(memory, [path])
    as_text = by_text(memory).keys()
    import_paths(memory, [path], kind=Kind.JSON_LINES)

    assert as_text == {'{"text": "hello"}'}
    assert by_text(memory).keys() == {"hello"}


def test_bad_names_are_refused_before_the_first_write(memory, notes: Path) -> None:
    """A namespace or tag that no record can have raises or is reported, and nothing is kept."""
    path = write(notes / "home.md", GARDEN)

    try:
        report = import_paths(memory, [path], namespace="a\nb", tags=["\x00"])
    except InvalidError:
        report = Report()

    assert report.added == 0
    assert everything(memory) == {}


def test_progress_only_grows(memory, notes: Path) -> None:
    """Progress is told in bytes, never falls, names each file, and ends at the whole."""
    for number in range(5):
        write(notes / f"{number}.md", GARDEN * (number + 1))
    told: list[tuple[int, int, str]] = []

    import_paths(memory, [notes], progress=lambda *each: told.append(each))

    done = [each[0] for each in told]
    total = sum(path.stat().st_size for path in notes.iterdir())
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert {each[1] for each in told} == {total}
    assert [each[2] for each in told] == [*(f"{number}.md" for number in range(5)), ""]


# --- conversations ---


def test_a_transcript_is_a_thread(memory, notes: Path) -> None:
    """An OpenClaw session becomes one thread in the order it was said, and search finds it."""
    header = {"type": "session", "version": 3, "id": "s-1", "timestamp": "2026-02-27T09:30:00Z"}
    said = [("user", "When is the boiler serviced?"), ("assistant", "Every October, by Bob.")]
    messages = [
        {
            "type": "message",
            "id": f"m{number}",
            "timestamp": "2026-02-27T09:30:02.000Z",
            "message": {"role": role, "content": text, "timestamp": 1772184600500 + number},
        }
        for number, (role, text) in enumerate(said)
    ]
    path = write_lines(notes / "s-1.jsonl", header, *messages)

    report = import_paths(memory, [path])

    records = sorted(everything(memory).values(), key=lambda each: each.position or 0)
    assert (report.added, report.problems) == (2, [])
    assert [each.text for each in records] == [text for _, text in said]
    assert {each.thread for each in records} == {"s-1"}
    assert [each.metadata["role"] for each in records] == ["user", "assistant"]
    assert records[0].created_at == 1772184600.5
    assert memory.search("boiler october", mode="words")[0].record.thread == "s-1"


def test_a_growing_transcript_gains_only_its_new_messages(memory, notes: Path, embedder) -> None:
    """When a session went on, the messages known already are neither written nor embedded again."""
    header = {"type": "session", "version": 3, "id": "s-1", "timestamp": "2026-02-27T09:30:00Z"}

    def message(number: int) -> dict[str, object]:
        body = {"role": "user", "content": f"message {number}", "timestamp": 1772184600123}
        return {"type": "message", "id": f"m{number}", "message": body}

    path = write_lines(notes / "s-1.jsonl", header, message(1), message(2))
    import_paths(memory, [path])
    embedder.texts.clear()

    report = import_paths(memory, [write_lines(path, header, message(1), message(2), message(3))])

    assert counts(report) == (1, 0, 2, 0)
    assert embedder.texts == ["message 3"]


def chat(name: str, *texts: str) -> dict[str, object]:
    mapping: dict[str, object] = {"root": {"id": "root", "message": None, "parent": None}}
    parent = "root"
    for number, text in enumerate(texts):
        mapping[f"{name}-{number}"] = {
            "id": f"{name}-{number}",
            "parent": parent,
            "message": {
                "id": f"m-{name}-{number}",
                "author": {"role": "assistant" if number % 2 else "user"},
                "create_time": 1772184600.251234 + number,
                "content": {"content_type": "text", "parts": [text]},
                "recipient": "all",
                "metadata": {},
            },
        }
        parent = f"{name}-{number}"
    return {
        "title": name.title(),
        "create_time": 1772180000.0,
        "mapping": mapping,
        "conversation_id": name,
        "current_node": parent,
    }


def test_a_chat_export_is_its_conversations(memory, notes: Path) -> None:
    """A ChatGPT export becomes one thread a conversation, in order, and search finds it."""
    path = notes / "conversations.json"
    boiler = chat("boiler", "When is it serviced?", "The boiler is serviced in October.")
    path.write_text(json.dumps([boiler, chat("bread", "How long does bread rise?")]))

    report = import_paths(memory, [notes])

    threads = [(each.thread, each.position, each.text) for each in everything(memory).values()]
    assert report.added == 3
    assert sorted(threads) == [
        ("boiler", 0, "When is it serviced?"),
        ("boiler", 1, "The boiler is serviced in October."),
        ("bread", 0, "How long does bread rise?"),
    ]
    assert memory.search("boiler october", mode="words")[0].record.metadata["title"] == "Boiler"


def test_a_newer_chat_export_changes_only_what_is_new(memory, notes: Path, embedder) -> None:
    """A later export of the same chats adds the new messages and rewrites none of the old ones."""
    path = notes / "conversations.json"
    path.write_text(json.dumps([chat("boiler", "When?", "In October.")]))
    import_paths(memory, [path])
    before = by_text(memory)
    embedder.texts.clear()

    path.write_text(json.dumps([chat("boiler", "When?", "In October.", "Thanks a lot.")]))
    report = import_paths(memory, [path])

    assert counts(report) == (1, 0, 2, 0)
    assert embedder.texts == ["Thanks a lot."]
    assert {**by_text(memory), **before} == by_text(memory)


# --- what is exported can be imported ---

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.from_regex(r"[a-z][a-z0-9:/. -]{0,10}[a-z0-9]", fullmatch=True)
TIMES = st.integers(1_000_000_000_000, 3_000_000_000_000).map(lambda ms: ms / 1000)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
TOLD = ["source", "ttl", "tags", "id", "text", "createdAt", "updatedAt", "expiresAt", "heading"]
KEYS = st.sampled_from([*TOLD, "start_line", "end_line"]) | st.text(max_size=6)


NOTE = """---
title: Lisbon itinerary
aliases: [Portugal plan, "Lisboa"]
description: spring city break
tags: [trip]
---
Day one: tram and custard tarts.

# Hotel

## Key

It is under the mat.
"""


def test_a_passage_knows_what_it_is_called(memory, notes: Path) -> None:
    """File, folders, title, aliases, description, tags and headings stand beside the text."""
    folder = notes / "trips"
    folder.mkdir()
    path = folder / "LIS 2026.md"
    path.write_text(NOTE)

    import_paths(memory, [path])

    first, second = sorted(memory.records(), key=lambda record: record.position)
    assert first.text == "Day one: tram and custard tarts."
    called = ("Portugal plan", "Lisboa", "spring city break", "trip", "LIS 2026", "trips")
    assert (first.title, first.headings) == ("Lisbon itinerary", ())
    assert first.names == second.names == (*called, notes.name)
    assert (second.title, second.headings) == ("Lisbon itinerary", ("Hotel", "Key"))


def test_a_passage_is_as_old_as_its_file_says(memory, notes: Path) -> None:
    """By the front matter, else its name, else its time, which an edit moves for new ones."""
    told = notes / "2024-05-04.md"
    told.write_text("---\ncreated: 2023-01-02\n---\ntold")
    named, plain = write(notes / "2024-05-05.md", "named"), write(notes / "plain.md", GARDEN)
    os.utime(plain, (1_600_000_000, 1_600_000_000.5))
    import_paths(memory, [notes])
    write(plain, GARDEN, KITCHEN)
    os.utime(plain, (1_700_000_000, 1_700_000_000))

    report = import_paths(memory, [notes])

    made = {text: record.created_at for text, record in by_text(memory).items()}
    days = {"told": from_iso("2023-01-02"), "named": from_iso("2024-05-05")}
    assert made == {**days, GARDEN: 1_600_000_000.5, KITCHEN: 1_700_000_000}
    assert counts(report) == (1, 0, 1, 0)
    assert [r.text for r in memory.records(since="2024-05-05", until="2024-05-06")] == ["named"]
    assert named.exists()


def test_what_others_call_a_line_is_metadata_as_well(memory, notes: Path) -> None:
    """Without `metadata` a line is not of our form: its title is one, and can be filtered by."""
    lines = [
        {"text": "one", "title": "T", "names": 5, "headings": "H"},
        {"text": "two", "title": "T", "names": ["N"], "metadata": {}},
        {"text": "three", "title": "x\ty" + 600 * "z"},
    ]

    report = import_paths(memory, [write_lines(notes / "all.jsonl", *lines)])

    found = by_text(memory)
    assert report.problems == []
    assert (found["one"].title, found["one"].names, found["one"].headings) == ("T", (), ())
    assert found["one"].metadata.items() >= {"title": "T", "names": 5, "headings": "H"}.items()
    assert (found["two"].title, found["two"].names) == ("T", ("N",))
    assert not {"title", "names"} & found["two"].metadata.keys()
    assert (found["three"].title[:4], len(found["three"].title)) == ("x yz", 512)


@st.composite
def kept_records(draw: st.DrawFn) -> MemoryRecord:
    thread = draw(st.none() | NAMES)
    return MemoryRecord(
        text=draw(TEXTS),
        title=draw(st.none() | NAMES),
        headings=tuple(dict.fromkeys(draw(st.lists(NAMES, max_size=2)))),
        names=tuple(dict.fromkeys(draw(st.lists(NAMES, max_size=2)))),
        source=draw(st.none() | NAMES),
        tags=tuple(sorted(draw(st.sets(NAMES, max_size=3)))),
        metadata=draw(st.dictionaries(KEYS, JSON_VALUES, max_size=3)),
        importance=draw(st.floats(0, 1)),
        category=draw(NAMES),
        namespace=draw(NAMES),
        thread=thread,
        position=None if thread is None else draw(st.integers(-1000, 1000)),
        created_at=draw(TIMES),
        updated_at=draw(TIMES),
        expires_at=draw(st.none() | st.integers(2_000_000_000, 4_000_000_000).map(float)),
    )


def roundtrip(folder: Path, records: list[MemoryRecord], clock) -> tuple[object, object]:
    """Return what a state holds, and what one holds that imported its export."""
    with clawstate.open(folder / "first", embedder=CountingEmbedder(), clock=clock) as state:
        state.memory.add_many(records)
        first = everything(state.memory)
    path = write_lines(folder / "all.jsonl", *map(export_form, first.values()))
    with clawstate.open(folder / "second", embedder=CountingEmbedder(), clock=clock) as state:
        report = import_paths(state.memory, [path])
        assert report.problems == []
        return first, everything(state.memory)


def test_an_imported_export_is_the_same_memory(tmp_path: Path, clock) -> None:
    """Export and import elsewhere give equal records, also where a field says nothing."""
    records = [
        MemoryRecord(text="plain"),
        MemoryRecord(text="full", source="mail", tags=("a", "b"), thread="t", position=3),
        MemoryRecord(text="called", title=" A  b ", headings=("A", "B  c"), names=("x", "A")),
        MemoryRecord(text="short-lived", expires_at=1_900_000_000.0, source="mail"),
        MemoryRecord(
            text="from a file", source="a.md", metadata={"start_line": 40, "heading": "A"}
        ),
        MemoryRecord(text="with facts", source="a.md", metadata={"source": "crm", "ttl": 5}),
    ]

    first, second = roundtrip(tmp_path, records, clock)

    assert second == first


@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],  # each step of a shrink would make two databases
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(records=st.lists(kept_records(), min_size=1, max_size=4))
def test_any_memory_survives_export_and_import(tmp_path_factory, clock, records) -> None:
    """Whatever records can be kept, their export makes equal ones in another state."""
    first, second = roundtrip(tmp_path_factory.mktemp("states"), records, clock)

    assert second == first


def test_metadata_that_say_one_in_place_of_true_are_taken(memory, notes: Path) -> None:
    """`true` that became `1` in a file is a change, though Python holds them for equal."""
    path = notes / "facts.jsonl"
    path.write_text('{"id": "a", "text": "tea", "metadata": {"hot": true}}\n')
    import_paths(memory, [notes])
    path.write_text('{"id": "a", "text": "tea", "metadata": {"hot": 1}}\n')

    report = import_paths(memory, [notes])

    (record,) = memory.records()
    assert (report.updated, report.kept) == (1, 0)
    assert record.metadata["hot"] is not True


def test_progress_goes_on_within_a_file(memory, notes: Path) -> None:
    """Of a large file it is told how many bytes are done, from the first to the last."""
    path = notes / "log.jsonl"
    line = json.dumps({"text": "the same heartbeat", "id": "a", "filler": "x" * 900})
    path.write_text(f"{line}\n" * 12_000)
    told: list[tuple[int, int]] = []

    import_paths(memory, [path], progress=lambda done, total, _: told.append((done, total)))

    size = path.stat().st_size
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((0, size), (size, size))
    assert len({done for done, _ in told}) > 8


def test_reading_a_large_file_holds_the_lease(memory, tmp_path: Path, clock) -> None:
    """A file that takes longer to read than the lease lasts is imported all the same."""
    path = tmp_path / "page.html"
    path.write_text("<p>" + "said " * 1_000_000)
    leases = InMemoryBackend()
    memory.imports._lend = lambda name, ttl, wait: leases.lease(name, ttl, wait=wait, ticks=clock)

    report = import_paths(memory, [path], progress=lambda *_: clock.advance(250.0))

    assert report.failed == set()
    assert report.added > 1
