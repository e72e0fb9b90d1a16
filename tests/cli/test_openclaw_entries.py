"""What the commands show of an OpenClaw of the SQLite era, and refuse to change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openclaw.openclaw_databases import OpenClawDatabases

SECRET = "sk-made-up-secret-of-openclaw"
ID = "11111111-1111-4111-8111-111111111111"
WORK = "22222222-2222-4222-8222-222222222222"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}


@pytest.fixture
def database(tmp_path, clock) -> OpenClawDatabases:
    made = OpenClawDatabases(tmp_path / "state", clock())
    made.session("main", "agent:main:main", ID, label="Ada")
    made.session("work", "agent:work:main", WORK)
    profiles = {"openai:a": KEY, "github:b": {"type": "token", "provider": "github"}}
    made.credentials({"profiles": profiles})
    made.credentials({"profiles": {"openai:w": {**KEY, "keyRef": {"source": "env"}}}}, "work")
    return made


def digests(root: Path) -> dict[str, bytes]:
    names = ("openclaw.sqlite", "openclaw-agent.sqlite")
    return {str(each): each.read_bytes() for each in root.rglob("*") if each.name in names}


@pytest.mark.usefixtures("database")
def test_lists_name_what_is_openclaws(cli, tmp_path) -> None:
    """`sessions list` and `auth list` show both, and say which are OpenClaw's."""
    before = digests(tmp_path / "state")
    cli("sessions", "create", "ours")
    cli("auth", "add", "openai:ours", stdin=b"sk-made-up-secret-of-ours")

    sessions = cli("sessions", "list", "--json").json["sessions"]
    profiles = cli("auth", "list", "--json").json["profiles"]

    assert {each["key"]: each.get("owner") for each in sessions} == {
        "ours": None,
        "agent:main:main": "openclaw",
        "agent:work:main": "openclaw",
    }
    assert {each["id"]: each.get("owner") for each in profiles} == {
        "openai:ours": None,
        "openai:a": "openclaw",
        "github:b": "openclaw",
    }
    assert "OpenClaw's" in cli("sessions", "list").out
    assert SECRET not in cli("auth", "list").out
    assert digests(tmp_path / "state") == before


@pytest.mark.usefixtures("database")
def test_what_is_openclaws_is_shown_and_not_changed(cli) -> None:
    """`show` prints an entry of OpenClaw; verbs that change one refuse, and say whose it is."""
    assert cli("sessions", "show", "agent:main:main", "--json").json["owner"] == "openclaw"
    assert cli("auth", "show", "openai:a", "--json").json["owner"] == "openclaw"

    for verb in (
        ("sessions", "delete", "agent:main:main"),
        ("sessions", "reset", "agent:main:main"),
        ("auth", "remove", "openai:a"),
    ):
        refused = cli(*verb)
        assert (refused.code, "OpenClaw that lives here" in refused.err) == (1, True), verb


@pytest.mark.usefixtures("database")
def test_what_was_taken_over_is_listed_once(cli, tmp_path) -> None:
    """A session or credential that is the same here and at OpenClaw stands in the list once."""
    taken = cli("import", "openclaw", tmp_path / "state", "--only", "auth", "--only", "sessions")

    sessions = cli("sessions", "list", "--json").json["sessions"]

    assert taken.code in {0, 1}
    assert sorted(each["key"] for each in sessions) == ["agent:main:main", "agent:work:main"]
    assert json.loads(cli("auth", "list", "--json").out)["problems"] == []


@pytest.mark.usefixtures("database")
def test_credentials_of_ours_are_counted_beside_openclaw(cli) -> None:
    """`store status` and `status` count credentials of ours where the files are OpenClaw's."""
    cli("auth", "add", "openai:ours", stdin=b"sk-made-up-secret-of-ours")

    assert cli("store", "status", "--json").json["records"]["credentials"] == 1
    assert "main: 1" in cli("status").out


@pytest.mark.usefixtures("database")
def test_an_import_from_the_state_itself_says_so(cli, tmp_path) -> None:
    """The first line names the directory as the state's own, and promises not to change it."""
    before = digests(tmp_path / "state")

    done = cli("import", "openclaw", tmp_path / "state", "--only", "auth")
    told = cli("import", "openclaw", tmp_path / "state", "--only", "auth", "--json")

    assert "directory of this state itself" in done.out.splitlines()[0]
    assert "nothing of OpenClaw's is changed" in done.out.splitlines()[0]
    assert told.json["sourceIsState"] is True
    assert "ElsewhereWarning" not in done.err
    assert digests(tmp_path / "state") == before


def test_a_transcript_that_was_not_taken_over_is_named(cli, tmp_path, clock) -> None:
    """`show` and `search` say that OpenClaw has messages, and the command that takes them over."""
    OpenClawDatabases(tmp_path / "state", clock()).everything()
    command = f"clawstate import openclaw {tmp_path / 'state'}"

    shown = cli("transcripts", "show", "agent:main:main")
    searched = cli("transcripts", "search", "crab")

    assert (shown.code, command in shown.out) == (0, True)
    assert (searched.code, command in searched.out) == (0, True)
    for asked in (("show", "agent:main:main"), ("search", "crab")):
        assert cli("transcripts", *asked, "--json").json["notTakenOver"]["command"] == command
    cli("import", "openclaw", tmp_path / "state")
    assert "notTakenOver" not in cli("transcripts", "show", "agent:main:main", "--json").json
