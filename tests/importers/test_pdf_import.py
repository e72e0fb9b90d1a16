from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest
from pdf_files import bomb, pdf, stream
from pypdf import PdfReader, PdfWriter

import clawstate
from clawstate.importers import pdf as reader
from clawstate.importers.discover import read_passages
from clawstate.importers.passages import MAXIMUM_LENGTH, Passage, Problem
from clawstate.importers.sync import import_paths


@pytest.fixture
def items(tmp_path: Path):
    def read(data: bytes, name: str = "manual.pdf"):
        path = tmp_path / name
        path.write_bytes(data)
        return list(read_passages(path))

    return read


def passages(found) -> list[Passage]:
    return [each for each in found if isinstance(each, Passage)]


def problems(found) -> list[Problem]:
    return [each for each in found if isinstance(each, Problem)]


INFO = "/Title (The boiler) /Author (Ada) /CreationDate (D:20240504100000Z)"


def test_each_page_gives_its_text(items) -> None:
    """Text, page, title, author, date and the marks above the page are told."""
    first, second = items(
        pdf("Turn the left\nknob.", "It is ser-\nviced in October.",
            info=INFO, marks=[("Start", 1), ("Care", 2)])
    )  # fmt: skip

    assert first == Passage(
        "Turn the left\nknob.",
        heading="The boiler > Start",
        title="The boiler",
        headings=("Start",),
        created_at=1714816800.0,
        metadata={"author": "Ada", "page": 1},
    )
    assert (second.text, second.headings) == ("It is serviced in October.", ("Care",))
    assert (second.metadata["page"], second.position) == (2, 1)


@pytest.mark.parametrize(
    "title", ["", "Untitled", "Microsoft Word - draft3.doc", "print.dvi", "..."]
)
def test_the_file_name_stands_in_for_a_title(items, title: str) -> None:
    """A title that a program made up is none: the name of the file is better."""
    (passage,) = items(pdf("said", info=f"/Title ({title})"))

    assert passage.title == "manual"


def test_whole_text_is_kept(items) -> None:
    """Every word of every page is given, in its order, in passages of a readable size."""
    words = [[f"w{page}x{number}" for number in range(500)] for page in range(5)]
    pages = ["\n".join(" ".join(each[at : at + 10]) for at in range(0, 500, 10)) for each in words]

    found = passages(items(pdf(*pages)))

    assert " ".join(each.text for each in found).split() == [one for each in words for one in each]
    assert all(len(each.text) <= MAXIMUM_LENGTH for each in found)


def test_encrypted_files(items) -> None:
    """One that opens without a password is read; one that needs it has failed, and says so."""
    for password, wanted in (("", ["said"]), ("secret", [])):
        writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("said"))))
        writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
        out = io.BytesIO()
        writer.write(out)

        found = items(out.getvalue())

        assert [each.text for each in passages(found)] == wanted
        assert [("encrypted" in each.message, each.is_by_rule) for each in problems(found)] == (
            [] if wanted else [(True, False)]
        )


def test_pictures_of_text_are_told(items) -> None:
    """A scan is told as that; among other pages, those that are pictures are named."""
    (scan,) = items(pdf(None, None))
    text, some = items(pdf("said", None, None))

    assert (scan.is_by_rule, "OCR" in scan.message) == (True, True)
    assert (text.text, some.is_by_rule) == ("said", True)
    assert "pages 2, 3" in some.message


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7\nnothing", b"", b"\0" * 99, b"<html>", b"%PDF-1.4" * 9]
)
def test_what_is_no_pdf_is_told(items, data: bytes) -> None:
    """A file that is damaged, empty or of another kind is one problem."""
    (problem,) = items(data)

    assert (problem.is_by_rule, "damaged" in problem.message) == (False, True)


def test_every_cut_of_a_file_is_read_or_told(items) -> None:
    """A file that ends anywhere gives passages or problems, and nothing is raised."""
    whole = pdf("said " * 50, "more", marks=[("Start", 1)])

    for end in range(10, len(whole), len(whole) // 12):
        found = items(whole[:end])
        assert found
        assert all(isinstance(each, Passage | Problem) for each in found)


def test_a_page_that_unpacks_to_far_too_much_costs_only_itself(items) -> None:
    """A page of a few bytes that would fill the memory is told, and the next one is read."""
    found = items(pdf(bomb(1 << 30), "said"))

    assert [each.text for each in passages(found)] == ["said"]
    assert [each.message[:6] for each in problems(found)] == ["page 1"]


def test_a_page_that_takes_too_long_costs_only_itself(items, monkeypatch) -> None:
    """Work without end is ended after its seconds of computing, and the next page is read."""
    monkeypatch.setattr(reader, "_SECONDS", (2, 60))
    endless = stream(b"BT /F1 1 Tf " + b"(a) Tj " * 400_000 + b"ET")
    begun = time.process_time()

    found = items(pdf(endless, "said"))

    assert [each.text for each in passages(found)] == ["said"]
    assert [each.message for each in problems(found)] == [
        "page 1 takes longer than 2 seconds of computing"
    ]
    assert time.process_time() - begun < 10


def test_all_pages_together_end(items, monkeypatch) -> None:
    """What would take longer than a whole file may ends there, and the report says where."""
    monkeypatch.setattr(reader, "_SECONDS", (1, 3))
    slow = stream(b"BT /F1 1 Tf " + b"(a) Tj " * 400_000 + b"ET")

    found = items(pdf("said", *[slow] * 20))

    assert [each.text for each in passages(found)] == ["said"]
    assert "are left out" in problems(found)[-1].message


def test_without_the_library_all_else_is_imported(tmp_path: Path, monkeypatch) -> None:
    """In a folder PDF files are counted and told once; one that is named has failed."""
    monkeypatch.setitem(sys.modules, "pypdf", None)
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("a note")
    for name in ("b.pdf", "c.pdf"):
        (folder / name).write_bytes(pdf("said"))
    with clawstate.open(tmp_path / "state") as state:
        report = import_paths(state.memory, [folder])
        named = import_paths(state.memory, [folder / "b.pdf"])

    assert (report.added, report.failed, report.passed_over) == (1, set(), {".pdf": 2})
    (problem,) = report.problems
    assert "one of 2 PDF files" in problem.message
    assert "pip install 'clawstate[documents]'" in problem.message
    assert named.failed == {folder / "b.pdf"}
    assert "pip install 'clawstate[documents]'" in named.problems[0].message


def test_a_pdf_is_followed_as_a_note_is(tmp_path: Path) -> None:
    """One that moved keeps what was done to its passages; what was forgotten stays so."""
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "boiler.pdf").write_bytes(pdf("the first page", "the second page"))
    with clawstate.open(tmp_path / "state") as state:
        memory = state.memory
        import_paths(memory, [folder])
        first, second = memory.records()
        memory.update(first.id, tags=["mine"])
        memory.delete(second.id)
        (folder / "boiler.pdf").rename(folder / "heating.pdf")
        moved = import_paths(memory, [folder])
        (folder / "heating.pdf").write_bytes(pdf("a new page", "the first page", "the second page"))

        import_paths(memory, [folder])

        assert (moved.moved, moved.added, moved.forgotten) == (1, 0, 1)
        kept = {each.text: (each.tags, each.metadata["page"]) for each in memory.records()}
        assert kept == {"a new page": ((), 1), "the first page": (("mine",), 2)}


def test_a_large_file_tells_how_far_it_is(tmp_path: Path) -> None:
    """A file of many megabytes is read as a small one is, and progress goes on with its pages."""
    path = tmp_path / "book.pdf"
    picture = stream(os.urandom(4 << 20))
    path.write_bytes(pdf("first", "second", picture, "last"))
    told = []
    with clawstate.open(tmp_path / "state") as state:
        report = import_paths(
            state.memory, [path], progress=lambda done, total, _: told.append((done, total))
        )

    size = path.stat().st_size
    assert (report.added, told[0], told[-1]) == (3, (0, size), (size, size))
    half = [done for done, _ in told if size / 2 < done < size]
    assert len(half) >= 1
    assert told == sorted(told)


def test_a_file_without_its_suffix_is_known(items) -> None:
    """A file of another name that begins as a PDF does is read as one."""
    assert [each.text for each in items(pdf("said"), "download")] == ["said"]
