from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.cli.output import safe_json
from clawstate.cli.printing import inline, one_line, printable, render, strip_styles, style

STEERING = [
    "\x1b[2J",
    "\x1b]0;owned\x07",
    "\x9b31m",
    "\x90q",
    "\x08\x08",
    "\r",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u061c",
    "\u200b",
    "\u2060",
    "\ufeff",
    "\u2028",
    "\U000e0041",
    "\ud800",
]
HOSTILE = "a\x1b]0;owned\x07b\x9b2Jc\u202ed\u200be\rf"

# What gives exact text to a pipe has another way to a terminal.
ON_TERMINALS = [
    ["config", "get", "mine"],
    ["config", "show"],
    ["memory", "export"],
    ["sessions", "export", HOSTILE],
    ["transcripts", "export", HOSTILE],
]
SHOWING = [
    *ON_TERMINALS,
    ["memory", "search", "tea"],
    ["memory", "list"],
    ["memory", "stats"],
    ["memory", "import", f"/nowhere/{HOSTILE}"],
    ["auth", "list"],
    ["auth", "show", "a:b"],
    ["auth", "status"],
    ["auth", "audit"],
    ["sessions", "list"],
    ["sessions", "show", HOSTILE],
    ["transcripts", "show", HOSTILE],
    ["transcripts", "search", "owned"],
    ["pairing", "list"],
    ["pairing", "approve", HOSTILE],
    ["devices", "list"],
    ["devices", "rotate", HOSTILE],
    ["dedupe", "stats"],
    ["dedupe", "check", HOSTILE],
    ["dedupe", "forget", "x", "-n", HOSTILE],
    ["config", "diff"],
    ["config", "history"],
    ["config", "validate"],
    ["config", "set", f"a{HOSTILE}", "1"],
    ["config", HOSTILE],
    ["status"],
    ["doctor"],
    [HOSTILE],
    ["--state-dir", f"/dev/null/{HOSTILE}", "status"],
]


def is_harmless(text: str) -> bool:
    kinds = {unicodedata.category(each) for each in text if each not in "\n\t\u200c\u200d"}
    return not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_what_steers_a_terminal_is_written_out(text: str) -> None:
    """Escape sequences, C1 bytes, marks of direction and of no width are shown, not obeyed."""
    shown = printable(f"a{text}z")

    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("z")


@given(st.text(st.characters(codec=None)))
def test_no_text_steers_a_terminal(text: str) -> None:
    """Whatever the text is: shown, it has nothing that moves, hides or turns around."""
    assert is_harmless(printable(text))
    assert is_harmless(render(style(text, bold=True), colour=False))
    assert "\n" not in inline(text)
    assert is_harmless(one_line(text))


@pytest.mark.parametrize(
    "text", ["tea\tand\nmilk", "née", "茶 🍵", "👩\u200d🚀", "\u0645\u06cc\u200c\u062e\u0648"]
)
def test_what_people_write_stays(text: str) -> None:
    """Lines, tabs, letters, and the joiners that emoji and scripts need are shown as they are."""
    assert printable(text) == text


@pytest.mark.parametrize("text", ["pass\u200dword", "a\u200cb", "\u200d"])
def test_a_joiner_that_joins_nothing_is_written_out(text: str) -> None:
    """Between letters that need none a joiner only hides that two names differ."""
    assert printable(text) != text


@given(st.text(st.characters(codec=None)))
def test_only_style_makes_colours(text: str) -> None:
    """No text can bring colours along; `style` can, where they are wanted."""
    line = f"{style('a', fg='red')}{text}"

    assert render(line, colour=True).startswith("\x1b[31ma\x1b[0m")
    assert render(line, colour=True).count("\x1b") == 2
    assert "\x1b" not in render(line, colour=False)
    assert strip_styles(line) == f"a{text}"


@given(st.text(st.characters(codec=None)), st.sampled_from(["utf-8", "cp1252", "ascii", None]))
def test_json_is_exact_in_every_encoding(text: str, encoding: str | None) -> None:
    """A document can be encoded for the output, and says the same when it is read."""
    document = safe_json(json.dumps([text], ensure_ascii=False), encoding)

    assert json.loads(document.encode(encoding or "utf-8").decode(encoding or "utf-8")) == [text]
    assert is_harmless(document)


def test_nothing_that_is_kept_steers_a_terminal(terminal, cli, environment) -> None:
    """Every list, every show and every error tells hostile text, and obeys none of it."""
    message = json.dumps({"role": HOSTILE, "content": HOSTILE}).encode()
    cli("memory", "add", f"tea {HOSTILE}", "-t", HOSTILE, "--source", HOSTILE, "--thread", "x")
    cli("auth", "add", "a:b", "--email", f"{HOSTILE}@x.org", stdin=b"sk-0123456789abcdef")
    cli("transcripts", "append", HOSTILE, stdin=message)
    cli("pairing", "request", "--user", HOSTILE, "--device", "phone", "--name", HOSTILE)
    cli("dedupe", "check", HOSTILE, "--namespace", "odd")
    cli("config", "set", "mine", HOSTILE)
    environment["TERM"] = "dumb"

    for arguments in SHOWING:
        shown = terminal(*arguments) if arguments in ON_TERMINALS else cli(*arguments)
        told = (shown.out + shown.err).replace("\r\n", "\n")

        assert told
        assert "Traceback" not in told, arguments
        assert is_harmless(told), (arguments, told)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1:strict", "utf-16"])
def test_an_output_that_is_not_utf8(program, environment, encoding: str) -> None:
    """What the output's encoding does not have is written as an escape; nothing ends in a crash."""
    made = program("memory", "add", "tea 🍵 for Zoë", "--json").json["id"]
    program("transcripts", "append", "key-🍵", stdin='{"role":"user","content":"tea 🍵"}'.encode())
    program("config", "set", "mine", "🍵")
    environment.update(PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    codec = encoding.partition(":")[0]

    for arguments in (
        ["memory", "search", "tea"],
        ["sessions", "list"],
        ["transcripts", "show", "key-🍵"],
        ["config", "get", "mine"],
        ["🍵"],
    ):
        ran = program.raw(*arguments)

        assert b"Traceback" not in ran.stderr, (arguments, ran.stderr)
        assert ran.returncode in {0, 2, 3}
        assert ran.stdout.decode(codec) or ran.stderr.decode(codec)
    shown = program.raw("memory", "get", made).stdout.decode(codec)
    assert ("tea 🍵 for Zoë" in shown) or ("tea \\U0001f375 for Zo" in shown)
    document = program.raw("memory", "get", made, "--json").stdout.decode(codec)
    assert json.loads(document)["text"] == "tea 🍵 for Zoë"


@pytest.mark.parametrize(
    ("names", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "1"}, True),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
    ],
    ids=str,
)
def test_the_environment_chooses_colours(terminal, environment, tmp_path, names, coloured) -> None:
    """NO_COLOR, TERM=dumb and CLICOLOR=0 take colours away from lines, errors and bars."""
    (tmp_path / "a.md").write_text("green tea")
    environment.update(names)

    imported = terminal("memory", "import", "a.md")
    failed = terminal("memory", "get", "nothing")

    assert ("\x1b[31m" in failed.out) == coloured
    assert coloured or "\x1b[3" not in imported.out
    assert names.get("TERM") != "dumb" or "\x1b" not in imported.out


def test_colours_can_be_forced(program, environment) -> None:
    """CLICOLOR_FORCE brings colours into a pipe, and --no-color takes them away again."""
    environment["CLICOLOR_FORCE"] = "1"

    assert "\x1b[31m" in program("memory", "get", "nothing").err
    assert "\x1b" not in program("memory", "get", "nothing", "--no-color").err
