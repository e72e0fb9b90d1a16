from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.config.environment import (
    Environment,
    is_blocked,
    parse_dotenv,
    with_config,
    with_dotenv,
)

CANARY = "sk-canary-7f3a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("A = 1 \n  B=2\n", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("A: 1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("a.b-c_1=x", {"a.b-c_1": "x"}),
        ("# A=1\n\n  # B=2\nC=3 # three", {"C": "3"}),
        ("A=a#b", {"A": "a"}),
        ("A='a#b'", {"A": "a#b"}),
        ("A='it''s'", {"A": "it''s"}),
        ('A="a\\nb\\rc\\t"', {"A": "a\nb\rc\\t"}),
        ("A='a\\nb'\nB=`a\\nb`\nC=a\\nb", {"A": "a\\nb", "B": "a\\nb", "C": "a\\nb"}),
        ('A="one\ntwo" # end\nB=2', {"A": "one\ntwo", "B": "2"}),
        ("A='one\ntwo'\nB=`x\ny`", {"A": "one\ntwo", "B": "x\ny"}),
        ('A=`it\'s "so"`', {"A": 'it\'s "so"'}),
        ('A="say \\"hi\\""', {"A": 'say \\"hi\\"'}),
        ('A={"k": "v"}', {"A": '{"k": "v"}'}),
        ('A="C:\\dir\\"', {"A": "C:\\dir\\"}),
        ("A=' spaced '", {"A": " spaced "}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=b=c==", {"A": "b=c=="}),
        ("A=${B}", {"A": "${B}"}),
        ("\ufeffA=é", {"A": "é"}),
    ],
)
def test_syntax_is_that_of_the_npm_package(text: str, expected: dict[str, str]) -> None:
    """Each form means what `dotenv` makes of it, with any line ends."""
    for newline in ("\n", "\r\n", "\r"):
        parsed = parse_dotenv(text.replace("\n", newline).encode())

        assert parsed.values == expected
        assert parsed.problems == ()


@pytest.mark.parametrize(
    ("raw", "line", "values"),
    [
        (b"A=1\nnonsense\nB=2", 2, {"A": "1", "B": "2"}),
        (b"export\nA=1", 1, {"A": "1"}),
        (b"A='x\ny'\n\n=1\n", 4, {"A": "x\ny"}),
        (b'A=1\nB="open\nC=3', 2, {"A": "1", "B": '"open', "C": "3"}),
        (b"A=1\n# caf\xe9\nB=2", 2, {"A": "1", "B": "2"}),
    ],
)
def test_bad_line_is_reported_and_the_others_count(
    raw: bytes, line: int, values: dict[str, str]
) -> None:
    """A line that says nothing is named by its number, and takes no other line with it."""
    parsed = parse_dotenv(raw)

    assert [number for number, _ in parsed.problems] == [line]
    assert parsed.values == values


@given(st.binary(max_size=200) | st.text("A=\"'`\\n# \n\r:export", max_size=80).map(str.encode))
def test_any_bytes_are_read(raw: bytes) -> None:
    """No content makes reading fail, and every problem names a line that exists."""
    parsed = parse_dotenv(raw)

    lines = raw.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert all(1 <= number <= lines for number, _ in parsed.problems)


def test_first_layer_that_says_something_wins(tmp_path: Path) -> None:
    """What is set stays; empty or blank is not set; the first file wins over the second."""
    (tmp_path / "one").write_text("SET=1\nEMPTY=1\nBLANK=1\nBOTH=1\n")
    (tmp_path / "two").write_text("BOTH=2\nLAST=2\n")
    env = {"SET": "0", "EMPTY": "", "BLANK": " "}

    result = with_dotenv(env, (tmp_path / "one", tmp_path / "two"))

    expected = {"SET": "0", "EMPTY": "1", "BLANK": "1", "BOTH": "1", "LAST": "2"}
    assert result.variables == expected
    assert env == {"SET": "0", "EMPTY": "", "BLANK": " "}


def test_process_environment_stays_as_it_is(tmp_path: Path) -> None:
    """Reading a file adds nothing to the environment of the process."""
    (tmp_path / ".env").write_text("CLAWSTATE_LAW=1")
    before = dict(os.environ)

    result = with_dotenv(os.environ, (tmp_path / ".env",))

    assert result.variables["CLAWSTATE_LAW"] == "1"
    assert dict(os.environ) == before


@pytest.mark.parametrize("kind", ["directory", "pipe", "large", "loop"])
def test_file_that_cannot_be_read_is_only_noted(tmp_path: Path, kind: str) -> None:
    """Whatever stands at `.env`, reading it neither fails nor waits, and is noted once."""
    path = tmp_path / ".env"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(b"A=1\n" * 300_000)

    result = with_dotenv({}, (path,))

    assert result.variables == {}
    assert [notice.path for notice in result.notices] == [path]


def test_missing_file_is_no_oddity(tmp_path: Path) -> None:
    """A file that is not there adds nothing, and is remembered so that it can appear."""
    path = tmp_path / ".env"

    result = with_dotenv({}, (path, path))
    still_missing = [file.is_current() for file in result.files]
    path.write_text("A=1")

    assert result.notices == ()
    assert still_missing == [True]
    assert [file.is_current() for file in result.files] == [False]


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "Path", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "PYTHONPATH"),
        *("PYTHONHOME", "BASH_ENV", "ENV", "IFS", "SHELL", "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT"),
        *("SSH_ASKPASS", "BASH_FUNC_x%%", "HOME", "OPENCLAW_STATE_DIR"),
    ],
)
def test_dangerous_variable_is_never_taken_from_a_file(tmp_path: Path, name: str) -> None:
    """What chooses the code that programs run is refused from every file, by name only."""
    (tmp_path / ".env").write_text(f"{name}={CANARY}\nGOOD=1")

    first = with_dotenv({}, (tmp_path / ".env",))
    block = {"env": {"vars": {name: CANARY}, name: CANARY}}
    second = with_config(Environment({}), block, tmp_path / "openclaw.json")

    assert is_blocked(name)
    assert first.variables == {"GOOD": "1"}
    assert second.variables == {}
    assert CANARY not in str([str(notice) for notice in (*first.notices, *second.notices)])


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "GITHUB_TOKEN", "GIT_AUTHOR_NAME", "PYTHONUTF8"]
)
def test_ordinary_variable_is_not_blocked(name: str) -> None:
    """Keys and settings of programs may be set from files."""
    assert not is_blocked(name)


def test_block_of_the_configuration_fills_gaps() -> None:
    """The block adds what is unset or blank, its own keys over those of `vars`, strings only."""
    block = {
        "vars": {"A": "vars", "B": "vars", "N": 1, "bad name": "x"},
        "shellEnv": {"enabled": True},
        "B": "own",
        "SET": "own",
        "EMPTY": "own",
        "BLANK": " ",
    }
    environment = Environment({"SET": "0", "EMPTY": ""})

    result = with_config(environment, {"env": block}, Path("/c"))

    assert result.variables == {"SET": "0", "EMPTY": "own", "A": "vars", "B": "own"}


def test_block_may_refer_to_what_is_there() -> None:
    """A variable of the block may be made from others, and is left out if one is missing."""
    block = {"vars": {"A": "${BASE}/a", "B": "${A}/b", "C": "${NONE}", "D": "${D}"}}

    result = with_config(Environment({"BASE": "/x"}), {"env": block}, Path("/c"))

    assert result.variables == {"BASE": "/x", "A": "/x/a", "B": "/x/a/b"}


@pytest.mark.parametrize("block", [None, 1, [], "x", {"vars": []}, {"vars": None}])
def test_malformed_block_adds_nothing(block: object) -> None:
    """A block of another kind is left to validation."""
    assert with_config(Environment({"A": "1"}), {"env": block}, Path("/c")).variables == {"A": "1"}


def test_no_representation_shows_a_value(tmp_path: Path) -> None:
    """Neither the variables nor a broken line appear when a result is printed."""
    (tmp_path / ".env").write_text(f'A={CANARY}\n{CANARY}\nB="{CANARY}')

    result = with_dotenv({"S": CANARY}, (tmp_path / ".env",))

    assert len(result.notices) == 2
    assert CANARY not in repr(result) + "".join(map(str, result.notices))
    assert CANARY not in repr(parse_dotenv((tmp_path / ".env").read_bytes()))
