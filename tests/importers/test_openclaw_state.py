from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from openclaw_fixtures import contents, counts, exported, failures, files, moved
from openclaw_home import (
    CONFIG,
    ONE,
    PHONE_TOKEN,
    SECRETS,
    THREE,
    TWO,
    OpenClawHome,
    fingerprint,
)

import clawstate
from clawstate.errors import InvalidError, NotFoundError
from clawstate.importers.openclaw import import_openclaw

GOLDEN = {
    "config": (3, 2, 0, 0, 1, 0),
    "auth": (4, 4, 0, 0, 0, 0),
    "sessions": (4, 4, 0, 0, 0, 0),
    "transcripts": (7, 6, 0, 0, 1, 0),
    "channels": (5, 3, 0, 0, 2, 0),
    "identity": (1, 1, 0, 0, 0, 0),
    "device-auth": (1, 1, 0, 0, 0, 0),
    "devices": (1, 1, 0, 0, 0, 0),
    "memory": (4, 2, 0, 0, 2, 0),
    "workspace": (2, 2, 0, 0, 0, 0),
    "dedupe": (4, 2, 0, 0, 2, 0),
    "left-alone": (10, 0, 0, 0, 10, 0),
}
AGAIN = {
    kind: (found, 0, 0, new, skipped, failed)
    for kind, (found, new, _, _, skipped, failed) in GOLDEN.items()
}


@pytest.fixture
def home(tmp_path: Path, clock) -> OpenClawHome:
    return OpenClawHome(tmp_path / "openclaw", clock()).everything()


def test_every_kind_of_file_is_counted_and_taken(home, state) -> None:
    """Everything that is found is counted once, by what became of it."""
    report = import_openclaw(state, home.root)

    assert counts(report) == GOLDEN
    for count in report.counts.values():
        parts = count.new + count.changed + count.unchanged + count.skipped + count.failed
        assert count.found == parts
    assert not report.has_failed()


def test_a_second_import_changes_nothing(home, state) -> None:
    """What was taken over is found unchanged, and nothing is written."""
    import_openclaw(state, home.root)
    before = contents(state)

    report = import_openclaw(state, home.root)

    assert counts(report) == AGAIN
    assert contents(state) == before


def test_a_dry_run_counts_alike_and_writes_nothing(home, state) -> None:
    """A dry run returns the counts of the import, before it and after, and writes nothing."""
    report = import_openclaw(state, home.root, dry_run=True)

    assert counts(report) == GOLDEN
    assert not state.paths.root.exists()
    import_openclaw(state, home.root)
    before = files(state.paths.root)
    assert counts(import_openclaw(state, home.root, dry_run=True)) == AGAIN
    assert files(state.paths.root) == before


def test_the_source_is_only_read(home, state) -> None:
    """No file or directory of the source changes: neither content nor mode nor any time."""
    before = fingerprint(home.root)

    import_openclaw(state, home.root, dry_run=True)
    import_openclaw(state, home.root, archives=True, replace=True)
    import_openclaw(state, home.root)

    assert fingerprint(home.root) == before


def test_locks_of_the_source_are_not_taken(home, state) -> None:
    """An import passes by the locks of a running OpenClaw, and leaves them."""
    locks = [
        home.file(f"{path}.lock", '{"pid": 1, "createdAt": "2026-11-22T19:14:55.067Z"}')
        for path in ("agents/main/sessions/sessions.json", "agents/main/agent/auth-profiles.json")
    ]

    report = import_openclaw(state, home.root)

    assert not report.has_failed()
    assert all(lock.exists() for lock in locks)


def test_the_configuration_is_copied_byte_for_byte(home, state) -> None:
    """The text comes with its comments, and with the files that it includes; `.env` does not."""
    import_openclaw(state, home.root, kinds=["config"])

    assert (state.paths.root / "openclaw.json").read_bytes() == CONFIG.encode()
    included = state.paths.root / "models.json5"
    assert included.read_bytes() == (home.root / "models.json5").read_bytes()
    assert not (state.paths.root / ".env").exists()
    assert state.config.get("gateway.port") == 18790


def test_credentials_come_whole(home, state) -> None:
    """Profiles, unknown members, order, what worked last and usage are those of the source."""
    import_openclaw(state, home.root)

    main = state.auth("main")
    source = json.loads((home.root / "agents/main/agent/auth-profiles.json").read_text())
    kept = main.document()
    assert {name: kept["profiles"][name] for name in source["profiles"]} == source["profiles"]
    assert kept["order"] == source["order"]
    assert kept["lastGood"] == source["lastGood"]
    assert kept["usageStats"] == source["usageStats"]
    assert main.get("qwen:default").access == "secret-of-legacy"
    assert state.auth("work").get("anthropic:default").token == "secret-token-of-anthropic"


def test_files_with_credentials_are_private(home, state) -> None:
    """Whatever holds a secret is 0600, also where the source was readable by all."""
    import_openclaw(state, home.root)

    for path in state.paths.root.rglob("*"):
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in SECRETS):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_sessions_keep_keys_ids_times_and_members(home, state) -> None:
    """An entry is what it was; only its file is ours. Keys of old releases are spelled anew."""
    import_openclaw(state, home.root)

    entry = state.sessions.require("agent:main:main")
    assert (entry.session_id, entry.updated_at) == (ONE, home.now - 100)
    assert entry.fields["custom"] == {"kept": [1, 2]}
    assert entry.session_file.startswith("profile/")
    assert state.sessions.require("agent:main:+1555").session_id == "old-1"
    assert state.sessions.require("agent:work:main").session_id == THREE


def test_transcripts_are_verbatim(home, state) -> None:
    """Each line of a transcript comes out as it went in, header first."""
    import_openclaw(state, home.root)

    for session in (ONE, TWO):
        path = home.root / f"agents/main/sessions/{session}.jsonl"
        assert exported(state, session) == path.read_text().splitlines()
    [topic] = {each.session_id for each in state.transcripts.sessions()} - {ONE, TWO}
    assert topic.startswith(f"{THREE}-topic-")


def test_archives_are_taken_when_asked_for(home, state) -> None:
    """With archives, the transcript of a deleted session comes under its whole name."""
    import_openclaw(state, home.root)
    assert not [each for each in state.transcripts.sessions() if "gone" in each.session_id]

    report = import_openclaw(state, home.root, archives=True)

    assert report.counts["transcripts"].new == 1
    [message] = state.transcripts.messages("gone.deleted.2026-02-01T10-00-00.000Z")
    assert message.text == "old"


def test_a_transcript_goes_to_the_session_that_names_it(home, state) -> None:
    """A topic's transcript belongs to the session whose entry has it as its file."""
    name = f"{THREE}-topic-7%2F1.jsonl"
    entry = {"sessionId": THREE, "updatedAt": home.ms(1), "sessionFile": f"/elsewhere/{name}"}
    home.json("agents/work/sessions/sessions.json", {"agent:work:main": entry})

    import_openclaw(state, home.root)

    [message] = state.transcripts.messages(THREE)
    assert message.text == "about seven"


def test_paired_devices_stay_let_in(home, state) -> None:
    """A device goes on with the token that it has, of which only a digest is kept here."""
    import_openclaw(state, home.root)

    device = state.devices.verify("phone", PHONE_TOKEN, role="node")
    assert device is not None
    assert (device.name, device.created_at) == ("Ada's phone", home.now - 8000)
    assert PHONE_TOKEN not in (state.paths.root / "state/devices.json").read_text()
    assert state.devices.verify("phone", f"{PHONE_TOKEN}x", role="node") is None


def test_this_device_is_who_it_was(home, state) -> None:
    """The key pair is that of the source, and so are the tokens that it holds."""
    import_openclaw(state, home.root)

    document = json.loads((home.root / "identity/device.json").read_text())
    assert state.identity.device_id == document["deviceId"]
    token = state.device_auth.get("operator")
    assert (str(token), token.scopes) == ("secret-of-operator", ("operator.read",))
    assert token.updated_at == home.now - 900


def test_channels_keep_who_may_write(home, state) -> None:
    """Allow lists and live requests lie where OpenClaw finds them; `*` and the expired do not."""
    import_openclaw(state, home.root)

    folder = state.paths.credentials_dir
    allowed = json.loads((folder / "telegram-work-allowFrom.json").read_text())
    assert allowed == {"version": 1, "allowFrom": ["4242"]}
    assert json.loads((folder / "discord-allowFrom.json").read_text())["allowFrom"] == ["1"]
    [request] = json.loads((folder / "telegram-pairing.json").read_text())["requests"]
    source = json.loads((home.root / "credentials/telegram-pairing.json").read_text())
    assert request == source["requests"][0]


def test_memory_is_found_by_its_agent(home, state) -> None:
    """Files of the workspace and chunks without one are found, each in its agent's namespace."""
    import_openclaw(state, home.root)

    [crab] = state.memory.search("who likes crab", k=1)
    assert crab.record.source == str(home.root / "workspace/MEMORY.md")
    [boiler] = state.memory.search("boiler serviced", k=1, namespace="work")
    assert boiler.record.source == "memory/2026-02-01.md"
    assert boiler.record.metadata == {"start_line": 1, "end_line": 3}


@pytest.mark.parametrize("cause", ["emptied", "notes are there", "of sessions"])
def test_chunks_go_when_an_index_holds_none_to_take_any_more(home, state, cause) -> None:
    """What an index gave goes also with its last chunk, once, and a dry run takes nothing away."""
    import_openclaw(state, home.root)
    made = state.memory.add("by hand", namespace="work")
    if cause == "notes are there":
        home.file("workspace-work/memory/2026-02-01.md", "The wolf is new.\n")
    else:
        change = {
            "emptied": "DELETE FROM chunks",
            "of sessions": "UPDATE chunks SET source = 'sessions'",
        }
        with closing(sqlite3.connect(home.root / "memory/work.sqlite")) as database, database:
            database.execute(change[cause])

    import_openclaw(state, home.root, dry_run=True)
    assert sum("boiler" in each.text for each in state.memory.records(namespace="work")) == 1
    import_openclaw(state, home.root)

    kept = {each.text.strip() for each in state.memory.records(namespace="work")}
    wanted = {"The wolf is new."} if cause == "notes are there" else set()
    assert kept == {"by hand", *wanted}
    assert state.memory.get(made) is not None
    assert moved(import_openclaw(state, home.root)) == 0


def test_marks_keep_their_moments(home, state, clock) -> None:
    """What was handled counts as handled, until its own mark expires."""
    import_openclaw(state, home.root)
    assert not state.dedupe.check_and_record("m1", "feishu:default")
    assert state.dedupe.check_and_record("old", "feishu:default")

    clock.advance(86_400 - 45)

    assert not state.dedupe.seen("m1", "feishu:default")
    assert state.dedupe.seen("m2", "feishu:default")


@pytest.mark.parametrize("kind", [kind for kind in GOLDEN if kind != "left-alone"])
def test_one_kind_can_be_taken_alone(home, state, kind) -> None:
    """With a kind chosen, that one is counted as ever, and no other is touched."""
    report = import_openclaw(state, home.root, kinds=[kind])

    assert counts(report) == {kind: GOLDEN[kind]}


def test_one_agent_can_be_taken_alone(home, state) -> None:
    """With an agent chosen, what belongs to another, or to none, stays out."""
    report = import_openclaw(state, home.root, agents=["Work"])

    assert set(counts(report)) == {"auth", "sessions", "transcripts", "memory"}
    assert report.counts["auth"].found == 1
    assert [each.session_key for each in state.sessions.entries()] == ["agent:work:main"]
    assert {each.namespace for each in state.memory.records(namespace=None)} == {"work"}


def test_what_older_releases_kept_belongs_to_the_default_agent(home, state) -> None:
    """Sessions, transcripts and credentials from before agents are those of the default one."""
    home.file("openclaw.json", "{agents: {list: [{id: 'main'}, {id: 'Ada', default: true}]}}")
    home.json("agent/auth.json", {"old": {"type": "api_key", "key": "k"}})
    home.transcript("sessions/old-1.jsonl", "old-1", ["from before"])

    import_openclaw(state, home.root)

    assert state.auth("ada").secret("old:default") == "k"
    assert state.sessions.require("agent:ada:+1555").session_id == "old-1"
    assert [each.text for each in state.transcripts.messages("old-1")] == ["from before"]


def test_credentials_in_a_folder_of_their_own_are_found(home, state, tmp_path) -> None:
    """An `agentDir` in the source is read; one outside of it is named, and not read."""
    home.json(
        "own/auth-profiles.json",
        {"profiles": {"a:b": {"type": "api_key", "provider": "a", "key": "k"}}},
    )
    text = (
        f"{{agents: {{list: [{{id: 'x', agentDir: 'own'}}, {{id: 'y', agentDir: '{tmp_path}'}}]}}}}"
    )
    home.file("openclaw.json", text)

    report = import_openclaw(state, home.root)

    assert state.auth("x").secret("a:b") == "k"
    assert str(tmp_path) in {each.path for each in report.remarks if each.severity == "note"}


def test_a_database_takes_the_same(home, tmp_path, clock) -> None:
    """Where SQLite keeps the records, the counts and the contents are the same."""
    with clawstate.open(tmp_path / "sqlite", store="sqlite", clock=clock) as state:
        assert counts(import_openclaw(state, home.root)) == GOLDEN
        assert counts(import_openclaw(state, home.root)) == AGAIN
        found = contents(state)
    with clawstate.open(tmp_path / "files", clock=clock) as state:
        import_openclaw(state, home.root)
        expected = contents(state)
    assert {**found, "sessions": list(found["sessions"])} == {
        **expected,
        "sessions": list(expected["sessions"]),
    }


def test_the_directory_itself_is_no_other_source(home, clock) -> None:
    """What lies where this state keeps it is here already; the rest is taken, and nothing moved."""
    home.json("sessions/sessions.json", {})
    before = files(home.root)
    with clawstate.open(home.root, clock=clock) as state:
        first = counts(import_openclaw(state, home.root))
        second = import_openclaw(state, home.root)

    for kind in ("config", "auth", "channels", "identity", "device-auth"):
        assert first[kind][1:3] == (0, 0), kind
        assert first[kind][3] > 0, kind
    assert first["transcripts"][1] == 6
    assert moved(second) == 0
    after = files(home.root)
    changed = {path for path in before if after.get(path) != before[path]}
    assert not changed


def test_a_database_that_is_none_is_a_failure(home, state) -> None:
    """A database of OpenClaw that cannot be read is told, and all else is taken."""
    home.file("state/openclaw.sqlite", b"SQLite format 3\0")
    home.file("agents/main/agent/openclaw-agent.sqlite", b"no database")

    report = import_openclaw(state, home.root)

    assert sorted(failures(report)) == [
        ("left-alone", "agents/main/agent/openclaw-agent.sqlite"),
        ("left-alone", "state/openclaw.sqlite"),
    ]
    assert {kind: each for kind, each in counts(report).items() if kind != "left-alone"} == {
        kind: each for kind, each in GOLDEN.items() if kind != "left-alone"
    }


def test_no_remark_holds_a_secret(home, state) -> None:
    """Neither the report nor its repr shows what must not be shown."""
    home.file("agents/bad/agent/auth-profiles.json", '{"profiles": {"a:b": "sk-secret-of-openai"}}')
    home.file("identity/device-auth.json", '{"version": 1, "tokens": ["secret-of-operator"]}')

    report = import_openclaw(state, home.root)

    assert report.has_failed()
    assert not [secret for secret in SECRETS if secret in repr(report)]


def test_an_empty_directory_holds_nothing(tmp_path, state) -> None:
    """A directory without anything of OpenClaw gives an empty report."""
    (tmp_path / "empty").mkdir()

    report = import_openclaw(state, tmp_path / "empty")

    assert counts(report) == {}
    assert not state.paths.root.exists()


def test_what_is_no_directory_is_refused(tmp_path, state) -> None:
    """A path that is missing or a file raises before anything is read; so does an unknown kind."""
    (tmp_path / "file").touch()

    for path in ("missing", "file"):
        with pytest.raises(NotFoundError):
            import_openclaw(state, tmp_path / path)
    with pytest.raises(InvalidError, match="choose from config"):
        import_openclaw(state, tmp_path, kinds=["passwords"])


def test_progress_ends_at_its_total(home, state) -> None:
    """Progress never goes back, and ends with everything done."""
    told: list[tuple[int, int]] = []

    import_openclaw(state, home.root, progress=lambda done, total, _: told.append((done, total)))

    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0
