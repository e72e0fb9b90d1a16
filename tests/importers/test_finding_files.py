from __future__ import annotations

import json
import os
import socket
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from clawstate.errors import NotFoundError, UnavailableError
from clawstate.importers import Found, Kind, Passage, Problem, detect, discover, read_passages

CHAT = json.dumps([{"title": "t", "mapping": {}, "current_node": "x"}])

NOBODY = 65534


def fill(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, *paths: Path) -> list[str]:
    items = list(discover(paths or [root]))
    assert not [each for each in items if isinstance(each, Problem)]
    return [str(each.path.relative_to(root)) for each in items]


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    """Known files are found in sorted order, with the folder that was named."""
    fill(tmp_path, "b.md", "a.txt", "sub/z.jsonl", "sub/deep/y.RST", "also/c.org", "photo.jpg")

    assert names(tmp_path) == ["a.txt", "b.md", "also/c.org", "sub/z.jsonl", "sub/deep/y.RST"]
    assert {each.root for each in discover([tmp_path])} == {tmp_path}


def test_hidden_and_made_folders_are_passed_over(tmp_path: Path) -> None:
    """Hidden names, caches, packages and virtualenvs are not looked into."""
    fill(tmp_path, ".git/a.md", ".hidden.md", "node_modules/a.md", "__pycache__/a.txt")
    fill(tmp_path, "env/pyvenv.cfg", "env/a.md", "kept.md")

    assert names(tmp_path) == ["kept.md"]


def test_hidden_names_can_be_named(tmp_path: Path) -> None:
    """What the user names is taken, hidden or of a strange suffix as it may be."""
    fill(tmp_path, ".notes/a.md", "log.2026")

    assert names(tmp_path, tmp_path / ".notes") == [".notes/a.md"]
    assert list(discover([tmp_path / "log.2026"])) == [Found(tmp_path / "log.2026", tmp_path)]


def test_json_and_archives_only_with_a_chat(tmp_path: Path) -> None:
    """In a folder a .json or .zip counts only when it holds a chat export."""
    fill(tmp_path, "conversations.json", text=CHAT)
    fill(tmp_path, "package.json", text='{"name": "x", "mapping": {}}')
    fill(tmp_path, "broken.zip", text="PK\x03\x04")
    for name, member in (("chat.zip", "conversations.json"), ("other.zip", "a.txt")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, CHAT)

    assert names(tmp_path) == ["chat.zip", "conversations.json"]


def test_each_file_is_found_once(tmp_path: Path) -> None:
    """Paths that overlap, and hard links, do not double a file."""
    fill(tmp_path, "a.md", "sub/b.md")
    os.link(tmp_path / "a.md", tmp_path / "c.md")

    assert names(tmp_path, tmp_path, tmp_path / "sub", tmp_path / "a.md") == ["a.md", "sub/b.md"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A circle ends, a link within the folder adds nothing, one out of it is reported."""
    fill(tmp_path, "in/a.md", "out/secret.md")
    root = tmp_path / "in"
    (root / "circle").symlink_to(root)
    (root / "again.md").symlink_to(root / "a.md")
    (root / "away").symlink_to(tmp_path / "out")
    (root / "photo").symlink_to("/nowhere.jpg")

    found, problem = sorted(discover([root]), key=lambda each: isinstance(each, Problem))

    assert found.path == root / "a.md"
    assert problem.path == root / "away"


def test_link_that_is_named_is_followed(tmp_path: Path) -> None:
    """A user may name a link to a folder."""
    fill(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert names(tmp_path, tmp_path / "link") == ["link/a.md"]


@pytest.mark.parametrize("name", ["gone.md", "a.md/below", "nul\0"])
def test_missing_path_is_an_error_at_once(tmp_path: Path, name: str) -> None:
    """A path that does not exist raises before anything is read."""
    fill(tmp_path, "a.md")

    with pytest.raises(NotFoundError):
        discover([tmp_path / "a.md", tmp_path / name])


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    """What would block is a problem, found or named, and reading it returns."""
    os.mkfifo(tmp_path / "pipe.md")
    os.mkfifo(tmp_path / "pipe.json")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s.txt"))
        found = list(discover([tmp_path, Path("/dev/null"), tmp_path / "pipe.md"]))
    read = [next(read_passages(tmp_path / name)) for name in ("pipe.md", "pipe.json", "s.txt")]

    assert len(found) == 5
    assert all(isinstance(each, Problem) for each in found + read)
    assert "pipe" in found[0].message


@contextmanager
def ordinary_user():
    """Work as somebody who may not read everything, even where the tests run as the superuser."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable_is_a_problem() -> None:
    """A folder or file without permission is a problem that says so; the rest is found."""
    # Not in tmp_path: an ordinary user may not even enter the folders of the superuser's tests.
    with ordinary_user(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, "closed/a.md", "b.md", "c.json")
        (folder / "closed").chmod(0)
        (folder / "c.json").chmod(0)

        items = list(discover([folder]))
        (folder / "closed").chmod(0o700)

    problems = [each for each in items if isinstance(each, Problem)]
    assert {each.path.name for each in problems} == {"closed", "c.json"}
    assert all("right to read" in each.message for each in problems)
    assert len(items) == 3


def test_vanished_file_is_a_problem(tmp_path: Path) -> None:
    """A file that goes away between finding and reading is a problem."""
    for name in ("a.md", "a.jsonl", "a.zip", "a"):
        (problem,) = read_passages(tmp_path / name)

        assert isinstance(problem, Problem)
    (folder,) = read_passages(tmp_path)
    assert "directory" in folder.message


SESSION = '{"type":"session","version":3,"id":"s"}\n{"type":"message","message":{}}\n'
RECORD = '{"text": "a"}\n'


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.md", "{", Kind.MARKDOWN),
        ("a.MDX", "", Kind.MARKDOWN),
        ("a.txt", RECORD, Kind.TEXT),
        ("a.jsonl", RECORD, Kind.JSON_LINES),
        ("a.jsonl", "", Kind.JSON_LINES),
        ("a.jsonl", SESSION, Kind.OPENCLAW_TRANSCRIPT),
        ("a.jsonl.reset.2026-02-27", SESSION, Kind.OPENCLAW_TRANSCRIPT),
        ("a.jsonl", "{torn\n" + SESSION, Kind.OPENCLAW_TRANSCRIPT),
        ("a.json", CHAT, Kind.CHAT_EXPORT),
        ("a.json", "[]", Kind.CHAT_EXPORT),
        ("a.json", RECORD, Kind.JSON_LINES),
        ("a.json", '{\n "a": 1\n}', Kind.CHAT_EXPORT),
        ("a.bin", "PK\x03\x04", Kind.CHAT_EXPORT),
        ("a", "\ufeff" + RECORD, Kind.JSON_LINES),
        ("a", CHAT, Kind.CHAT_EXPORT),
        ("notes", "Dear diary", Kind.TEXT),
        ("a.log", "{" * 5000, Kind.TEXT),
        ("a.log", "[" * 60_000, Kind.TEXT),
    ],
)
def test_kind_is_seen_by_suffix_and_first_bytes(
    tmp_path: Path, name: str, text: str, kind: Kind
) -> None:
    """A file is what its suffix says, or else what it begins with."""
    path = tmp_path / name
    path.write_text(text)

    assert detect(path) is kind


def test_detect_says_why_it_cannot(tmp_path: Path) -> None:
    """A file that cannot be opened raises when asked what it is."""
    with pytest.raises(UnavailableError, match="cannot be read"):
        detect(tmp_path / "gone")


def test_every_kind_is_read(tmp_path: Path) -> None:
    """Whatever the kind, reading yields the passages of its reader; a kind can be forced."""
    texts = {"a.md": "# T\nx", "b.txt": "x", "c.jsonl": RECORD, "d.json": CHAT}
    for name, text in texts.items():
        fill(tmp_path, name, text=text)

    found = {name: [type(each) for each in read_passages(tmp_path / name)] for name in texts}

    assert found == {"a.md": [Passage], "b.txt": [Passage], "c.jsonl": [Passage], "d.json": []}
    (forced,) = read_passages(tmp_path / "c.jsonl", kind=Kind.TEXT)
    assert forced.text == RECORD.strip()
