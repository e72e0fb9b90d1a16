from __future__ import annotations

import json

import pytest

import clawstate


@pytest.fixture
def three(cli):
    """Make three sessions, c the newest."""
    for key in ("a", "b", "c"):
        assert cli("sessions", "create", key).code == 0
    return cli


def keys(ran):
    return [each["key"] for each in ran.json["sessions"]]


def test_a_session_is_made_shown_and_listed(cli) -> None:
    """What `create` prints is what `show` prints and what `list` lists in short."""
    made = cli("sessions", "create", "telegram:42", "--json").json

    assert cli("sessions", "create", "telegram:42", "--json").json == made
    assert cli("sessions", "show", "telegram:42", "--json").json == made
    assert cli("sessions", "list", "--json").json == {
        "count": 1,
        "sessions": [
            {
                "key": "telegram:42",
                "sessionId": made["sessionId"],
                "sessionFile": "profile/telegram%3a42.json",
                "updatedAt": made["updatedAt"],
                "updatedAtMs": made["updatedAt"],
            }
        ],
    }


def test_the_list_is_newest_first_and_can_be_cut(three) -> None:
    """A list has the session updated last on top, and no more than were asked for."""
    assert keys(three("sessions", "list", "--json")) == ["c", "b", "a"]
    assert keys(three("sessions", "list", "--json", "--limit", "2")) == ["c", "b"]
    assert keys(three("sessions", "list", "--json", "--active", "5")) == ["c", "b", "a"]


def test_a_list_is_followed_by_its_cursors(three) -> None:
    """A page tells programs and people of the next one, and the last tells of none."""
    first = three("sessions", "list", "--json", "--limit", "2")
    told = three("sessions", "list", "--limit", "2").out.splitlines()[-1]
    last = three("sessions", "list", "--json", "--limit", "2", "--after", first.json["next"])

    assert told == f"more: --after {first.json['next']}"
    assert (keys(first), keys(last)) == (["c", "b"], ["a"])
    assert "next" not in last.json
    assert three("sessions", "list", "--after", "nonsense").code == 2

    for key in "abc":
        three("sessions", "delete", key)
    gone = three("sessions", "list", "--archived", "--json", "--limit", "2").json
    rest = three("sessions", "list", "--archived", "--json", "--after", gone["next"]).json
    names = [each["key"] for each in (*gone["archived"], *rest["archived"])]
    assert (sorted(names), rest["count"], "next" in rest) == (["a", "b", "c"], 1, False)


def test_an_empty_list_is_a_sentence(cli) -> None:
    """Where there is nothing, a person reads that, and a program gets an empty list."""
    assert cli("sessions", "list").out == "no sessions yet\n"
    assert cli("sessions", "list", "--active", "5").out == "no session was active in that time\n"
    assert cli("sessions", "list", "--archived").out == "nothing is archived\n"
    assert cli("sessions", "list", "--json").json == {"count": 0, "sessions": []}


@pytest.mark.parametrize("verb", ["show", "delete", "reset", "export", "restore"])
def test_what_is_not_there_is_exit_code_3(cli, verb) -> None:
    """A session that is unknown is told with its key and what to do."""
    ran = cli("sessions", verb, "nope", "--json")

    assert ran.code == 3
    assert ran.json["error"]["type"] == "not_found"
    assert "'nope'" in ran.json["error"]["message"]
    assert "clawstate sessions list" in ran.json["error"]["message"]


def test_a_deleted_session_can_be_restored(three) -> None:
    """`delete` archives, `list --archived` shows it, `restore` brings it back."""
    before = three("sessions", "show", "b", "--json").json

    assert three("sessions", "delete", "b", "--json").json == {"deleted": "b"}
    assert keys(three("sessions", "list", "--json")) == ["c", "a"]
    archived = three("sessions", "list", "--archived", "--json").json
    assert [(each["key"], each["reason"]) for each in archived["archived"]] == [("b", "deleted")]
    back = three("sessions", "restore", archived["archived"][0]["archive"], "--json").json

    moved = {"updatedAt": 0, "updatedAtMs": 0}
    assert {**back, **moved} == {**before, **moved}
    assert keys(three("sessions", "list", "--json")) == ["b", "c", "a"]


def test_a_reset_gives_another_id(three) -> None:
    """`reset` begins anew under the same key."""
    before = three("sessions", "show", "a", "--json").json

    after = three("sessions", "reset", "a", "--json").json

    assert after["sessionId"] != before["sessionId"]
    assert three("sessions", "restore", "a", "--json").json["sessionId"] == before["sessionId"]


def test_pruning_tells_what_goes(three) -> None:
    """A dry run names what would go, the real one what went."""
    told = three("sessions", "prune", "--max-entries", "1", "--dry-run")
    assert told.out.startswith("would archive a  (number)\nwould archive b  (number)\n")
    assert "2 sessions would go, 1 stay" in told.out

    done = three("sessions", "prune", "--max-entries", "1", "--json").json

    assert (done["removed"], done["byCount"], done["kept"], done["dryRun"]) == (
        ["a", "b"],
        2,
        1,
        False,
    )
    assert keys(three("sessions", "list", "--json")) == ["c"]


def test_without_limits_the_settings_count(three) -> None:
    """`prune` alone only tells in the mode `warn`; `--enforce` does it."""
    three("config", "set", "session.maintenance.maxEntries", "2")

    told = three("sessions", "prune")
    assert "use --enforce" in told.out
    assert len(keys(three("sessions", "list", "--json"))) == 3

    assert "1 session went" in three("sessions", "prune", "--enforce").out
    assert keys(three("sessions", "list", "--json")) == ["c", "b"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--older-than", "soon"),
        ("--max-entries", "-1"),
        ("--max-bytes", "3x"),
        ("--max-bytes", "-3"),
    ],
)
def test_a_limit_that_makes_no_sense_is_a_mistake(cli, arguments) -> None:
    """A limit that is no time, number or size is exit code 2."""
    assert cli("sessions", "prune", *arguments).code == 2


@pytest.mark.parametrize(("size", "kept"), [("1gb", 3), ("1", 0)])
def test_sizes_have_units(three, size, kept) -> None:
    """A budget is written as people write sizes."""
    assert three("sessions", "prune", "--max-bytes", size, "--json").json["kept"] == kept


def test_an_export_is_the_entry_until_something_was_said(three) -> None:
    """A session without messages exports its entry, as one line."""
    shown = three("sessions", "show", "a", "--json").json
    entry = {name: each for name, each in shown.items() if name not in {"key", "updatedAtMs"}}

    assert json.loads(three("sessions", "export", "a").out) == entry
    assert three("sessions", "export", "a", "--json").json == {"session": entry, "transcript": []}


def test_an_export_has_the_transcript(three, tmp_path) -> None:
    """A session with messages exports them as JSON Lines."""
    with clawstate.open(tmp_path / "state") as state:
        session_id = state.sessions.require("a").session_id
        state.transcripts.append(session_id, [{"role": "user", "content": "hello lobster"}])

    lines = three("sessions", "export", "a").out.splitlines()
    both = three("sessions", "export", "a", "--json").json

    assert [json.loads(line) for line in lines] == both["transcript"]
    assert any("hello lobster" in line for line in lines)
    assert both["session"]["sessionId"] == session_id


def test_members_are_shown_in_one_line_each(cli, tmp_path) -> None:
    """A person sees each member cut to a line, and nothing that would steer a terminal."""
    with clawstate.open(tmp_path / "state") as state:
        state.sessions.resolve("k")
        state.sessions.update("k", {"label": "Ada\n\x1b[31m", "long": ["x" * 500]})

    out = cli("sessions", "show", "k").out

    assert "Ada" in out
    assert "(504 characters)" in out
    assert len(out.splitlines()) == 6


def test_a_session_is_one_line(cli) -> None:
    """A key with line breaks or blanks around it is shown in one line, escaped and quoted."""
    cli("sessions", "create", "a\nb")
    cli("sessions", "create", " c")

    lines = cli("sessions", "list").out.splitlines()

    assert len(lines) == 2
    assert "a\\nb" in lines[1]
    assert "' c'" in lines[0]


@pytest.mark.parametrize("active", ["nan", "inf", "-1", "soon"])
def test_a_time_that_makes_no_sense_is_a_mistake(cli, active) -> None:
    """`--active` is a number of minutes, or a length of time."""
    assert cli("sessions", "list", "--active", active).code == 2
    assert cli("sessions", "list", "--active", "2h").code == 0


def test_a_terminal_is_not_steered_by_a_key(terminal, tmp_path) -> None:
    """Control characters in a key are not sent to a terminal."""
    with clawstate.open(tmp_path / "state") as state:
        state.sessions.resolve("evil\x1b]0;title\x07")

    assert "\x1b]0" not in terminal("sessions", "list").out


def test_each_agent_has_sessions_of_its_own_where_the_index_says_so(cli) -> None:
    """With {agentId} in session.store, --agent chooses whose sessions are meant, else all are."""
    cli("config", "set", "session.store", "agents/{agentId}/sessions/sessions.json")
    cli("--agent", "ada", "sessions", "create", "k")

    assert keys(cli("--agent", "ada", "sessions", "list", "--json")) == ["agent:ada:k"]
    assert keys(cli("--agent", "bob", "sessions", "list", "--json")) == []
    assert keys(cli("sessions", "list", "--json")) == ["agent:ada:k"]


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_engines_answer_alike(cli, store) -> None:
    """Every verb works on every engine."""
    run = lambda *words: cli("--store", store, "sessions", *words, "--json")  # noqa: E731
    made = run("create", "k").json

    assert run("show", "k").json == made
    assert run("delete", "k").code == run("restore", "k").code == 0
    assert run("reset", "k").json["sessionId"] != made["sessionId"]
    assert run("prune", "--max-entries", "0").json["removed"] == ["k"]
    assert run("list").json == {"count": 0, "sessions": []}
