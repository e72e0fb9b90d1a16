from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "sk-very-secret-indeed"

COMMENTED = """\
// mine
{
  gateway: {
    port: 18790,  // the usual one is taken
    auth: { token: "sk-very-secret-indeed" },
  },
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the configuration is, in a state that exists."""
    path = tmp_path / "state" / "openclaw.json"
    path.parent.mkdir(mode=0o700)
    return path


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]):
    """Return a function that makes the body of a Python program the editor; `file` is its file."""

    def use(body: str) -> Path:
        script = tmp_path / "my editor.py"
        script.write_text(f"import pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\n{body}\n")
        command = f"{sys.executable} '{script}' --wait"
        monkeypatch.setenv("VISUAL", command)
        environment["VISUAL"] = command
        monkeypatch.setenv("TMPDIR", str(tmp_path / "copies"))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
        environment["TMPDIR"] = str(tmp_path / "copies")
        (tmp_path / "copies").mkdir(exist_ok=True)
        return tmp_path / "copies"

    return use


def typed(environment: dict[str, str], answers: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run the command line on a terminal, typing each answer once its question was asked."""
    master, slave = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "clawstate", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(slave)
        seen, waiting = "", dict(answers)
        while True:
            try:
                seen += os.read(master, 65_536).decode()
            except OSError:  # the program closed its end
                break
            for question in [each for each in waiting if each in seen]:
                os.write(master, waiting.pop(question).encode())
        os.close(master)
        return process.wait(timeout=60), seen


def test_a_secret_is_asked_for_on_a_terminal(environment, program) -> None:
    """Without VALUE, a terminal is asked for it, and what is typed is not shown."""
    code, out = typed(
        environment, {"not shown": f"{SECRET}\n"}, "config", "set", "gateway.auth.token"
    )

    assert code == 0
    assert SECRET not in out
    revealed = program("config", "get", "gateway.auth.token", "--reveal")
    assert revealed.out == f"{SECRET}\n"


def test_an_edit_is_saved(cli, file: Path, editor) -> None:
    """What the editor leaves becomes the text, and no copy stays behind."""
    file.write_text(COMMENTED)
    copies = editor("file.write_text(file.read_text().replace('18790', '4000'))")

    edited = cli("config", "edit", "--json")

    assert edited.code == 0
    assert edited.json["changed"] is True
    assert file.read_text() == COMMENTED.replace("18790", "4000")
    assert list(copies.iterdir()) == []


def test_what_an_editor_prints_is_not_the_document(program, file: Path, editor) -> None:
    """With `--json` the words of the editor go to stderr."""
    editor("print('welcome'); file.write_text('{ gateway: { port: 4000 } }')")

    edited = program("config", "edit", "--json")

    assert edited.json["changed"] is True
    assert "welcome" in edited.err


@pytest.mark.parametrize("body", ["file.unlink()", "file.unlink(); file.mkdir()"])
def test_an_editor_that_removes_its_file_is_one_line(cli, file: Path, editor, body: str) -> None:
    """Without a file to read nothing is changed, and the error says what happened."""
    file.write_text(COMMENTED)
    editor(body)

    done = cli("config", "edit")

    assert done.code == 1
    assert "left no file to read" in done.err
    assert file.read_text() == COMMENTED


def test_an_edit_begins_a_configuration(cli, file: Path, editor) -> None:
    """Without a file the editor gets an empty object, and saving makes the file."""
    editor("file.write_text(file.read_text().replace('{', '{ gateway: { port: 4000 },'))")

    assert cli("config", "edit").code == 0

    assert cli("config", "get", "gateway.port").out == "4000\n"


def test_an_edit_that_changes_nothing_writes_nothing(cli, file: Path, editor) -> None:
    """Leaving the editor without a change makes neither a file nor a change."""
    copies = editor("")

    assert cli("config", "edit", "--json").json == {"changed": False, "change": None}

    assert not file.exists()
    assert list(copies.iterdir()) == []


def test_the_copy_is_private(cli, file: Path, editor, tmp_path: Path) -> None:
    """The editor works on a file of mode 0600 in a directory of mode 0700."""
    editor(
        "modes = [oct(each.stat().st_mode & 0o777) for each in (file, file.parent)]\n"
        f"pathlib.Path({str(tmp_path / 'modes')!r}).write_text(' '.join(modes))"
    )
    before = os.umask(0)
    try:
        cli("config", "edit")
    finally:
        os.umask(before)

    assert (tmp_path / "modes").read_text() == "0o600 0o700"


def test_a_broken_edit_is_kept_and_not_saved(cli, file: Path, editor) -> None:
    """Without a terminal a mistake ends the edit: the file stays, the copy is kept and named."""
    file.write_text(COMMENTED)
    copies = editor("file.write_text('{ gateway: { port: } }')")

    refused = cli("config", "edit")

    (copy,) = copies.glob("*/openclaw.json")
    assert refused.code == 1
    assert str(copy) in refused.err
    assert copy.read_text() == "{ gateway: { port: } }"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert file.read_text() == COMMENTED


@pytest.mark.parametrize("broken", ["b'\\xff'", "b'{ gateway: { port: [] } }'", "b'[]'", "b''"])
def test_what_an_editor_may_leave_is_never_saved(cli, file: Path, editor, broken: str) -> None:
    """Bytes, wrong types, no object and no text at all are refused with one line."""
    file.write_text(COMMENTED)
    editor(f"file.write_bytes({broken})")

    refused = cli("config", "edit", "--json")

    assert refused.code == 1
    assert refused.json["ok"] is False
    assert file.read_text() == COMMENTED


def test_a_mistake_can_be_mended_at_once(environment, file: Path, editor) -> None:
    """On a terminal the mistake is shown with its place, and the editor opens again."""
    file.write_text(COMMENTED)
    editor(
        "text = file.read_text()\n"
        "file.write_text(text.replace('\"soon\"', '4000').replace('18790', '\"soon\"'))"
    )

    code, out = typed(environment, {"edit again?": "y\n"}, "config", "edit", "--no-color")

    assert "gateway.port" in out
    assert "^" in out
    assert code == 0
    assert file.read_text() == COMMENTED.replace("18790", "4000")


def test_a_mistake_can_be_left(environment, file: Path, editor) -> None:
    """Who does not want to edit again keeps the copy, and nothing is saved."""
    file.write_text(COMMENTED)
    copies = editor("file.write_text('{')")

    code, out = typed(environment, {"edit again?": "n\n"}, "config", "edit")

    assert code == 1
    assert "your edit is kept in" in out
    assert len(list(copies.glob("*/openclaw.json"))) == 1
    assert file.read_text() == COMMENTED


def test_a_change_from_outside_is_not_overwritten(cli, file: Path, editor) -> None:
    """If somebody else wrote meanwhile, the edit is a conflict and its copy is kept."""
    file.write_text(COMMENTED)
    copies = editor(
        f"pathlib.Path({str(file)!r}).write_text('{{ gateway: {{ port: 5000 }} }}')\n"
        "file.write_text('{ gateway: { port: 4000 } }')"
    )

    refused = cli("config", "edit", "--json")

    assert refused.json["error"]["type"] == "conflict"
    assert cli("config", "get", "gateway.port").out == "5000\n"
    assert len(list(copies.glob("*/openclaw.json"))) == 1


@pytest.mark.parametrize("command", ["/no/such/editor", "false", "'unfinished"])
def test_an_editor_that_fails_is_named(cli, monkeypatch, command: str) -> None:
    """An editor that is missing, fails or cannot be read from the variable is one line."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", command)

    refused = cli("config", "edit", "--json")

    assert refused.code == 1
    assert refused.json["error"]["type"] == "unavailable"


def test_without_any_editor_the_variables_are_named(cli, monkeypatch) -> None:
    """If no editor is chosen or installed, the error says which variables choose one."""
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")

    assert "EDITOR" in cli("config", "edit").err


EMPTY = "is empty"


@pytest.mark.parametrize(
    ("left", "told", "place"),
    [
        ("b''", EMPTY, ""),
        ("b' \\n'", EMPTY, ""),
        ("b'{ gateway: { port: } }'", "expected a value", "(line 1, column 20)"),
        ("b'{\\n  gateway: { port: [] } }'", "gateway.port: ", "(line 2, column 20)"),
        ("b'[]'", "must be an object", ""),
        ("b'{\\n\\xff'", "is not UTF-8", "(line 2, column 1)"),
    ],
)
@pytest.mark.parametrize("agent", [False, True])
def test_a_refused_edit_names_the_copy_and_the_way_on(
    cli, file: Path, editor, monkeypatch, *, left: str, told: str, place: str, agent: bool
) -> None:
    """The error is about the edited text, and the command that it tells saves it once mended."""
    file.write_text(COMMENTED)
    options = ("--agent", "ada") if agent else ()
    copies = editor(f"file.write_bytes({left})")

    refused = cli(*options, "config", "edit")

    (copy,) = copies.glob("*/*.json")
    (line,) = [each for each in refused.err.splitlines() if each.startswith("error: ")]
    assert line.startswith(f"error: {copy}: ")
    assert told in line
    assert place in line
    assert str(file) not in line
    assert "doctor" not in refused.err
    copy.write_text("{ gateway: { port: 4001 } }")
    told_editor, told_command = line.split("then run VISUAL=")[1].split(" clawstate ")
    monkeypatch.setenv("VISUAL", shlex.split(told_editor)[0])
    assert cli(*told_command.split()).code == 0
    assert cli(*options, "config", "get", "gateway.port").out == "4001\n"


@pytest.mark.parametrize(
    "body",
    [
        "file.unlink(); file.symlink_to('/etc/hostname')",
        "file.unlink(); file.symlink_to('nowhere')",
        "import os; file.unlink(); os.mkfifo(file)",
    ],
)
def test_a_link_or_pipe_in_the_place_of_the_copy_is_refused(cli, file: Path, editor, body) -> None:
    """Only a regular file is read: what a link leads to is not saved, nor a pipe waited for."""
    file.write_text(COMMENTED)
    editor(body)

    refused = cli("config", "edit")

    assert refused.code == 1
    assert "left no file to read" in refused.err
    assert file.read_text() == COMMENTED
