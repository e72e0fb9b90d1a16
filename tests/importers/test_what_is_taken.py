"""What an import takes of files and folders, what it leaves out, and what it says of that."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import InvalidError
from clawstate.importers.discover import Kind, read_passages
from clawstate.importers.passages import Passage, Problem
from clawstate.importers.sync import import_paths


@pytest.fixture
def memory(tmp_path: Path):
    with clawstate.open(tmp_path / "state") as state:
        yield state.memory


@pytest.fixture
def folder(tmp_path: Path):
    """Return a function that makes a folder of files, each with its name as text."""

    def make(*names: str, **texts: str) -> Path:
        for name in names:
            path = tmp_path / "notes" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts.get(name, f"this is {name}"))
        return tmp_path / "notes"

    return make


def taken(memory) -> set[str]:
    return {Path(record.source).name for record in memory.records(limit=1000)}


def read(path: Path) -> tuple[list[str], list[str]]:
    items = list(read_passages(path))
    texts = [each.text for each in items if isinstance(each, Passage)]
    return texts, [each.message for each in items if isinstance(each, Problem)]


def test_patterns_leave_files_out(memory, folder) -> None:
    """What a pattern names in a folder is not taken, but a file that is named is."""
    notes = folder("a.md", "b.md", "drafts/c.md", "deep/drafts/d.md", "deep/b.md", "e.txt")

    report = import_paths(memory, [notes], exclude=["drafts/", "/b.md", "*.txt"])

    assert taken(memory) == {"a.md", "b.md"}
    assert {record.source for record in memory.records()} == {
        str(notes / "a.md"),
        str(notes / "deep" / "b.md"),
    }
    assert report.passed_over == {"ignored": 4}
    assert import_paths(memory, [notes / "e.txt"], exclude=["*.txt"]).added == 1
    assert import_paths(memory, [notes / "deep" / "drafts"], exclude=["x"]).added == 1


@pytest.mark.parametrize("name", [".gitignore", ".clawstateignore"])
def test_a_folder_says_what_is_left_out(memory, folder, name: str) -> None:
    """A list in a folder counts below it, the deeper one before the one above."""
    notes = folder(
        "a.md", "b.log.md", "deep/b.log.md", "deep/c.md", "build/d.md", "deep/build/e.md"
    )
    (notes / name).write_text("# lists\n*.log.md\n/build/\n")
    (notes / "deep" / name).write_text("!b.log.md\nc.md\n")

    report = import_paths(memory, [notes])

    found = {str(Path(record.source).relative_to(notes)) for record in memory.records()}
    assert found == {"a.md", "deep/b.log.md", "deep/build/e.md"}
    assert report.passed_over["ignored"] == 3


def test_what_is_ignored_from_now_on_is_not_forgotten(memory, folder) -> None:
    """A file that is there and is left out keeps the records that it gave before."""
    notes = folder("a.md", "b.md")
    import_paths(memory, [notes])

    report = import_paths(memory, [notes], exclude=["b.md"])

    assert (report.removed, taken(memory)) == (0, {"a.md", "b.md"})


def test_a_pattern_that_is_none_is_refused(memory, folder) -> None:
    """A pattern that gitignore does not know is an error, before anything is written."""
    with pytest.raises(InvalidError, match="exclude"):
        import_paths(memory, [folder("a.md")], exclude=["!"])

    assert taken(memory) == set()


def test_what_is_passed_over_is_counted(memory, folder) -> None:
    """Files of other kinds are counted by suffix, also JSON and archives that are no export."""
    notes = folder("a.md", "b.csv", "c.csv", "d.PNG", "LICENSE", "e.json", "f.zip", ".hidden.md")

    report = import_paths(memory, [notes])

    assert report.passed_over == {".csv": 2, ".png": 1, "": 1, ".json": 1, ".zip": 1}
    assert report.failed == set()


def test_a_dry_run_writes_nothing(memory, folder, tmp_path: Path) -> None:
    """A dry run counts what an import does, and leaves every file of the state as it is."""
    notes = folder("a.md", "b.md", "c.md")
    memory.add("by hand")
    import_paths(memory, [notes])
    (notes / "a.md").write_text("this is another")
    (notes / "b.md").rename(notes / "b2.md")
    (notes / "c.md").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "state").rglob("*.db")}

    dry = import_paths(memory, [notes], dry_run=True)
    after = {path: path.read_bytes() for path in (tmp_path / "state").rglob("*.db")}
    wet = import_paths(memory, [notes])

    assert before == after
    counts = [
        (each.files, each.added, each.updated, each.kept, each.moved, each.removed)
        for each in (dry, wet)
    ]
    assert counts[0] == counts[1] == (2, 1, 1, 0, 1, 2)


TEXT = "Übergrößenträger, naïve café: “so it is”\nżółć"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".md", ".txt"])
def test_unicode_is_read_in_any_form(tmp_path: Path, encoding: str, suffix: str) -> None:
    """UTF-16 and UTF-32 are read, with a mark or by their zeros."""
    path = tmp_path / f"note{suffix}"
    path.write_bytes(TEXT.encode(encoding))

    assert read(path) == ([TEXT], [])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Das Café hat über Mittag geöffnet.", "cp1252"),
        (
            "Здравствуйте, меня зовут Анна, и я живу в Москве уже десять лет. Вчера шёл дождь." * 4,
            "cp1251",
        ),
        ("これは日本語の文章です。昨日は雨が降りました。今日は天気がいいです。" * 6, "shift_jis"),
    ],
)
def test_code_pages_of_before_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    """A text with high bytes that are no UTF-8 at all is read in the code page that fits it."""
    path = tmp_path / "note.txt"
    path.write_bytes(text.encode(encoding))

    assert read(path) == ([text], [])


def test_damage_is_told_at_every_import(memory, tmp_path: Path) -> None:
    """Lines of UTF-8 that are damaged are left out, and told each time, not only the first."""
    path = tmp_path / "note.md"
    path.write_bytes("# Menü\n\nfirst\n\n".encode() + b"caf\xe9\n\nlast\n")

    reports = [import_paths(memory, [path]) for _ in range(3)]

    assert [len(each.problems) for each in reports] == [1, 1, 1]
    assert [each.added for each in reports] == [2, 0, 0]
    assert [each.failed for each in reports] == [set(), set(), set()]


def test_pictures_in_a_text_are_left_out(memory, tmp_path: Path) -> None:
    """Data of a picture gives no records, and is counted; what stands around it is kept."""
    data = base64.b64encode(hashlib.shake_256(b"x").digest(300_000)).decode()
    lines = "\n".join(data[at : at + 76] for at in range(0, 20_000, 76))
    path = tmp_path / "note.md"
    path.write_text(
        f"Before ![cat](data:image/png;base64,{data}) after.\n\n# Key\n\n{lines}\n\nThe end.\n"
    )

    report = import_paths(memory, [path])

    texts = sorted(record.text for record in memory.records())
    assert texts == ["# Key\n\nThe end.", "Before ![cat](data:image/png) after."] or len(texts) == 3
    assert all(len(text) < 60 for text in texts)
    (problem,) = report.problems
    assert "2 embedded files or drawings" in problem.message
    assert (report.failed, problem.is_by_rule) == (set(), True)
    assert import_paths(memory, [path]).skipped == 1


def test_a_drawing_keeps_its_words(memory, tmp_path: Path) -> None:
    """Of an Excalidraw note the words are taken, and not the drawing."""
    drawing = json.dumps(
        {"type": "excalidraw", "elements": [{"id": f"e{n}", "x": n} for n in range(3000)]}, indent=1
    )
    path = tmp_path / "plan.excalidraw.md"
    path.write_text(
        "---\nexcalidraw-plugin: parsed\n---\n# Text Elements\nBuy milk\n\n%%\n"
        f"# Drawing\n```json\n{drawing}\n```\n%%\n"
    )

    report = import_paths(memory, [path])

    assert [record.text for record in memory.records()] == ["# Text Elements\nBuy milk\n\n%%"]
    assert report.problems[0].is_by_rule


def test_checksums_are_text(tmp_path: Path) -> None:
    """A list of checksums, or long words, is no packed file."""
    path = tmp_path / "sums.md"
    sums = "\n".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(5))
    path.write_text(sums)

    assert read(path) == ([sums], [])


def claude(**members) -> str:
    message = {"uuid": "m", "sender": "human", **members}
    return json.dumps([{"uuid": "c", "name": "Boiler", "chat_messages": [message]}])


def test_long_pastes_are_taken(tmp_path: Path) -> None:
    """What was attached to a message, or written beside it, is part of what was said."""
    path = tmp_path / "conversations.json"
    paste = [{"file_name": "paste.txt", "extracted_content": "a long paste"}, {"x": 1}, "y"]
    path.write_text(claude(text="", content=[], attachments=paste))
    assert read(path) == (["paste.txt:\na long paste"], [])
    path.write_text(
        claude(text="see", content=[{"type": "text", "text": "see"}], attachments=paste)
    )
    assert read(path) == (["see\npaste.txt:\na long paste"], [])
    made = {
        "type": "tool_use",
        "name": "artifacts",
        "input": {"title": "Plan", "content": "Day one"},
    }
    path.write_text(claude(content=[{"type": "text", "text": "here:"}, made]))
    assert read(path) == (["here:\nPlan\nDay one"], [])


def test_marks_of_sources_are_no_text(tmp_path: Path) -> None:
    """Citations of searches are left out of what the assistant said."""
    said = "It is warm \ue200cite\ue202turn0search3\ue201today【12†source】, \ue203yes\ue204."
    content = {"content_type": "text", "parts": [said]}
    node = {
        "id": "a",
        "message": {"author": {"role": "assistant"}, "content": content},
        "children": [],
    }
    path = tmp_path / "conversations.json"
    path.write_text(
        json.dumps([{"conversation_id": "c", "current_node": "a", "mapping": {"a": node}}])
    )

    assert read(path) == (["It is warm today, yes."], [])


@pytest.mark.parametrize("name", ["damaged.zip", "list.json", "binary.md"])
def test_a_file_that_gives_nothing_has_failed(memory, tmp_path: Path, name: str) -> None:
    """A named file that is damaged, of another kind or binary is a failure at every import."""
    path = tmp_path / name
    path.write_bytes(
        {"damaged.zip": b"PK\x03\x04" + os.urandom(100), "list.json": b'{"a": ['}.get(
            name, b"\x00\x01a\x00"
        )
    )
    kind = Kind.CHAT_EXPORT if name == "list.json" else None

    for _ in range(2):
        report = import_paths(memory, [path], kind=kind)
        assert report.failed == {path}
        assert report.problems


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_records_are_read_in_any_unicode(tmp_path: Path, encoding: str, end: str) -> None:
    """JSON Lines, transcripts and exports are read in UTF-16 and UTF-32 as in UTF-8."""
    said = {"type": "message", "message": {"role": "user", "content": "größer 東京"}}
    lines = {
        "records.jsonl": [json.dumps({"text": f"{text} 😀"}, ensure_ascii=False) for text in TWO],
        "session.jsonl": [
            json.dumps({"type": "session", "version": 3, "id": "s"}),
            json.dumps(said, ensure_ascii=False),
        ],
        "conversations.json": [claude(text="what is größer? 東京")],
    }

    for name, told in lines.items():
        path = tmp_path / name
        path.write_text(end.join(told) + end, encoding="utf-8", newline="")
        plain = read(path)
        path.write_text(end.join(told) + end, encoding=encoding, newline="")
        assert read(path) == plain
        assert len(plain[0]) > 0 == len(plain[1])


TWO = ("Tōkyō\u3000に行く", "größer")


def test_a_long_file_in_utf_16_is_read_in_parts(tmp_path: Path) -> None:
    """Lines of UTF-16 come whole wherever the parts end that are read at once."""
    path = tmp_path / "records.jsonl"
    texts = [f"{number} " + "ÿ😀x" * (number % 97) for number in range(20_000)]
    path.write_text("".join(json.dumps({"text": f"{each}."}) + "\n" for each in texts), "utf-16")

    assert read(path) == ([f"{each}." for each in texts], [])


def test_damage_of_utf_16_is_told(memory, tmp_path: Path) -> None:
    """Half a pair in UTF-16 is told with its line, and the rest is taken in."""
    path = tmp_path / "note.txt"
    path.write_bytes("one\n\ntwo".encode("utf-16") + b"\x3d\xd8" + "x\n\nthree".encode("utf-16-le"))

    report = import_paths(memory, [path])

    assert [(each.line, report.failed) for each in report.problems] == [(3, set())]
    (record,) = memory.records()
    assert record.text == "one\n\ntwo\ufffdx\n\nthree"


def test_noise_before_records_costs_only_itself(tmp_path: Path) -> None:
    """A first line that begins as UTF-16 does hides none of the lines after it."""
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'\xff\xfe noise\n{"text": "first"}\n{"text": "second"}\n')

    texts, problems = read(path)

    assert texts == ["first", "second"]
    assert len(problems) == 1
