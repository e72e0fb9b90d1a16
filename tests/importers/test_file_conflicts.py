"""Where the memory and its files disagree: nothing is lost, it is told, and a person decides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import InvalidError, NotFoundError
from clawstate.importers.openclaw import import_openclaw
from clawstate.importers.sync import import_paths

TEN, TWELVE = (f"# Bread\n\nThe dough rises for {each} hours." for each in ("ten", "twelve"))
MINE = "# Bread\n\nThe dough rises for fourteen hours."


@pytest.fixture
def memory(tmp_path: Path, clock):
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        yield state.memory


def texts(memory) -> list[str]:
    return sorted(record.text for record in memory.records(limit=1000))


def conflicts(memory) -> list[tuple[str, list[str]]]:
    return [
        (each.kind, [memory.require(one).text for one in each.records])
        for each in memory.conflicts()
    ]


class Note:
    """A passage of Markdown, which imports know by its text."""

    before, mine, after, later = TWELVE, MINE, TEN, TEN.replace("ten", "nine")

    def write(self, path: Path, text: str) -> Path:
        path.write_text(f"{text}\n\n# More\n\nOf it.\n")
        return path


class Line:
    """A line of JSON with an id, by which imports know it."""

    before, mine, after, later = "one", "mine", "two", "three"

    def write(self, path: Path, text: str) -> Path:
        path = path.with_suffix(".jsonl")
        path.write_text(json.dumps({"id": "a", "text": text}))
        return path


@pytest.fixture(params=[Note, Line])
def kind(request):
    return request.param()


@pytest.fixture
def file(kind, memory, tmp_path: Path) -> Path:
    """Give a file of which a passage changed after a person changed its record."""
    path = kind.write(tmp_path / "note.md", kind.before)
    import_paths(memory, [path])
    (record,) = [each for each in memory.records() if each.text == kind.before]
    memory.update(record.id, text=kind.mine, tags=["seen"])
    kind.write(path, kind.after)
    import_paths(memory, [path])
    return path


def test_both_are_kept_and_told(kind, memory, file: Path) -> None:
    """What a person made of a record and what its file says by now are one conflict, till then."""
    import_paths(memory, [file])

    (found,) = memory.conflicts()

    assert conflicts(memory) == [("edited", [kind.mine, kind.after])]
    assert (found.about, memory.conflicts(namespace="work")) == (str(file), [])
    memory.delete(found.records[1])
    assert memory.conflicts() == []


@pytest.mark.parametrize("keep", ["mine", "file"])
@pytest.mark.parametrize("which", [0, 1])
def test_one_stays_and_the_other_is_its_history(
    kind, memory, file: Path, keep: str, which: int
) -> None:
    """Imports of the same file bring the other no more, and nothing of it is lost."""
    (found,) = memory.conflicts()

    assert memory.resolve(found.records[which], keep=keep) == 1

    wanted, other = (kind.mine, kind.after) if keep == "mine" else (kind.after, kind.mine)
    file.write_text(file.read_text() + "\n")
    import_paths(memory, [file])
    assert wanted in texts(memory)
    assert other not in texts(memory)
    assert memory.conflicts() == []
    (record,) = [each for each in memory.records() if each.text == wanted]
    assert {wanted, other} <= {each.record.text for each in memory.history(record.id)}
    assert ("seen" in record.tags) is (keep == "mine")


def test_what_follows_the_file_goes_on_following_it(kind, memory, file: Path) -> None:
    """Once the file was chosen, its next change is taken; after the person's, it is told again."""
    (found,) = memory.conflicts()
    memory.resolve(found.records[0], keep="file")
    kind.write(file, kind.later)

    import_paths(memory, [file])

    assert memory.conflicts() == []
    assert kind.later in texts(memory)
    assert not {kind.mine, kind.after, kind.before} & set(texts(memory))


@pytest.mark.parametrize("chosen", [True, False])
def test_a_further_change_of_the_file_is_told(kind, memory, file: Path, *, chosen: bool) -> None:
    """A person's record stands against the newest of the file, whether it was chosen or not."""
    if chosen:
        memory.resolve(memory.conflicts()[0].records[0], keep="mine")
    kind.write(file, kind.later)

    import_paths(memory, [file])

    assert conflicts(memory) == [("edited", [kind.mine, kind.later])]


def test_both_may_stay(kind, memory, file: Path) -> None:
    """Then nothing is told, and nothing changes."""
    memory.resolve(memory.conflicts()[0].records[0], keep="both")
    file.write_text(file.read_text() + "\n")

    import_paths(memory, [file])

    assert memory.conflicts() == []
    assert {kind.mine, kind.after} <= set(texts(memory))


@pytest.mark.parametrize("keep", ["mine", "file"])
def test_what_the_file_says_no_more_is_told(memory, tmp_path: Path, keep: str) -> None:
    """A record that a person changed stays when its passage or file vanishes, and is told."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("bread", "tea"):
        (folder / f"{name}.md").write_text(f"The {name} is good.\n\n# More\n\n{name} of it.")
    import_paths(memory, [folder])
    for each in memory.records():
        if "good" in each.text:
            memory.update(each.id, text=each.text.replace("good", "excellent, people say"))
    (folder / "bread.md").write_text("# More\n\nbread of it.")
    (folder / "tea.md").unlink()

    import_paths(memory, [folder])

    told = memory.conflicts()
    assert [each.kind for each in told] == ["left", "left"]
    with pytest.raises(InvalidError, match="both"):
        memory.resolve(told[0].records[0], keep="both")
    for each in told:
        memory.resolve(each.records[0], keep=keep)
    import_paths(memory, [folder])
    assert memory.conflicts() == []
    assert len(texts(memory)) == (3 if keep == "mine" else 1)


def test_lost_notes_of_an_import_are_told(tmp_path: Path, clock) -> None:
    """Of records whose notes were lost, those that the file says no more are proposed."""
    path = Note().write(tmp_path / "note.md", TWELVE)
    with clawstate.open(tmp_path / "first", clock=clock) as state:
        import_paths(state.memory, [path])
        kept = state.memory.records()
    with clawstate.open(tmp_path / "second", clock=clock) as state:
        memory = state.memory
        memory.add_many(kept)
        Note().write(path, TEN)

        import_paths(memory, [path], dry_run=True)
        assert memory.conflicts() == []
        import_paths(memory, [path])

        assert conflicts(memory) == [("left", [TWELVE])]
        memory.resolve(memory.conflicts()[0].records[0], keep="file")
        assert len(texts(memory)) == 2


@pytest.mark.parametrize("keep", ["mine", "file"])
def test_a_note_of_a_workspace_that_is_gone_is_proposed(tmp_path: Path, clock, keep: str) -> None:
    """What a deleted `MEMORY.md` gave is neither dropped nor kept in silence."""
    source = tmp_path / "home" / ".openclaw"
    workspace = source / "workspace"
    (workspace / "memory").mkdir(parents=True)
    (source / "openclaw.json").write_text("{}")
    (workspace / "MEMORY.md").write_text(TWELVE)
    (workspace / "memory" / "day.md").write_text("It rained.")
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        memory = state.memory
        import_openclaw(state, source)
        (workspace / "MEMORY.md").unlink()

        report = import_openclaw(state, source)

        assert any("is gone; 1 record" in each.message for each in report.remarks)
        assert conflicts(memory) == [("gone", [TWELVE])]
        assert memory.resolve(str(workspace / "MEMORY.md"), keep=keep) == (keep == "file")
        import_openclaw(state, source)
        assert memory.conflicts() == []
        assert (TWELVE in texts(memory)) is (keep == "mine")
        shutil.rmtree(workspace)
        import_openclaw(state, source)
        assert conflicts(memory) == [("gone", ["It rained."])]


def test_a_file_that_is_gone_is_told_when_it_is_named(memory, tmp_path: Path) -> None:
    """Importing it again is refused as before, and its records are proposed; back, they are not."""
    path = Note().write(tmp_path / "note.md", TEN)
    import_paths(memory, [path])
    path.rename(tmp_path / "aside")

    with pytest.raises(NotFoundError, match="memory conflicts"):
        import_paths(memory, [path])

    assert [each.kind for each in memory.conflicts()] == ["gone"]
    (tmp_path / "aside").rename(path)
    assert memory.conflicts() == []
    with pytest.raises(NotFoundError, match="conflict"):
        memory.resolve(str(path), keep="mine")
