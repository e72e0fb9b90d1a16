from __future__ import annotations

import json
import stat

import pytest

TURN = [
    {"role": "user", "content": "Where is the red lobster?"},
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "In the sea."},
            {"type": "toolCall", "id": "c1", "name": "look", "arguments": {"where": "sea"}},
        ],
    },
    {"role": "toolResult", "toolCallId": "c1", "content": [{"type": "text", "text": "found"}]},
]


def lines(*messages):
    return "".join(json.dumps(each) + "\n" for each in messages).encode()


@pytest.fixture
def filled(cli):
    """Return the ids of one turn in the session `telegram:42`."""
    return cli("transcripts", "append", "telegram:42", "--json", stdin=lines(*TURN)).json


def test_append_keeps_a_turn(cli, filled) -> None:
    """`append` makes the session and prints the ids; `show` gives the messages back."""
    shown = cli("transcripts", "show", "telegram:42", "--json").json

    assert list(shown) == ["messages"]
    assert [each["id"] for each in shown["messages"]] == filled["ids"]
    assert [each["role"] for each in shown["messages"]] == ["user", "assistant", "toolResult"]
    assert shown["messages"][1]["content"] == TURN[1]["content"]
    assert shown["messages"][2]["toolCallId"] == "c1"
    listed = cli("sessions", "list", "--json").json
    assert listed["sessions"][0]["sessionId"] == filled["sessionId"]


def test_append_takes_all_or_nothing(cli) -> None:
    """A line that is no message refuses the whole turn, names the line, and makes no session."""
    broken = lines(TURN[0]) + b"\n{broken\n"

    got = cli("transcripts", "append", "k", "--json", stdin=broken)
    other = cli("transcripts", "append", "k", stdin=lines(TURN[0], {"role": "user"}))

    assert (got.code, got.json["error"]["type"]) == (1, "invalid")
    assert "line 3" in got.json["error"]["message"]
    assert (other.code, "message 2 of 2" in other.err) == (1, True)
    assert cli("transcripts", "stats", "--json").json["messages"] == 0


def test_append_can_be_repeated_and_guarded(cli, filled) -> None:
    """A named turn is kept once; another leaf than expected is a conflict; strict is strict."""
    settings = ("--turn", "t1", "--expect-leaf", filled["ids"][-1], "--json")
    first = cli("transcripts", "append", "telegram:42", *settings, stdin=lines(TURN[0]))
    again = cli("transcripts", "append", "telegram:42", *settings, stdin=lines(TURN[0]))
    stale = cli("transcripts", "append", "telegram:42", *settings[2:], stdin=lines(TURN[0]))
    orphan = cli("transcripts", "append", "telegram:42", "--strict", stdin=lines(TURN[2]))

    assert first.json == again.json
    assert stale.json["error"]["type"] == "conflict"
    assert (orphan.code, "c1" in orphan.err) == (1, True)


def test_an_empty_turn_is_told(cli) -> None:
    """Nothing on stdin is nothing to append, in a sentence."""
    got = cli("transcripts", "append", "k", stdin=b"\n\n")

    assert (got.code, got.out) == (0, "nothing to append\n")


def test_show_reads_as_a_conversation(cli, filled) -> None:
    """People see who said what, calls of tools in brief, and no control characters."""
    cli(
        "transcripts", "append", "telegram:42", stdin=lines({"role": "user", "content": "a\x1b[2J"})
    )
    cli(
        "transcripts",
        "append",
        "telegram:42",
        stdin=lines({"type": "model_change", "modelId": "m"}),
    )

    got = cli("transcripts", "show", "telegram:42")

    assert "Where is the red lobster?" in got.out
    assert "[calls look {'where': 'sea'}]" in got.out
    assert "modelId: m" in got.out
    assert "\x1b[2J" not in got.out


def test_show_gives_pages(cli, filled) -> None:
    """`--limit` gives the newest page, `--before` the one before, `--after` the one behind."""
    ids = filled["ids"]

    def page(*options):
        shown = cli("transcripts", "show", "telegram:42", "--json", *options).json
        return [each["id"] for each in shown["messages"]]

    assert page("--limit", 1) == ids[2:]
    assert page("--limit", 1, "--before", ids[2]) == ids[1:2]
    assert page("--after", ids[0]) == ids[1:]
    assert cli("transcripts", "show", "telegram:42", "--before", "zz").code == 3


def test_on_a_terminal_long_ones_are_cut(cli, program, terminal) -> None:
    """A terminal shows the newest 50 in colour, cuts long texts, and says how to see the rest."""
    long = {"role": "assistant", "content": "\n".join(f"row {n}" for n in range(40))}
    turn = [{"role": "user", "content": f"message {n}"} for n in range(60)]
    program("transcripts", "append", "k", stdin=lines(*turn, long))

    shown = terminal("transcripts", "show", "k").out
    full = terminal("transcripts", "show", "k", "--full", "--limit", "1").out

    assert "message 10\r" not in shown
    assert "message 11\r" in shown
    assert "28 more lines; --full shows all" in shown
    assert "of 61; more: --before" in shown
    assert "\x1b[" in shown
    assert "row 39" in full


def test_search_prints_the_best_first(cli, filled) -> None:
    """`search` prints results with their session and snippet; filters narrow it."""
    got = cli("transcripts", "search", "lobsters", "--json").json
    told = cli("transcripts", "search", "lobsters", "--key", "telegram:42")

    assert [each["id"] for each in got["results"]] == filled["ids"][:1]
    assert got["results"][0]["sessionId"] == filled["sessionId"]
    assert got["results"][0]["snippet"] == TURN[0]["content"]
    assert TURN[0]["content"] in told.out
    assert cli("transcripts", "search", "lobster", "--role", "assistant").out == "nothing found\n"
    assert cli("transcripts", "search", "lobster", "--key", "nobody").code == 3


def test_export_and_import_are_inverse(cli, filled, tmp_path) -> None:
    """What is exported is imported once, into another session, and a second time not at all."""
    file = tmp_path / "out.jsonl"
    out = cli("transcripts", "export", "telegram:42").out
    told = cli("transcripts", "export", "telegram:42", file, "--json").json
    first = cli("transcripts", "import", "other", file, "--json").json
    again = cli("transcripts", "import", "other", "-", "--json", stdin=file.read_bytes()).json
    whole = cli("transcripts", "export", "other", "--json").json

    assert file.read_text() == out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert told["exported"] == first["added"] == again["kept"] == 3
    assert (again["added"], first["problems"]) == (0, [])
    assert whole["entries"][1:] == [json.loads(line) for line in out.splitlines()[1:]]


def test_import_tells_broken_lines(cli, tmp_path) -> None:
    """Broken lines are told by number; a file of nothing else is a failure."""
    file = tmp_path / "in.jsonl"
    file.write_text('{"type":"custom"}\nbroken\n')
    good = cli("transcripts", "import", "k", file)
    file.write_text("broken\n" * 15)
    bad = cli("transcripts", "import", "k", file)

    assert (good.code, "line 2: is not JSON" in good.out) == (0, True)
    assert (bad.code, "and 5 more" in bad.out) == (1, True)
    assert cli("transcripts", "import", "new", tmp_path / "missing").code == 1
    assert cli("sessions", "show", "new").code == 3


def test_export_can_mask_secrets(cli) -> None:
    """`--redact` masks what looks like a secret, in the copy only."""
    secret = "ghp_" + "a1B2" * 9
    cli("transcripts", "append", "k", stdin=lines({"role": "user", "content": f"use {secret}"}))

    assert secret not in cli("transcripts", "export", "k", "--redact").out
    assert secret in cli("transcripts", "export", "k").out


def test_delete_and_prune_take_sessions_away(cli, filled) -> None:
    """`delete` takes the messages of a session, `prune` those of old ones."""
    cli("transcripts", "append", "second", stdin=lines(TURN[0]))

    assert cli("transcripts", "delete", "telegram:42").code == 0
    assert cli("transcripts", "delete", "telegram:42").code == 3
    assert cli("transcripts", "show", "telegram:42").out == "no messages yet\n"
    assert cli("transcripts", "prune", "--older-than", "30d").out == "nothing to delete\n"
    assert len(cli("transcripts", "prune", "--most-sessions", "0", "--json").json["deleted"]) == 1
    assert cli("transcripts", "stats", "--json").json["sessions"] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show",), 2),
        (("show", "k", "--session", "s"), 2),
        (("show", "unknown"), 3),
        (("show", "--session", "../x"), 2),
        (("show", "--session", "unknown"), 0),
        (("export", "--session", "unknown"), 3),
        (("export",), 2),
        (("import", "k"), 2),
        (("prune",), 2),
        (("search",), 2),
        (("append",), 2),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_have_their_exit_codes(cli, arguments, code) -> None:
    """Usage is 2, what is not there 3, and reading makes nothing."""
    assert cli("transcripts", *arguments).code == code


def test_half_a_surrogate_pair_can_be_shown(cli, tmp_path) -> None:
    """An imported message with text that UTF-8 cannot hold is shown, searched and exported."""
    odd = '{"type":"message","message":{"role":"user","content":"lobster \\ud800 here"}}\n'
    (tmp_path / "odd.jsonl").write_text(odd)
    cli("transcripts", "import", "k", str(tmp_path / "odd.jsonl"))

    for verb in (("show", "k"), ("show", "k", "--json"), ("search", "lobster"), ("export", "k")):
        assert cli("transcripts", *verb).code == 0
    assert "\\ud800" in cli("transcripts", "export", "k").out
    assert cli("transcripts", "search", "lobster", "--json").json["results"]


@pytest.mark.parametrize(("size", "code"), [("2gb", 0), ("2000", 0), ("lots", 2)])
def test_a_size_has_a_unit(cli, size, code) -> None:
    """`prune --most-bytes` takes sizes with units, as `sessions prune` does."""
    assert cli("transcripts", "prune", "--most-bytes", size).code == code
