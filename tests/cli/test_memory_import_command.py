from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path

import pytest

GOOD = "# Tea\n\nSencha is best at 70 degrees.\n"


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b"[" + b" " * 300_000_000)


REFUSED = {
    "binary.md": lambda path: path.write_bytes(b"\0\1\2" * 100),
    "utf-16-lines.jsonl": lambda path: path.write_bytes('{"text": \n'.encode("utf-16")),
    "binary.txt": lambda path: path.write_bytes(bytes(range(256))),
    "no-line-is-json.jsonl": lambda path: path.write_text("one\ntwo\n"),
    "cut-off.zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)),
    "bomb.zip": bomb,
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("again", [False, True])
def test_a_refused_file_makes_the_exit_code_1(
    cli, tmp_path: Path, name: str, *, again: bool
) -> None:
    """Whatever else was taken, a file that gave nothing is counted first, each time."""
    (tmp_path / "good.md").write_text(GOOD)
    REFUSED[name](tmp_path / name)
    if again:
        cli("memory", "import", tmp_path / "good.md", tmp_path / name)

    ran = cli("memory", "import", tmp_path / "good.md", tmp_path / name)

    assert ran.code == 1
    assert ran.out.splitlines()[0] == "1 file could not be read, or not whole; see below"
    assert name in ran.out.splitlines()[2]
    assert "Sencha" in cli("memory", "list").out


def test_refused_files_are_counted_in_the_document(cli, tmp_path: Path) -> None:
    """With `--json` the count is a member, and the exit code the same."""
    for name in ("binary.md", "binary.txt"):
        REFUSED[name](tmp_path / name)

    ran = cli("memory", "import", tmp_path / "binary.md", tmp_path / "binary.txt", "--json")

    assert (ran.code, json.loads(ran.out)["failedFiles"]) == (1, 2)


def test_what_is_left_out_by_rule_is_no_failure(cli, tmp_path: Path) -> None:
    """A link out of a folder, one bad line among good ones, an empty file: exit code 0."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (tmp_path / "outside.md").write_text(GOOD)
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    (folder / "empty.md").touch()
    (folder / "lines.jsonl").write_text('{"text": "a"}\nno json\n')

    ran = cli("memory", "import", folder)

    assert ran.code == 0
    assert ran.out.startswith("2 files read")


def test_a_file_that_is_refused_now_keeps_what_it_said(cli, tmp_path: Path) -> None:
    """Records of a file that cannot be read any longer are not taken for vanished."""
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"text": "The dentist is Dr. Moreau"}\n')
    cli("memory", "import", lines)

    lines.write_bytes(lines.read_bytes()[:20])

    assert cli("memory", "import", lines).code == 1
    assert "Moreau" in cli("memory", "list").out


@pytest.mark.parametrize(
    "words",
    [["doctor"], ["doctor", "--fix"], ["status"], ["memory", "list"], ["memory", "add", "x"]],
)
def test_a_newer_memory_has_one_remedy(cli, tmp_path: Path, words: list[str]) -> None:
    """Every command tells to upgrade, and none to restore, remove or repair anything."""
    cli("memory", "add", "kept")
    database = sqlite3.connect(tmp_path / "state" / "memory" / "memory.db")
    database.execute("PRAGMA user_version = 99")
    database.close()

    ran = cli(*words)

    told = ran.out + ran.err
    assert ran.code == 1
    assert told.count("upgrade clawstate") == 1
    assert "restore" not in told
    assert "clawstate doctor" not in told
