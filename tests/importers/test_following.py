"""What an import makes of files that moved, and of records that somebody changed or forgot."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

import clawstate
from clawstate.importers.merging import passage_id
from clawstate.importers.sync import import_paths
from clawstate.wire.memory import export_form

GARDEN = "# Garden\n\nTomatoes need water every evening, and sun."
KITCHEN = "# Kitchen\n\nThe bread rises for twelve hours."
CELLAR = "# Cellar\n\nThe boiler is serviced in October."


@pytest.fixture
def memory(tmp_path: Path, clock):
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        yield state.memory


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """Give a folder of three notes."""
    folder = tmp_path / "vault"
    for name, texts in (
        ("home", (GARDEN, KITCHEN)),
        ("deep/cellar", (CELLAR,)),
        ("tea", ("Tea.",)),
    ):
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(texts) + "\n")
    return folder


def texts(memory) -> list[str]:
    return sorted(record.text for record in memory.records(limit=1000))


def found(memory, text: str):
    (record,) = [each for each in memory.records(limit=1000) if each.text == text]
    return record


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_what_somebody_changed_stays(memory, vault: Path) -> None:
    """Text, tags, metadata and importance of a person win as long as the passage is the same."""
    import_paths(memory, [vault])
    changed, tagged = found(memory, KITCHEN), found(memory, GARDEN)
    memory.update(changed.id, text="Bread: fourteen hours.", tags=["mine"])
    memory.update(tagged.id, importance=1, metadata={**tagged.metadata, "mood": "sunny"})
    append(vault / "home.md", "\n# More\n\nOf it.\n")

    report = import_paths(memory, [vault])

    record = memory.require(changed.id)
    assert (record.text, record.tags) == ("Bread: fourteen hours.", ("mine",))
    kept = memory.require(tagged.id)
    assert (kept.importance, kept.metadata["mood"], kept.metadata["heading"]) == (
        1,
        "sunny",
        "Garden",
    )
    assert (report.left, report.removed) == (0, 0)


def test_tags_of_an_import_stay(memory, vault: Path) -> None:
    """Tags that an import or a person gave outlive an import without; the file's follow it."""
    note = vault / "tea.md"
    note.write_text("---\ntags: [hot, old]\n---\nTea.")
    import_paths(memory, [note], tags=["keep"])
    memory.update(found(memory, "Tea.").id, tags=["hot", "keep", "mine", "old"])

    import_paths(memory, [note])
    note.write_text("---\ntags: [hot, new]\n---\nTea.")
    import_paths(memory, [note])

    assert found(memory, "Tea.").tags == ("hot", "keep", "mine", "new")


def test_a_tag_that_somebody_took_away_stays_away(memory, vault: Path) -> None:
    """The file's word about a tag counts once."""
    note = vault / "tea.md"
    note.write_text("---\ntags: [hot, old]\n---\nTea.")
    import_paths(memory, [note])
    memory.update(found(memory, "Tea.").id, tags=["hot"])
    append(note, "\n\n# More\n\nOf it.")

    import_paths(memory, [note])

    assert found(memory, "Tea.").tags == ("hot",)


def test_both_stay_when_both_changed(memory, vault: Path) -> None:
    """A passage that changed in the file stands beside what somebody made of it, from then on."""
    import_paths(memory, [vault])
    memory.update(found(memory, KITCHEN).id, text="Bread: fourteen hours.")
    home = vault / "home.md"
    home.write_text(home.read_text().replace("twelve hours", "ten hours"))

    report = import_paths(memory, [vault])
    append(home, "\n\n# More\n\nOf it.")
    import_paths(memory, [vault])

    assert report.left == 1
    assert "Bread: fourteen hours." in texts(memory)
    assert KITCHEN.replace("twelve", "ten") in texts(memory)
    shutil.rmtree(vault / "deep")
    home.unlink()
    import_paths(memory, [vault])
    assert texts(memory) == ["Bread: fourteen hours.", "Tea."]


def test_both_stay_of_a_line_with_an_id(memory, tmp_path: Path) -> None:
    """A line whose text changed after somebody changed the record gives a record of its own."""
    path = tmp_path / "all.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "one"}))
    import_paths(memory, [path])
    memory.update("a", text="mine")

    for number in range(2):
        path.write_text(json.dumps({"id": "a", "text": "two"}) + number * "\n")
        import_paths(memory, [path])
        assert texts(memory) == ["mine", "two"]
    path.write_text(json.dumps({"id": "a", "text": "two"}) + '\n{"id": "b", "text": "x"}')
    import_paths(memory, [path])

    assert memory.require("a").text == "mine"
    assert texts(memory) == ["mine", "two", "x"]


def test_tags_go_to_the_passage_that_follows(memory, vault: Path) -> None:
    """A passage that was only tagged hands its tags on to what its file makes of it."""
    import_paths(memory, [vault])
    memory.update(found(memory, GARDEN).id, tags=["mine"], importance=1)
    home = vault / "home.md"
    home.write_text(home.read_text().replace("every evening", "every morning"))

    report = import_paths(memory, [vault])

    record = found(memory, GARDEN.replace("evening", "morning"))
    assert (record.tags, record.importance) == (("mine",), 1)
    assert (report.left, len(texts(memory))) == (0, 4)


@pytest.mark.parametrize("how", ["file", "folder", "link", "copy", "renamed", "export", "again"])
def test_what_was_forgotten_stays_forgotten(memory, vault: Path, tmp_path: Path, how: str) -> None:
    """However the same passage is met again, and whatever its file is called, it is left out."""
    import_paths(memory, [vault])
    exported = [json.dumps(export_form(record)) for record in memory.records()]
    memory.delete(found(memory, KITCHEN).id)
    home, again = vault / "home.md", vault
    if how == "file":
        home.rename(vault / "house.md")
    elif how == "folder":
        again = vault.rename(tmp_path / "vault2")
    elif how == "link":
        again = tmp_path / "link"
        again.symlink_to(vault)
    elif how == "copy":
        shutil.copy(home, tmp_path / "other.md")
        again = tmp_path / "other.md"
    elif how == "renamed":
        home.rename(vault / "house.md")
        append(vault / "house.md", "\n# New\n\nSomething.\n")
    elif how == "export":
        again = tmp_path / "all.jsonl"
        again.write_text("\n".join(exported))
    else:
        append(home, "\n# New\n\nSomething.\n")

    report = import_paths(memory, [again])

    assert KITCHEN not in texts(memory)
    assert report.forgotten == (0 if how == "link" else 1)
    assert import_paths(memory, [again], forgotten=True).forgotten == 0


def test_it_may_be_taken_in_again(memory, vault: Path) -> None:
    """What was forgotten comes back if one asks for it, and by hand."""
    import_paths(memory, [vault])
    memory.delete(found(memory, KITCHEN).id)
    append(vault / "home.md", "\n")

    report = import_paths(memory, [vault], forgotten=True)
    memory.delete(found(memory, CELLAR).id)
    memory.add(CELLAR)

    assert (report.added, report.forgotten) == (1, 0)
    assert {KITCHEN, CELLAR} < set(texts(memory))


@pytest.mark.parametrize("how", ["moved", "linked", "copied", "linked first", "edited"])
def test_a_folder_is_known_by_what_it_holds(memory, vault: Path, tmp_path: Path, how: str) -> None:
    """A folder that moved, is linked to or was copied gives nothing twice, and loses nothing."""
    other = tmp_path / "vault2"
    first = vault
    if how == "linked first":
        first = tmp_path / "link"
        first.symlink_to(vault)
    import_paths(memory, [first])
    memory.update(found(memory, GARDEN).id, tags=["mine"])
    before = {record.text: record.id for record in memory.records()}
    if how in {"moved", "edited"}:
        vault.rename(other)
    elif how == "linked":
        other.symlink_to(vault)
    elif how == "copied":
        shutil.copytree(vault, other)
    else:
        other = vault
    if how == "edited":
        append(other / "home.md", "\n# New\n\nSomething.\n")

    report = import_paths(memory, [other])

    after = {record.text: record.id for record in memory.records()}
    assert after.items() >= before.items()
    assert len(after) == len(before) + (how == "edited")
    assert (report.moved, report.copies) == (
        3 * (how in {"moved", "edited"}),
        3 * (how == "copied"),
    )
    record = found(memory, GARDEN)
    place = other if how in {"moved", "edited"} else first
    assert (record.tags, record.source) == (("mine",), str(place / "home.md"))
    assert record.thread == record.source
    assert import_paths(memory, [other]).added == 0


def test_equal_files_of_one_folder_are_both_there(memory, vault: Path) -> None:
    """Within a folder two files of one name and text are two, as those of a template."""
    for name in ("one", "two"):
        (vault / name).mkdir()
        (vault / name / "index.md").write_text("# Index\n\nNothing here yet.")

    report = import_paths(memory, [vault])

    assert (report.copies, len(texts(memory))) == (0, 6)


def test_an_emptied_folder_is_refused(memory, vault: Path, tmp_path: Path) -> None:
    """A folder that gave files and gives none now is an error; nothing of it is lost."""
    import_paths(memory, [vault])
    memory.update(found(memory, GARDEN).id, tags=["mine"])
    memory.delete(found(memory, KITCHEN).id)
    vault.rename(tmp_path / "away")
    vault.mkdir()

    report = import_paths(memory, [vault])
    vault.rmdir()
    (tmp_path / "away").rename(vault)
    again = import_paths(memory, [vault])

    assert (report.failed, report.removed, again.skipped) == ({vault}, 0, 3)
    assert "--emptied" in report.problems[0].message
    assert found(memory, GARDEN).tags == ("mine",)
    shutil.rmtree(vault)
    vault.mkdir()
    assert import_paths(memory, [vault], emptied=True).removed == 3
    assert texts(memory) == []


def conversation(*messages: str, name: str = "c1") -> dict:
    return {
        "uuid": name,
        "name": "Boiler",
        "chat_messages": [
            {"uuid": f"{name}-{text}", "sender": "human", "text": f"about the {text}"}
            for text in messages
        ],
    }


def test_a_newer_export_adds_what_is_new(memory, tmp_path: Path) -> None:
    """Messages are known by service, conversation and number, whatever their export is called."""
    one, two = tmp_path / "data-1.json", tmp_path / "data-2.json"
    one.write_text(json.dumps([conversation("boiler", "kettle"), conversation("tea", name="c2")]))
    two.write_text(
        json.dumps([conversation("tea", name="c2"), conversation("boiler", "kettle", "cup")])
    )
    import_paths(memory, [one])
    memory.update(found(memory, "about the kettle").id, tags=["mine"])
    memory.delete(found(memory, "about the tea").id)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.write(two, "conversations.json")

    report = import_paths(memory, [tmp_path / "data.zip"])
    unpacked = import_paths(memory, [two])
    older = import_paths(memory, [one])

    wanted = ["about the boiler", "about the cup", "about the kettle"]
    assert (report.added, unpacked.added, older.added) == (1, 0, 0)
    assert texts(memory) == wanted
    assert found(memory, "about the kettle").tags == ("mine",)
    one.unlink()
    two.unlink()
    assert import_paths(memory, [tmp_path]).removed == 0
    assert texts(memory) == wanted


def test_a_state_of_before_keeps_what_was_changed(tmp_path: Path, memory) -> None:
    """Where no digests were noted, a text that its id does not fit was changed by somebody."""
    note = tmp_path / "note.md"
    note.write_text(f"{GARDEN}\n\n{KITCHEN}\n")
    import_paths(memory, [note])
    ids = {record.text: record.id for record in memory.records()}
    memory.update(ids[KITCHEN], text="mine")
    part = memory._engine._database
    with part.writing() as connection:
        for text in (GARDEN, KITCHEN):
            old = passage_id("default", str(note), text, 1)
            for table, column in (
                ("memories", "id"),
                ("tags", "memory_id"),
                ("imported", "memory_id"),
            ):
                sql = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
                connection.execute(sql, (old, ids[text]))
        connection.execute("UPDATE imported SET passage = NULL, given = NULL")
    append(note, "\n# New\n\nSomething.\n")

    import_paths(memory, [note])
    assert texts(memory) == sorted([GARDEN, "mine", "# New\n\nSomething."])
    with part.writing() as connection:
        connection.execute("UPDATE imported SET passage = NULL, given = NULL")
    note.write_text(f"{GARDEN}\n")
    import_paths(memory, [note])

    assert texts(memory) == sorted([GARDEN, "mine"])


def test_passages_are_listed_as_they_stand(memory, tmp_path: Path) -> None:
    """A listing gives the passages of a file together, in the order of the file."""
    for name in ("b.md", "a.md", "c.md"):
        (tmp_path / name).write_text("\n\n".join(f"# {n}\n\n{name}" for n in range(20)))
    import_paths(memory, [tmp_path / name for name in ("c.md", "a.md", "b.md")])

    listed = [(record.source, record.position) for record in memory.records(limit=100)]

    assert len({source for source, _ in listed}) == 3
    runs = [listed[at : at + 20] for at in range(0, 60, 20)]
    assert [[position for _, position in run] for run in runs] == 3 * [list(range(20))]
    assert all(len({source for source, _ in run}) == 1 for run in runs)
