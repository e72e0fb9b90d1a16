from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clawstate.cli.main import run
from clawstate.json5.parse import parse_json5

SENTINEL = "__OPENCLAW_REDACTED__"
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


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("18790", "18790"),
        ("1.5", "1.5"),
        ("true", "true"),
        ("null", "null"),
        ('"a b"', "a b"),
        ('"line\\nline"', "line\nline"),
        ("[]", "[]"),
        ("{a:[1,'x']}", '{\n  "a": [\n    1,\n    "x"\n  ]\n}'),
    ],
)
def test_a_value_is_printed_as_shells_want_it(cli, file: Path, text: str, printed: str) -> None:
    """Scalars are printed raw, objects and arrays as pretty JSON."""
    file.write_text(f"{{ mine: {text} }}")

    got = cli("config", "get", "mine")

    assert (got.code, got.out, got.err) == (0, f"{printed}\n", "")


@pytest.mark.parametrize("value", [1, 1.5, "a", True, None, [], {}, {"a": [1, "x", None]}])
def test_json_is_exactly_the_value(cli, file: Path, value: Any) -> None:
    """With `--json` the document is the value itself, wherever the option stands."""
    file.write_text(json.dumps({"mine": value}))

    assert cli("config", "get", "mine", "--json").json == value
    assert cli("--json", "config", "get", "mine").json == value


def test_numbers_beyond_json_do_not_break_the_document(cli, file: Path) -> None:
    """An infinity or NaN, which JSON5 allows, is printed as JSON allows: null."""
    file.write_text("{ mine: [Infinity, NaN] }")

    assert cli("config", "get", "mine", "--json").json == [None, None]


def test_a_lone_surrogate_is_printed_somehow(program, file: Path) -> None:
    """Text that is no Unicode does not crash get."""
    file.write_text('{ mine: "a\\ud800b" }')

    assert program("config", "get", "mine").out == "a\\ud800b\n"
    assert program("config", "get", "mine", "--json").code == 0


def test_a_default_is_a_value(cli) -> None:
    """What is not written is what it is by default, even without a file."""
    assert cli("config", "get", "gateway.port").out == "18789\n"


@pytest.mark.parametrize("path", ["gateway.prt", "nothing", "gateway.port.x", "agents.list[3]"])
def test_a_missing_value_is_exit_code_three(cli, path: str) -> None:
    """A path where nothing stands is exit code 3, as a line or as a document."""
    told, document = cli("config", "get", path), cli("config", "get", path, "--json")

    assert (told.code, told.out, document.code) == (3, "", 3)
    assert document.json["error"]["type"] == "not_found"


def test_a_misspelt_key_suggests_the_right_one(cli) -> None:
    """The error for a missing value names the key that is most like it."""
    assert "did you mean port" in cli("config", "get", "gateway.prt").err


def test_secrets_are_left_out_unless_revealed(cli, file: Path) -> None:
    """`get` and `show` print secrets only with `--reveal`."""
    file.write_text(COMMENTED)

    for arguments in (["get", "gateway"], ["get", "gateway.auth.token"], ["show"]):
        hidden, shown = cli("config", *arguments), cli("config", *arguments, "--reveal")
        assert SENTINEL in hidden.out
        assert SECRET not in hidden.out
        assert SECRET in shown.out


def test_show_marks_what_is_not_set(cli, file: Path) -> None:
    """A default is marked as one; what is written is not, also if it is what the default says."""
    file.write_text('{ gateway: { port: 18789 }, agents: { list: [{ id: "main" }] } }')

    lines = cli("config", "show").out.splitlines()

    assert '    "port": 18789,' in lines
    assert '        "id": "main"' in lines
    assert '    "mode": "local",  // default' in lines
    assert all(each.endswith("// default") for each in lines if "sessions.json" in each)
    whole = parse_json5("\n".join(lines).encode(), path=file)
    assert whole == cli("config", "show", "--json", "--defaults").json


def test_show_gives_programs_what_is_set(cli, file: Path) -> None:
    """With `--json` defaults are left out, unless they are asked for."""
    file.write_text("{ gateway: { port: 7 }, session: {} }")

    assert cli("config", "show", "--json").json == {"gateway": {"port": 7}, "session": {}}
    assert cli("config", "show", "--json", "--defaults").json["gateway"]["mode"] == "local"


def test_an_agent_sees_its_own_settings(cli, file: Path) -> None:
    """With `--agent`, get and show answer for that agent, secrets left out as well."""
    own = file.parent / "agents" / "ada" / "agent" / "config.json"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"gateway": {"port": 4000, "auth": {"token": SECRET}}}))

    assert cli("--agent", "ada", "config", "get", "gateway.port").out == "4000\n"
    assert cli("config", "get", "gateway.port").out == "18789\n"
    assert cli("--agent", "ada", "config", "show").out.count(SENTINEL) == 1
    revealed = cli("--agent", "ada", "config", "get", "gateway.auth.token", "--reveal")
    assert revealed.out == f"{SECRET}\n"


def test_a_write_for_an_agent_goes_to_its_file(cli, file: Path) -> None:
    """With `--agent` a value is set, changed, undone and told for this agent alone."""
    own = file.parent / "agents/ada/agent/config.json"
    cli("config", "set", "gateway.port", "1")

    told = cli("--agent", "ada", "config", "set", "gateway.port", "2")

    assert f"in {own}" in told.out
    assert cli("--agent", "ada", "config", "get", "gateway.port").out == "2\n"
    assert cli("config", "get", "gateway.port").out == "1\n"
    assert '"port": 2' in cli("--agent", "ada", "config", "diff").out
    assert cli("--agent", "ada", "config", "history").out.count("gateway.port") == 1
    assert cli("--agent", "ada", "config", "path").out == f"{file}\n{own}\n"
    cli("--agent", "ada", "config", "undo")
    assert cli("--agent", "ada", "config", "get", "gateway.port").out == "1\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("-.5", -0.5),
        ("true", True),
        ("null", None),
        ("{a: 'b', c: [1,],}", {"a": "b", "c": [1]}),
        ("'quoted'", "quoted"),
        ("plain text", "plain text"),
        ("  kept as it is ", "  kept as it is "),
        ("1.2.3", "1.2.3"),
        ("{not json5", "{not json5"),
        ("", ""),
    ],
)
def test_a_value_is_json5_or_else_text(cli, text: str, value: Any) -> None:
    """`set` reads VALUE as JSON5 where that works, else as the text that it is."""
    assert cli("config", "set", "mine.a", text).code == 0

    assert cli("config", "get", "mine.a", "--json").json == value


def test_a_value_can_be_taken_as_text(cli) -> None:
    """With `--string` digits, booleans and quotes are text."""
    for text in ("123456", "true", '"x"'):
        assert cli("config", "set", "mine.a", text, "--string").code == 0
        assert cli("config", "get", "mine.a", "--json").json == text


def test_strict_json_refuses_text(cli, file: Path) -> None:
    """With `--strict-json` a value that is not JSON5 is a usage error that does not repeat it."""
    refused = cli("config", "set", "mine.a", f"{SECRET} is no json", "--strict-json")

    assert refused.code == 2
    assert SECRET not in refused.err
    assert "column" in refused.err
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["mine", "-1", "--force"], -1),
        (["--force", "mine", "-2.5"], -2.5),
        (["mine", "--", "-x"], "-x"),
    ],
)
def test_a_dash_may_begin_a_value(cli, arguments: list[str], value: Any) -> None:
    """A negative number is a value, and anything else is one behind `--`."""
    assert cli("config", "set", *arguments).code == 0

    assert cli("config", "get", "mine", "--json").json == value


@pytest.mark.parametrize(
    "arguments",
    [
        ["set"],
        ["set", "a.b"],
        ["set", "a.b", "1", "--stdin"],
        ["set", "a.b", "1", "--string", "--strict-json"],
        ["set", "a.b", "--unknown"],
        ["get"],
        ["undo", "0"],
        ["diff", "x"],
    ],
    ids=" ".join,
)
def test_a_usage_error_changes_nothing(cli, file: Path, arguments: list[str]) -> None:
    """What cannot be understood is exit code 2, and no file is made."""
    assert cli("config", *arguments).code == 2
    assert cli("config", *arguments, "--json").json["error"]["type"] == "usage"
    assert not file.exists()


@pytest.mark.parametrize("path", ["", "a[", "a[]", "a\\", "__proto__.x", "a.constructor"])
def test_a_broken_path_is_refused(cli, file: Path, path: str) -> None:
    """What is no key path is exit code 1 with the type `invalid`."""
    refused = cli("config", "set", path, "1", "--json")

    assert refused.code == 1
    assert refused.json["error"]["type"] == "invalid"
    assert not file.exists()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_comes_from_stdin(cli, file: Path, end: str) -> None:
    """`--stdin` takes all but the last line end; the file becomes private, and that is said."""
    done = cli("config", "set", "gateway.auth.token", "--stdin", stdin=f" {SECRET}{end}".encode())

    assert done.code == 0
    assert "0600" in done.err
    assert "history" not in done.err
    assert SECRET not in done.out + done.err
    assert file.stat().st_mode & 0o777 == 0o600
    revealed = cli("config", "get", "gateway.auth.token", "--reveal", "--json")
    assert revealed.json == f" {SECRET}"


def test_stdin_that_is_not_utf8_is_a_usage_error(cli, file: Path) -> None:
    """Bytes that are no UTF-8 are refused with the place of the first."""
    refused = cli("config", "set", "mine", "--stdin", stdin=b"caf\xe9")

    assert refused.code == 2
    assert "byte 3" in refused.err
    assert not file.exists()


@pytest.mark.parametrize(
    ("path", "value", "refused"),
    [
        ("gateway.auth.token", SECRET, True),
        ("gateway.auth", f"{{token: '{SECRET}'}}", True),
        ("channels.x.accounts[0].botToken", SECRET, True),
        ("gateway.auth.token", "${GATEWAY_TOKEN}", False),
        ("gateway.auth.token", "{source: 'env', provider: 'default', id: 'TOKEN'}", False),
        ("gateway.port", "4000", False),
    ],
)
def test_a_secret_in_an_argument_is_refused(
    cli, file: Path, monkeypatch: pytest.MonkeyPatch, path: str, value: str, *, refused: bool
) -> None:
    """A literal secret given as VALUE is refused, and the error says where it should come from."""
    monkeypatch.setenv("GATEWAY_TOKEN", "x")

    done = cli("config", "set", path, value, "--json")

    assert ("--stdin" in done.out) is refused
    assert SECRET not in done.err + done.out
    assert done.code == (2 if refused else 0)
    assert file.exists() is not refused


def test_a_key_that_nobody_knows_is_told_at_once(cli) -> None:
    """Setting a slip of a key says which one was meant."""
    done = cli("config", "set", "gateway.prt", "1")

    assert done.code == 0
    assert "gateway.prt: unknown key; did you mean 'port'?" in done.err
    assert cli("config", "set", "gateway.port", "2").err == ""
    assert "gateway.prt" in cli("config", "set", "gateway", "{prt: 2, port: 3}").err
    assert "logging.level" in cli("config", "set", "logging.level", "louder").err


def test_a_change_leaves_the_rest_of_the_text(cli, file: Path) -> None:
    """`set` and `unset` change one place; comments and layout stay."""
    file.write_text(COMMENTED)

    assert cli("config", "set", "gateway.port", "4000").code == 0
    assert file.read_text() == COMMENTED.replace("18790", "4000")
    assert cli("config", "unset", "gateway.auth").code == 0
    assert "// mine" in file.read_text()
    assert "the usual one is taken" in file.read_text()
    assert cli("config", "get", "gateway.auth").code == 3


def test_a_change_is_told(cli) -> None:
    """`set` tells the number of the change, and that there was none if the value was there."""
    first = cli("config", "set", "gateway.port", "4000", "--json").json
    again = cli("config", "set", "gateway.port", "4000", "--json").json

    assert first["changed"] is True
    assert first["change"]["number"] == 1
    assert first["change"]["paths"] == ["gateway.port"]
    assert again == {"changed": False, "change": None}


def test_unset_of_nothing_is_exit_code_three(cli) -> None:
    """What is not written, a default included, cannot be removed."""
    assert cli("config", "unset", "gateway.port").code == 3


def test_an_invalid_value_is_refused(cli, file: Path) -> None:
    """A value of the wrong type is exit code 1 with the type `config`; nothing is written."""
    file.write_text(COMMENTED)

    refused = cli("config", "set", "gateway.port", "soon", "--json")

    assert refused.code == 1
    assert refused.json["error"]["type"] == "config"
    assert file.read_text() == COMMENTED


def test_what_looks_like_an_accident_needs_force(cli, file: Path) -> None:
    """Removing `gateway.mode` is refused, and done with `--force`."""
    file.write_text('{ gateway: { mode: "local", port: 4000 } }')

    assert cli("config", "unset", "gateway.mode").code == 1
    assert cli("config", "unset", "gateway.mode", "--force").code == 0


def test_path_tells_the_file_in_use(cli, file: Path, tmp_path: Path, monkeypatch) -> None:
    """`path` prints the file, and whether it is there; OPENCLAW_CONFIG_PATH chooses another."""
    assert cli("config", "path").out == f"{file}\n"
    assert cli("config", "path", "--json").json == {"path": str(file), "exists": False}

    monkeypatch.setenv("OPENCLAW_CONFIG_PATH", str(tmp_path / "other.json"))

    assert cli("config", "path").out == f"{tmp_path / 'other.json'}\n"


def test_the_schema_is_a_json_schema(cli) -> None:
    """`schema` prints, with or without `--json`, a schema that accepts a real configuration."""
    plain, document = cli("config", "schema"), cli("config", "schema", "--json")

    assert plain.out == document.out
    Draft202012Validator.check_schema(plain.json)
    Draft202012Validator(plain.json).validate({"gateway": {"port": 1}})


def test_a_sound_configuration_is_valid(cli, file: Path) -> None:
    """`validate` ends with exit code 0 and empty lists."""
    file.write_text(COMMENTED)

    assert cli("config", "validate").out.startswith("valid")
    document = {"valid": True, "issues": [], "warnings": []}
    assert cli("config", "validate", "--json").json == document


def test_validate_tells_what_is_wrong_and_where(cli, file: Path) -> None:
    """Errors and warnings have path, message, line, column and hint; an error is exit code 1."""
    file.write_text('{\n  gateway: {\n    port: "soon",\n    hots: "h",\n  },\n}\n')

    ran = cli("config", "validate", "--json")

    assert ran.code == 1
    (error,), (warning,) = ran.json["issues"], ran.json["warnings"]
    assert ran.json["valid"] is False
    assert (error["path"], error["line"], error["column"]) == ("gateway.port", 3, 11)
    assert (warning["path"], warning["line"], warning["column"]) == ("gateway.hots", 4, 5)
    assert "host" in warning["hint"]
    assert set(error) == {"path", "message", "line", "column", "hint"}


def test_a_warning_is_no_failure(cli, file: Path) -> None:
    """With warnings only, the configuration is valid and the exit code 0."""
    file.write_text("{ gateway: { prt: 1 } }")

    ran = cli("config", "validate", "--json")

    assert ran.code == 0
    assert ran.json["valid"] is True
    assert len(ran.json["warnings"]) == 1


def test_a_text_that_is_not_json5_is_an_issue(cli, file: Path) -> None:
    """`validate` of a broken text gives the same document, with the place of the first mistake."""
    file.write_text("{\n  gateway: { port: },\n}\n")

    ran = cli("config", "validate", "--json")

    assert ran.code == 1
    assert [(each["line"], each["column"]) for each in ran.json["issues"]] == [(2, 20)]


def test_a_broken_include_is_an_issue(cli, file: Path) -> None:
    """What keeps the configuration from being read at all is told as an issue too."""
    file.write_text('{ "$include": "gone.json5" }')

    ran = cli("config", "validate", "--json")

    assert ran.code == 1
    assert "gone.json5" in ran.json["issues"][0]["message"]
    assert "Traceback" not in cli("config", "validate").out


def test_people_see_the_line_and_a_caret(cli, file: Path) -> None:
    """`validate` prints the line with a caret under the column, values cut."""
    file.write_text(
        '{\n  gateway: { auth: { token: "sk-very-secret-indeed" }, port: "soon" },\n}\n'
    )

    lines = cli("config", "validate").out.splitlines()

    shown = next(line for line in lines if "gateway: {" in line)
    caret = lines[lines.index(shown) + 1]
    assert shown[caret.index("^") :].startswith('"…"')
    assert shown[: caret.index("^")].endswith("port: ")
    assert SECRET not in "".join(lines)


def test_the_line_of_another_file_is_not_shown(cli, file: Path) -> None:
    """A mistake in an included file has no caret in the text that includes it."""
    (file.parent / "more.json5").write_text('{\n  models: { y: "${NOT_SET}" } }')
    file.write_text('{\n  "$include": "more.json5",\n}')

    told = cli("config", "validate").out

    assert "models.y" in told
    assert "^" not in told


@pytest.mark.parametrize(
    "verb",
    [
        "get",
        "show",
        "set",
        "unset",
        "path",
        "schema",
        "validate",
        "history",
        "diff",
        "undo",
        "edit",
    ],
)
def test_every_verb_has_help(cli, verb: str) -> None:
    """`--help` and `-h` of every verb print its usage."""
    long, short = cli("config", verb, "--help"), cli("config", verb, "-h")

    assert (long.code, long.out) == (0, short.out)
    assert long.out.startswith(f"Usage: clawstate config {verb}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "caf\udce9"],
        ["set", "caf\udce9", "1"],
        ["set", "a", "caf\udce9"],
        ["unset", "\udce9"],
    ],
    ids=ascii,
)
def test_arguments_that_are_not_utf8_are_answered(cli, arguments: list[str]) -> None:
    """Bytes that are no UTF-8 in an argument are a usage error."""
    assert cli("config", *arguments).code == 2
    assert cli("config", *arguments, "--json").json["error"]["type"] == "usage"


def test_history_and_diff_show_what_was_done(cli) -> None:
    """`history` lists the changes, oldest first; `diff` shows the last or a numbered one."""
    cli("config", "set", "gateway.port", "4000")
    cli("config", "set", "session.store", "'/x'")

    changes = cli("config", "history", "--json").json["changes"]

    assert [each["paths"] for each in changes] == [["gateway.port"], ["session.store"]]
    assert changes[0]["at"].endswith("Z")
    assert "gateway.port" in cli("config", "history").out
    assert '+    "port": 4000' in cli("config", "diff", "1").out
    assert "session" in cli("config", "diff", "--json").json["diff"]
    assert cli("config", "diff", "7").code == 3


def test_a_diff_shows_no_secret(cli) -> None:
    """A secret that was set, changed or removed is in no diff."""
    for secret in (b"sk-one-secret", b"sk-two-secret"):
        cli("config", "set", "gateway.auth.token", "--stdin", stdin=secret)
    cli("config", "unset", "gateway.auth")

    told = "".join(cli("config", "diff", number).out for number in (1, 2, 3))

    assert "sk-" not in told
    assert SENTINEL in told


def test_without_changes_there_is_nothing_to_show(cli) -> None:
    """A state that was never changed has an empty history, and neither diff nor undo."""
    assert cli("config", "history", "--json").json == {"changes": []}
    assert cli("config", "diff").code == 3
    assert cli("config", "undo").code == 3


def test_undo_puts_the_text_back(cli, file: Path) -> None:
    """`undo` restores the very text, is a change itself, and can be undone by its number."""
    file.write_text(COMMENTED)
    cli("config", "set", "gateway.port", "4000")

    undone = cli("config", "undo", "--json").json["change"]

    assert file.read_text() == COMMENTED
    assert undone["undoes"] == 1
    assert cli("config", "undo", undone["number"]).code == 0
    assert cli("config", "get", "gateway.port").out == "4000\n"


def test_undo_does_not_take_others_changes_away(cli, file: Path) -> None:
    """If the file was changed from outside since, undo is a conflict unless it is forced."""
    file.write_text(COMMENTED)
    cli("config", "set", "gateway.port", "4000")
    file.write_text(file.read_text().replace("// mine", "// yours"))

    assert cli("config", "undo", "--json").json["error"]["type"] == "conflict"
    assert "// yours" in file.read_text()
    assert cli("config", "undo", "--force").code == 0
    assert file.read_text() == COMMENTED


def test_a_terminal_shows_colours_and_no_escapes_of_ours(terminal, file: Path) -> None:
    """Diffs are coloured on a terminal; what a value holds cannot steer it."""
    file.write_text('{ mine: "a\\u001b[2Jb" }')
    terminal("config", "set", "gateway.port", "4000")

    assert "\x1b[32m" in terminal("config", "diff").out
    assert "\x1b" not in terminal("config", "diff", "--no-color").out
    assert "\x1b" not in terminal("config", "get", "mine").out


@pytest.mark.parametrize(
    "verb", [["get", "gateway.port"], ["path"], ["history"], ["show"]], ids=" ".join
)
def test_looking_loads_no_schema(environment, verb: list[str]) -> None:
    """What only reads loads neither pydantic nor what compares texts or starts editors."""
    script = (
        "import sys; from clawstate.cli.main import run; run(sys.argv[1:]); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "config", *verb],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )

    modules = set(done.stdout.decode().split())
    assert not modules & {"pydantic", "jsonschema", "tempfile", "numpy", "asyncio"}


def test_a_file_in_the_way_is_named(cli, file: Path) -> None:
    """A directory or an unreadable text in the place of the configuration crashes no verb."""
    file.mkdir()

    for verb in (["get", "a"], ["set", "a", "1"], ["unset", "a"], ["validate"], ["show"], ["edit"]):
        ran = cli("config", *verb)
        assert ran.code == 1, verb
        assert "Traceback" not in ran.err


def test_run_gives_the_exit_code_of_validate(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` returns 1 for findings, as the process ends with it."""
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(file.parent))
    file.write_text("{ gateway: { port: [] } }")

    assert run(["config", "validate", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["valid"] is False


def test_beside_openclaw_the_file_is_told(cli, file: Path) -> None:
    """`set`, `unset`, `path` and `history` say which of the two files a setting is in."""
    (file.parent / "devices").mkdir(parents=True)
    own = file.with_name("clawstate.json")

    first = cli("config", "set", "state.store", "file")
    second = cli("config", "set", "gateway.port", "2", "--json")

    why = f"{own}: OpenClaw would refuse it in openclaw.json, so it is in clawstate.json"
    assert why in first.out
    assert second.json["change"]["file"] == str(file)
    assert cli("config", "path").out == f"{file}\n{own}\n"
    assert [each["exists"] for each in cli("config", "path", "--json").json["files"]] == [True] * 2
    assert cli("config", "get", "state.store").out == "file\n"
    unset = cli("config", "unset", "state.store").out
    assert str(own) in unset
    assert "would refuse" not in unset
    listed = cli("config", "history", "--json").json["changes"]
    assert [each["file"] for each in listed] == [own.name, file.name, own.name]
    assert cli("config", "history").out.count("state.store") == 2
    assert cli("config", "undo").code == 0
    assert cli("config", "get", "state.store").out == "file\n"


def test_an_issue_of_another_file_names_it(cli, file: Path) -> None:
    """`validate` tells the file of an issue that is not in the configuration itself."""
    own = file.parent / "agents/ada/agent/config.json"
    own.parent.mkdir(parents=True)
    own.write_text("{\n  gateway: {port: 'x'},\n}")
    file.write_text("{}")

    told, document = cli("config", "validate"), cli("config", "validate", "--json")

    assert (told.code, document.code) == (1, 1)
    assert f"{own}:2:19" in told.out
    assert document.json["issues"][0]["file"] == str(own)
    assert cli("--agent", "bob", "config", "validate").code == 0
    assert cli("--agent", "ada", "config", "validate").code == 1
