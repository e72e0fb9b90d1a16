from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import apsw
import pytest

from clawstate.cli.main import NOUNS, run

VERBS = [
    "add",
    "search",
    "get",
    "update",
    "forget",
    "list",
    "import",
    "export",
    "stats",
    "optimize",
]


def assert_failed(ran, *, code: int, kind: str) -> str:
    """Check the one document of a failure; return its message."""
    assert ran.code == code
    document = json.loads(ran.out)
    assert document == {
        "ok": False,
        "error": {"type": kind, "message": document["error"]["message"]},
    }
    assert "Traceback" not in ran.out + ran.err
    message: str = document["error"]["message"]
    return message


@pytest.mark.parametrize(
    "before", [[], *([noun] for noun in NOUNS), *(["memory", v] for v in VERBS)]
)
def test_every_command_has_help(cli, before: list[str]) -> None:
    """`--help` and `-h` of every noun and verb print its usage and end with exit code 0."""
    long, short = cli(*before, "--help"), cli(*before, "-h")

    assert (long.code, short.code) == (0, 0)
    assert long.out.startswith(" ".join(["Usage: clawstate", *before]))
    assert long.out == short.out
    assert long.err == ""


def test_the_version_is_told(cli) -> None:
    """`--version` prints the name and the version."""
    assert cli("--version").out.startswith("clawstate, version ")


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [(["memry"], "memory"), (["memory", "serch", "x"], "search"), (["docter"], "doctor")],
    ids=str,
)
def test_a_misspelt_name_suggests_the_right_one(cli, arguments, suggestion: str) -> None:
    """An unknown noun or verb is a usage error that names the nearest one."""
    refused = cli(*arguments)

    assert refused.code == 2
    assert f"'{suggestion}'" in refused.err
    assert refused.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["memory", "nope"],
        ["memory", "add"],
        ["memory", "add", "x", "--importance", "2"],
        ["memory", "add", "x", "--ttl", "soon"],
        ["memory", "add", "x", "--meta", "nothing"],
        ["memory", "search", "x", "--mode", "magic"],
        ["memory", "search", "x", "--limit", "many"],
        ["memory", "import"],
        ["memory", "import", "x", "--as", "poem"],
        ["memory", "list", "--unknown"],
    ],
    ids=" ".join,
)
def test_a_usage_error_is_exit_code_two(cli, arguments: list[str]) -> None:
    """What cannot be understood is exit code 2: a document for programs, a line for people."""
    told = cli(*arguments)
    document = cli("--json", *arguments)

    assert (told.code, told.out) == (2, "")
    assert "error: " in told.err
    message = assert_failed(document, code=2, kind="usage")
    assert message


@pytest.mark.parametrize("arguments", [[], ["memory"]], ids=["root", "memory"])
def test_a_missing_verb_shows_what_there_is(cli, arguments: list[str]) -> None:
    """Without a verb the help is shown once, not as the text of an error."""
    shown = cli(*arguments)

    assert shown.code == 2
    assert shown.err.count("Usage:") == 1
    assert "Commands:" in shown.err
    assert_failed(cli("--json", *arguments), code=2, kind="usage")


@pytest.mark.parametrize(
    "arguments",
    [["get", "x"], ["update", "x", "--category", "c"], ["forget", "x"], ["import", "/no/such"]],
    ids=" ".join,
)
def test_what_is_not_there_is_exit_code_three(cli, arguments: list[str]) -> None:
    """A record, source or path that does not exist is exit code 3 and says what to do next."""
    cli("memory", "add", "something")

    assert_failed(cli("memory", *arguments, "--json"), code=3, kind="not_found")
    told = cli("memory", *arguments)
    assert (told.code, told.out) == (3, "")
    assert told.err.startswith("error: no ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", " "],
        ["add", "x\0y"],
        ["search", " "],
    ],
    ids=repr,
)
def test_a_refused_value_is_named(cli, arguments: list[str]) -> None:
    """A text that cannot be kept or asked for is exit code 1 with the type `invalid`."""
    assert assert_failed(cli("memory", *arguments, "--json"), code=1, kind="invalid")


@pytest.mark.parametrize(
    "arguments",
    [
        ["memory", "add", "x", "--tag", "\x1b"],
        ["memory", "add", "x", "--meta", "a=NaN"],
        ["memory", "add", "x", "--position", str(1 << 60)],
        ["memory", "add", "x", "--thread", ""],
        ["memory", "list", "--where", 'a"b=1'],
        ["memory", "list", "--namespace", ""],
        ["memory", "list", "--after", ""],
        ["memory", "search", "x", "--where", '{"$foo": 1}'],
        ["memory", "capture", "--who", ""],
        ["memory", "inbox", "--after", "zz"],
    ],
    ids=" ".join,
)
def test_the_refused_value_of_an_option_is_a_usage_error(cli, arguments: list[str]) -> None:
    """In verbs of the memory the value of an option that cannot be is exit code 2, and named."""
    told = cli(*arguments)

    assert told.code == 2, told
    assert "Usage: clawstate" in told.err
    assert_failed(cli(*arguments, "--json"), code=2, kind="usage")


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "-k", "9" * 30],
        ["list", "--where", "a=" + "9" * 30],
        ["search", "x", "--where", "a=" + "9" * 30],
        ["add", "x", "--meta", "a=" + "[" * 100_000],
    ],
    ids=["limit", "list where", "search where", "deep metadata"],
)
def test_no_number_or_nesting_is_too_large_to_be_answered(cli, arguments: list[str]) -> None:
    """Huge numbers and nesting are taken or refused by name, never a crash."""
    cli("memory", "add", "x")

    assert cli("memory", *arguments).code in {0, 1, 2}


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "caf\udce9"],
        ["add", "x", "--tag", "caf\udce9"],
        ["add", "x", "--namespace", "caf\udce9"],
        ["get", "caf\udce9"],
        ["forget", "caf\udce9"],
        ["forget", "--source", "caf\udce9"],
        ["search", "caf\udce9"],
        ["search", "x", "--namespace", "caf\udce9"],
        ["search", "x", "--tag", "caf\udce9"],
        ["list", "--source", "caf\udce9"],
        ["list", "--after", "caf\udce9"],
        ["list", "--where", "a=caf\udce9"],
        ["import", "caf\udce9"],
    ],
    ids=ascii,
)
def test_arguments_that_are_not_utf8_are_answered(cli, arguments: list[str]) -> None:
    """Bytes that are no UTF-8 in an argument (Python's surrogates) never crash a command."""
    cli("memory", "add", "x")

    assert cli("memory", *arguments).code in {0, 1, 2, 3}


def test_a_file_name_that_is_not_utf8_does_not_stop_an_import(program, tmp_path: Path) -> None:
    """A file whose name is no UTF-8 is imported or reported; the others go in."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "good.md").write_text("a good note")
    Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.md")).write_text("a badly named note")

    ran = program("memory", "import", folder, "--json")

    assert ran.code == 1
    assert ran.json["added"] + len(ran.json["problems"]) == 2


EVERYTHING = [
    ["memory", "add", "x"],
    ["memory", "search", "x"],
    ["memory", "search", "x", "--mode", "words"],
    ["memory", "get", "x"],
    ["memory", "list"],
    ["memory", "export"],
    ["memory", "stats"],
    ["memory", "forget", "x"],
    ["memory", "optimize"],
]


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
def test_a_file_that_is_no_database_is_left_alone(cli, tmp_path: Path, arguments) -> None:
    """Every command names a damaged file, points to doctor, and changes nothing."""
    file = tmp_path / "state" / "memory" / "memory.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"this is no database at all" * 100)

    message = assert_failed(cli(*arguments, "--json"), code=1, kind="corrupt")

    assert str(file) in message
    assert "clawstate doctor" in message
    assert file.read_bytes() == b"this is no database at all" * 100


def test_status_shows_what_is_whole_beside_a_damaged_file(cli, tmp_path: Path) -> None:
    """With a damaged database the status tells of it, and of everything else."""
    file = tmp_path / "state" / "memory" / "memory.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"this is no database at all" * 100)

    ran = cli("status", "--json")

    assert ran.code == 1
    assert ran.json["memory"]["error"]["type"] == "corrupt"
    assert "clawstate doctor" in ran.json["memory"]["error"]["message"]
    assert ran.json["records"]["sessions"] == 0


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
def test_a_newer_format_is_left_alone(cli, tmp_path: Path, arguments) -> None:
    """A database of a newer clawstate is neither read nor written, and says to upgrade."""
    cli("memory", "add", "x")
    file = tmp_path / "state" / "memory" / "memory.db"
    connection = apsw.Connection(str(file))
    connection.pragma("user_version", 99)
    connection.close()

    message = assert_failed(cli(*arguments, "--json"), code=1, kind="version")

    assert "upgrade" in message


@pytest.mark.parametrize("arguments", [*EVERYTHING, ["status"]], ids=" ".join)
def test_a_state_directory_that_is_a_file_is_named(cli, tmp_path: Path, arguments) -> None:
    """When a file stands where the state directory should be, no command crashes or removes it."""
    (tmp_path / "state").write_text("in the way")

    ran = cli(*arguments)

    assert ran.code in {0, 1, 3}
    assert (tmp_path / "state").read_text() == "in the way"


def test_a_foreign_database_is_left_alone(cli, tmp_path: Path) -> None:
    """A database that somebody else made is not taken over."""
    file = tmp_path / "state" / "memory" / "memory.db"
    file.parent.mkdir(parents=True)
    connection = apsw.Connection(str(file))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    message = assert_failed(cli("memory", "add", "x", "--json"), code=1, kind="corrupt")

    assert "did not make" in message


@pytest.mark.parametrize("file", ["/dev/full", "/nonexistent/dir/out.jsonl"])
def test_an_export_that_cannot_be_written_is_one_line(program, file: str) -> None:
    """A full disk or a missing folder is a failure in one line, not a traceback."""
    program("memory", "add", "x")

    ran = program("memory", "export", file)

    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err


def test_warnings_stay_off_stdout(cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A warning goes to stderr as one line; stdout still holds exactly the document."""
    cli("memory", "add", "green tea")
    connection = apsw.Connection(str(tmp_path / "state" / "memory" / "memory.db"))
    identity = {"model": "another", "dimensions": 3, "normalised": True}
    connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (json.dumps(identity),))
    connection.close()

    ran = cli("memory", "search", "tea", "--json")

    assert [hit["text"] for hit in ran.json["results"]] == ["green tea"]
    assert ran.err.startswith("warning: searching by words only")
    assert ran.err.count("\n") == 1
    assert ran.json["mode"] == "words"
    assert ran.json["warning"] == ran.err.removeprefix("warning: ").rstrip()


def test_run_returns_and_never_exits(capsys: pytest.CaptureFixture[str]) -> None:
    """`run` gives the exit code back to its caller instead of ending the process."""
    assert run(["--help"]) == 0
    assert run(["nope"]) == 2
    assert run(["--version"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["memory", "add", "-"], 1),
        (["auth", "add", "openai:x", "--provider", "openai", "--type", "api_key"], 2),
        (["config", "set", "gateway.port", "--stdin"], 1),
        (["devices", "verify", "x"], 2),
        (["transcripts", "append", "k"], 0),
    ],
    ids=lambda each: " ".join(each[:2]) if isinstance(each, list) else "",
)
def test_a_closed_stdin_is_an_empty_one(
    arguments: list[str], code: int, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """A verb whose standard input the caller has closed reads nothing, without a traceback."""
    ran = _with_closed("<&-", arguments, environment, tmp_path)

    assert "Traceback" not in ran.stderr
    assert ran.returncode == code


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("before", [[], ["--json"]], ids=["text", "json"])
def test_closed_outputs_are_written_nowhere(
    before: list[str], closed: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """With closed outputs a verb works, prints nothing into a file of the state, and is silent."""
    ran = _with_closed(closed, [*before, "memory", "add", "tea"], environment, tmp_path)
    listed = _with_closed("", ["--json", "memory", "list"], environment, tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert [each["text"] for each in json.loads(listed.stdout)["records"]] == ["tea"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_configuration_in_another_encoding_is_named(
    encoding: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """A configuration with more than a byte for each character is called what it is."""
    state = Path(environment["OPENCLAW_STATE_DIR"])
    state.mkdir(exist_ok=True)
    (state / "openclaw.json").write_bytes("{gateway: {port: 1}}".encode(encoding))

    ran = _with_closed("", ["config", "get", "gateway.port"], environment, tmp_path)

    assert ran.returncode == 1
    assert f"is {encoding[:6].upper()}; save it as UTF-8" in ran.stderr


def test_a_full_output_is_told_on_stderr(environment: Mapping[str, str], tmp_path: Path) -> None:
    """With `--json` too, an output that takes nothing is one line of stderr."""
    ran = _with_closed(">/dev/full", ["--json", "version"], environment, tmp_path)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: the output cannot be written")
    assert len(ran.stderr.splitlines()) == 1


def _with_closed(
    closed: str, arguments: list[str], environment: Mapping[str, str], directory: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'exec "$@" {closed}',
            "sh",
            sys.executable,
            "-m",
            "clawstate",
            *arguments,
        ],
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd=directory,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_interrupt_while_it_starts_is_told_in_a_line(tmp_path, options) -> None:
    """Whenever Ctrl-C comes while the command loads, it ends with 130 and without a traceback."""
    command = [sys.executable, "-X", "importtime", "-m", "clawstate", "--state-dir", str(tmp_path)]
    met = 0
    for number in range(12):
        process = subprocess.Popen(
            [*command, *options, "status"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        # The interpreter's own start is not ours; then it is interrupted after some modules more.
        loaded = 0
        for line in process.stderr:
            loaded += b"clawstate" in line or loaded > 0
            if b" clawstate.version" in line:
                loaded = 1
            if loaded > 3 * number + 12:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert b"Traceback" not in err
        assert process.returncode in {0, 130}
        met += process.returncode == 130
        if options and process.returncode == 130:
            assert json.loads(out)["error"]["type"] == "interrupted"
    assert met
