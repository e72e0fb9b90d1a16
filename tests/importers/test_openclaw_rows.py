from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from openclaw_fixtures import contents, counts, exported, failures, files, moved
from openclaw_home import fingerprint

import clawstate
from clawstate.importers.openclaw import import_openclaw
from clawstate.openclaw import transcripts
from openclaw.openclaw_databases import (
    ONE,
    PICTURE,
    SECRETS,
    THREE,
    TWO,
    OpenClawDatabases,
)

GOLDEN = {
    "config": (1, 1, 0, 0, 0, 0),
    "auth": (3, 3, 0, 0, 0, 0),
    "sessions": (3, 3, 0, 0, 0, 0),
    "transcripts": (8, 7, 0, 0, 1, 0),
    "media": (1, 1, 0, 0, 0, 0),
    "channels": (5, 4, 0, 0, 1, 0),
    "identity": (1, 1, 0, 0, 0, 0),
    "device-auth": (1, 1, 0, 0, 0, 0),
    "devices": (1, 1, 0, 0, 0, 0),
    "memory": (4, 1, 0, 0, 3, 0),
    "workspace": (2, 2, 0, 0, 0, 0),
    "dedupe": (1, 1, 0, 0, 0, 0),
    "secrets": (2, 0, 0, 0, 2, 0),
    "left-alone": (7, 0, 0, 0, 7, 0),
}
AGAIN = {
    kind: (found, 0, 0, new, skipped, failed)
    for kind, (found, new, _, _, skipped, failed) in GOLDEN.items()
}


@pytest.fixture
def home(tmp_path: Path, clock) -> OpenClawDatabases:
    return OpenClawDatabases(tmp_path / "openclaw", clock()).everything()


def lines(made: OpenClawDatabases, session_id: str, said: list[str], media: str = "") -> list[str]:
    return made.events(session_id, said, media=media)


def test_every_kind_of_row_is_counted_and_taken(home, state) -> None:
    """Everything that is found in the databases is counted once, by what became of it."""
    report = import_openclaw(state, home.root)

    assert counts(report) == GOLDEN
    assert not report.has_failed(), report.remarks


def test_a_second_import_of_databases_changes_nothing(home, state) -> None:
    """What was taken over is found unchanged, and nothing is written."""
    import_openclaw(state, home.root)
    before = contents(state)

    report = import_openclaw(state, home.root)

    assert counts(report) == AGAIN
    assert contents(state) == before


def test_a_dry_run_of_databases_counts_alike_and_writes_nothing(home, state) -> None:
    """A dry run returns the counts of the import, before it and after, and writes nothing."""
    asked = {"archives": True, "secrets": True}
    dry = counts(import_openclaw(state, home.root, dry_run=True, **asked))
    assert not state.paths.root.exists()

    assert counts(import_openclaw(state, home.root, **asked)) == dry
    before = files(state.paths.root)
    again = counts(import_openclaw(state, home.root, dry_run=True, **asked))
    assert counts(import_openclaw(state, home.root, **asked)) == again
    assert files(state.paths.root) == before


def test_nothing_of_the_source_changes(home, state) -> None:
    """No file or directory changes, is made or goes: neither content nor mode nor any time."""
    before = fingerprint(home.root)

    import_openclaw(state, home.root, dry_run=True)
    import_openclaw(state, home.root, archives=True, replace=True, secrets=True)

    assert fingerprint(home.root) == before


def test_the_rows_of_a_running_gateway_count(home, state) -> None:
    """What is only in the logs of the databases is taken, and neither database changes."""
    paths = [
        home.root / "state/openclaw.sqlite",
        home.root / "agents/main/agent/openclaw-agent.sqlite",
    ]
    with closing(sqlite3.connect(paths[0])) as one, closing(sqlite3.connect(paths[1])) as two:
        one.execute(
            "INSERT INTO channel_pairing_allow_entries VALUES ('irc', 'default', 'z', 0, 1)"
        )
        one.commit()
        entry = json.dumps({"sessionId": ONE, "updatedAt": home.ms(-5)})
        two.execute("INSERT INTO session_nodes VALUES ('agent:main:new', ?, ?, 1, 1)", (ONE, entry))
        two.commit()
        before = [path.read_bytes() for path in paths]

        report = import_openclaw(state, home.root)

        assert [path.read_bytes() for path in paths] == before
    assert report.count("sessions").new == 4
    assert report.count("channels").new == 5
    assert not report.has_failed()


def test_keys_that_moved_stand_where_they_were(home, state) -> None:
    """The configuration comes as it is, but for what OpenClaw moved, signed, or stores."""
    config = """\
    // how we like it
    {
      agents: { entries: { main: { name: "Main" }, work: { agentDir: "/far" } } }, // two
      memory: { search: { provider: "openai" }, citations: "on" },
      secrets: { providers: { team: { source: "store" } } },
      gateway: { port: 18790, auth: { token: { source: "store", provider: "team", id: "API" } } },
      meta: { lastTouchedVersion: "2026.9.6", lastTouchedAt: "x" },
    }
    """
    home.file("openclaw.json", config)

    first = import_openclaw(state, home.root, secrets=True)
    second = import_openclaw(state, home.root)

    assert (first.count("config").new, second.count("config").unchanged) == (1, 1)
    assert not first.has_failed(), first.remarks
    text = state.config.text()
    assert "// how we like it" in text
    assert "// two" in text
    assert "lastTouched" not in text
    assert state.config.get("agents.list") == [
        {"id": "main", "name": "Main"},
        {"id": "work", "agentDir": "/far"},
    ]
    assert state.config.get("agents.defaults.memorySearch.provider") == "openai"
    assert state.config.get("memory.citations") == "on"
    assert state.config.get("gateway.auth.token.id") == "/API"
    provider = state.config.get("secrets.providers.team")
    assert provider["path"] == str(state.paths.root / "secrets/openclaw.json")
    assert not state.owner.is_openclaw


def test_a_configuration_suits_the_openclaw_that_is_here(home, tmp_path, clock) -> None:
    """Into a directory of an OpenClaw comes what that one knows: the keys of its own time."""
    entry, search = {"name": "A"}, {"provider": "openai"}
    old = {"agents": {"list": [{"id": "a", **entry}], "defaults": {"memorySearch": search}}}
    new = {"agents": {"entries": {"a": entry}}, "memory": {"search": search}}
    as_new = {**new, "agents": {"defaults": {}, **new["agents"]}}
    as_old = {**old, "memory": {}}
    cases = (
        ("state/openclaw.sqlite", old, as_new),
        ("state/openclaw.sqlite", new, new),
        ("devices/paired.json", new, as_old),
        ("devices/paired.json", old, old),
    )
    for number, (mark, there, wanted) in enumerate(cases):
        home.file("openclaw.json", json.dumps(there))
        target = tmp_path / f"target{number}"
        (target / mark).parent.mkdir(parents=True)
        (target / mark).write_bytes(b"")

        with clawstate.open(target, clock=clock) as state:
            report = import_openclaw(state, home.root, kinds=["config"])

        assert not report.has_failed(), report.remarks
        assert json.loads((target / "openclaw.json").read_bytes()) == wanted


def test_sessions_and_transcripts_come_whole(home, state) -> None:
    """Plain, packed and cold events are the lines that OpenClaw wrote; former windows come too."""
    import_openclaw(state, home.root)

    found = {each.session_key: each.document() for each in state.sessions.entries()}
    assert found["agent:main:main"]["label"] == "Lisbon"
    assert found["agent:main:main"]["sessionId"] == ONE
    assert "skillsSnapshot" not in found["agent:main:main"]
    said = ["hello", "h" * 3000, "bye"]
    assert exported(state, ONE) == home.events(ONE, said, media=PICTURE)
    assert exported(state, TWO) == home.events(TWO, ["a question", "an answer"])
    assert exported(state, THREE) == home.events(THREE, ["about seven"])
    assert exported(state, "former") == home.events("former", ["before the reset"])
    assert len({each.session_id for each in state.transcripts.sessions()}) == 4


def test_archives_come_when_asked_for_and_once(home, state) -> None:
    """A deleted session is in a row and in a file: it is taken once, and from a file alone too."""
    import_openclaw(state, home.root, archives=True)
    (gone,) = {each.session_id for each in state.transcripts.sessions()} - {
        ONE,
        TWO,
        THREE,
        "former",
    }
    assert gone.startswith("gone.deleted.")
    assert len(exported(state, gone)) == 2

    home.agent("main", "DELETE FROM session_transcript_archives")
    report = import_openclaw(state, home.root, archives=True)
    assert moved(report) == 0
    assert not report.has_failed()


def test_media_that_messages_name_come_along_privately(home, state) -> None:
    """A picture goes to the same place here, where the message's link leads, and to us alone."""
    import_openclaw(state, home.root)

    place = state.paths.root / "media/inbound" / PICTURE
    assert place.read_bytes() == b"\x89PNG"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [each.name for each in place.parent.iterdir()] == [PICTURE]
    message = json.loads(exported(state, ONE)[1])["message"]
    assert message["__openclaw"]["media"][0]["url"] == f"media://inbound/{PICTURE}"


@pytest.mark.parametrize("name", ["../../openclaw.json", "..", ".hidden", "a/b.png", "a\\b.png"])
def test_a_link_to_media_never_leads_elsewhere(home, state, name) -> None:
    """A name that is no plain one is copied from nowhere and to nowhere."""
    made = home.events("odd", ["look"], media=name)
    home.transcript("main", "odd", made)

    report = import_openclaw(state, home.root, kinds=["transcripts", "media"])

    assert counts(report)["media"] == (1, 1, 0, 0, 0, 0)
    assert exported(state, "odd") == made


@pytest.mark.parametrize("obstacle", ["gone", "link", "other"])
def test_media_that_cannot_be_copied_are_told(home, state, obstacle, tmp_path) -> None:
    """A file that is gone or differs here is skipped, and a link is refused."""
    place = home.root / "media/inbound" / PICTURE
    target = state.paths.root / "media/inbound" / PICTURE
    if obstacle == "other":
        target.parent.mkdir(parents=True)
        target.write_bytes(b"mine")
    else:
        place.rename(tmp_path / "moved")
    if obstacle == "link":
        place.symlink_to(tmp_path / "moved")

    report = import_openclaw(state, home.root)

    count = report.count("media")
    assert (count.found, count.skipped, count.failed) == (1, obstacle != "link", obstacle == "link")
    assert (target.read_bytes() if target.exists() else None) == (
        b"mine" if obstacle == "other" else None
    )


def test_credentials_are_those_of_main_and_of_each_agent(home, state) -> None:
    """Shared profiles are main's here, which other agents have too; own ones are the agent's."""
    import_openclaw(state, home.root)

    main, work = state.auth("main").document(), state.auth("work").document()
    assert sorted(main["profiles"]) == ["google:me", "openai:default"]
    assert main["usageStats"]["openai:default"]["errorCount"] == 2
    assert sorted(work["profiles"]) == ["anthropic:w"]
    assert work["order"] == {"anthropic": ["anthropic:w"]}


def test_a_paired_device_goes_on_with_its_token(home, state) -> None:
    """Of the device's token only a digest is kept, and it is let in."""
    import_openclaw(state, home.root)

    assert state.devices.verify("phone", SECRETS[5], ["x"], role="node") is not None
    kept = b"".join(files(state.paths.root).values())
    assert SECRETS[5].encode() not in kept


def test_channels_identity_tokens_and_marks_come(home, state) -> None:
    """Allow lists keep their order, this device is who it was, and marks are known as marks."""
    import_openclaw(state, home.root)

    allowed = json.loads(
        (state.paths.root / "credentials/telegram-default-allowFrom.json").read_bytes()
    )
    assert allowed["allowFrom"] == ["17", "4242"]
    assert state.identity.get() is not None
    assert state.device_auth.tokens()["operator"] == SECRETS[6]
    assert state.dedupe.seen("m1", f"telegram:updates.{'0' * 32}")


def test_memory_is_the_markdown_and_chunks_only_of_what_is_not_there(home, state) -> None:
    """Files of the workspace come themselves; chunks of others do, unless they were forgotten."""
    import_openclaw(state, home.root)

    found = {each.text.strip(): each for each in state.memory.records(namespace=None)}
    assert "Ada is the user." in found
    boiler = found["The boiler was serviced."]
    assert (boiler.namespace, boiler.source) == ("work", "memory/2026-02-01.md")
    assert boiler.metadata["origin_class"] == "owner"
    assert not any("forgotten" in text or "User: hi" in text for text in found)


def test_secrets_come_only_when_asked_for(home, state) -> None:
    """The store of secrets is counted, and taken into a private file on `secrets` alone."""
    place = state.paths.root / "secrets/openclaw.json"
    report = import_openclaw(state, home.root)
    assert (counts(report)["secrets"], place.exists()) == ((2, 0, 0, 0, 2, 0), False)

    assert counts(import_openclaw(state, home.root, secrets=True))["secrets"][:2] == (2, 2)

    assert json.loads(place.read_bytes()) == {
        "API_TOKEN": SECRETS[4],
        "LOG_LEVEL": "debug-everything",
    }
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    home.state("UPDATE secret_store_entries SET value = 'another' WHERE name = 'API_TOKEN'")
    assert counts(import_openclaw(state, home.root, kinds=["secrets"]))["secrets"] == (
        *(2, 0, 0, 1, 1, 0),
    )
    again = import_openclaw(state, home.root, secrets=True, replace=True)
    assert counts(again)["secrets"] == (2, 0, 1, 1, 0, 0)


def test_what_is_not_taken_is_listed_with_counts(home, state) -> None:
    """Tables that are left, and columns that are not known, are named in the report."""
    home.state("ALTER TABLE device_auth_tokens ADD COLUMN extra TEXT")
    report = import_openclaw(state, home.root)

    said = " ".join(each.message for each in report.remarks)
    assert "cron_jobs (1), mcp_oauth_stores (1)" in said
    assert "device_auth_tokens.extra" in said
    left = {each.path for each in report.remarks if each.kind == "left-alone"}
    assert left >= {"migrated", "databases", "cache", "media", "tmp"}


@pytest.mark.parametrize("role", ["state", "agent"])
def test_a_newer_schema_is_a_failure_that_names_both_numbers(home, state, role) -> None:
    """A database of a newer schema is passed over, with both numbers, and the rest is taken."""
    run = home.state if role == "state" else lambda sql: home.agent("main", sql)
    run("UPDATE schema_meta SET schema_version = 99")

    report = import_openclaw(state, home.root)

    ((kind, path),) = failures(report)
    (message,) = [each.message for each in report.remarks if each.severity == "failed"]
    assert kind == "left-alone"
    assert path.startswith("state" if role == "state" else "agents/main")
    assert "99" in message
    assert ("18" if role == "state" else "23") in message
    assert state.sessions.get("agent:work:main") is not None


def test_without_zstd_a_transcript_ends_before_what_is_packed_and_is_completed_later(
    home, state, monkeypatch
) -> None:
    """What waits for zstd is counted as failed; with it, the next import puts all in order."""
    with monkeypatch.context() as patch:
        patch.setattr(transcripts, "_MODULES", ("no_such_module",))
        report = import_openclaw(state, home.root)

    assert report.has_failed()
    assert any("clawstate[openclaw]" in each.message for each in report.remarks)
    assert report.count("transcripts").failed == 3
    assert len(exported(state, ONE)) == 2
    assert not import_openclaw(state, home.root).has_failed()
    assert exported(state, ONE) == home.events(ONE, ["hello", "h" * 3000, "bye"], media=PICTURE)


def test_damaged_rows_are_failures_and_hide_no_others(home, state) -> None:
    """Rows that are no JSON, archives that changed: each is told, and all else is taken."""
    home.agent(
        "main", "UPDATE session_nodes SET entry_json = '{' WHERE current_session_id = ?", (TWO,)
    )
    home.agent("main", "UPDATE session_transcript_cold_archives SET archive_sha256 = 'x'")
    home.state("UPDATE config_machine_state SET value_json = '[]'")
    home.state("INSERT INTO device_pairing_paired (device_id, tokens_json) VALUES ('bad', '{')")

    report = import_openclaw(state, home.root)

    assert [each.device_id for each in state.devices.paired()] == ["phone"]
    assert {kind for kind, _ in failures(report)} == {"auth", "sessions", "transcripts", "devices"}
    assert sorted(state.auth("work").document()["profiles"]) == ["anthropic:w"]
    assert state.sessions.get("agent:main:main") is not None
    assert state.identity.get() is not None


def test_files_beside_the_databases_only_fill_gaps(home, state, clock) -> None:
    """After an upgrade a leftover file counts for nothing that the database has, however new."""
    newest = {"sessionId": THREE, "updatedAt": home.ms(-500)}
    index = {"agent:main:main": newest, "agent:main:other": newest}
    home.file("sessions/sessions.json", json.dumps(index))
    profiles = {
        "openai:default": {"type": "api_key", "provider": "openai", "key": "of-the-file"},
        "extra:x": {"type": "api_key", "provider": "extra", "key": "more-of-the-file"},
    }
    home.file(
        "agents/main/agent/auth-profiles.json", json.dumps({"version": 1, "profiles": profiles})
    )
    home.file("identity/device.json", "{}")
    home.file("devices/paired.json", json.dumps({"phone": {"deviceId": "phone"}}))

    for replace in (False, True):
        report = import_openclaw(state, home.root, replace=replace)

        assert not report.has_failed(), report.remarks
        assert state.sessions.require("agent:main:main").session_id == ONE
        assert state.sessions.get("agent:main:other") is not None
        document = state.auth("main").document()
        assert document["profiles"]["openai:default"]["key"] == SECRETS[0]
        assert "extra:x" in document["profiles"]


def test_import_into_the_directory_itself_writes_rows_of_our_own(home, clock) -> None:
    """In OpenClaw's directory all comes into our database; its databases and files stay."""
    before = files(home.root)
    with clawstate.open(home.root, clock=clock) as state:
        report = import_openclaw(state, home.root)
        again = import_openclaw(state, home.root)
        found = contents(state)

    assert not report.has_failed(), report.remarks
    assert moved(again) == 0
    assert report.count("sessions").new == 3
    assert report.count("auth").new == 3
    assert report.count("device-auth").new == 1
    assert report.count("media").unchanged == 1
    assert set(found["sessions"]) >= {"agent:main:main", "agent:work:main"}
    after = files(home.root)
    assert {path: after.get(path) for path in before} == before
    ours = {path for path in after if path not in before}
    assert not [
        path for path in ours if path.startswith(("agents", "sessions", "identity", "cred"))
    ]


@pytest.mark.parametrize("place", ["inside", "outside", "outside of a home"])
def test_a_database_elsewhere_is_found_by_the_registry(
    home, state, tmp_path, place, monkeypatch
) -> None:
    """An agent's own directory counts in the source, and outside of it in the user's own home."""
    usual = home.root / "agents/work/agent/openclaw-agent.sqlite"
    moved_to = (home.root / "mine" if place == "inside" else tmp_path / "far") / usual.name
    moved_to.parent.mkdir()
    usual.rename(moved_to)
    named = "mine/openclaw-agent.sqlite" if place == "inside" else str(moved_to)
    home.state("UPDATE agent_databases SET path = ? WHERE agent_id = 'work'", (named,))
    if place == "outside":
        monkeypatch.setenv("HOME", str(home.root.parent))

    report = import_openclaw(state, home.root)

    is_taken = place != "outside of a home"
    assert (state.sessions.get("agent:work:main") is not None) is is_taken
    assert not report.has_failed()
    said = [each.path for each in report.remarks if "outside of the source" in each.message]
    assert said == ([] if is_taken else [str(moved_to)])


def test_one_agents_things_are_taken_alone(home, state) -> None:
    """With an agent named, nothing of another comes, and nothing that is of none."""
    report = import_openclaw(state, home.root, agents=["work"])

    assert counts(report) == {
        "auth": (1, 1, 0, 0, 0, 0),
        "sessions": (1, 1, 0, 0, 0, 0),
        "transcripts": (1, 1, 0, 0, 0, 0),
        "memory": (2, 1, 0, 0, 1, 0),
    }


def test_a_copy_elsewhere_is_taken_alike(home, state, tmp_path) -> None:
    """A state is found whole where it was copied to, since its places are relative."""
    shutil.copytree(home.root, tmp_path / "copy")
    shutil.rmtree(home.root)

    assert counts(import_openclaw(state, tmp_path / "copy")) == GOLDEN


def test_no_remark_about_rows_holds_a_secret(home, state) -> None:
    """Neither the report nor its repr shows what must not be shown, whatever is damaged."""
    home.state("UPDATE config_machine_state SET value_json = value_json || '}'")
    home.state("UPDATE device_pairing_paired SET tokens_json = tokens_json || '}'")

    report = import_openclaw(state, home.root, secrets=True, archives=True)

    assert report.has_failed()
    assert not [secret for secret in SECRETS if secret in repr(report)]


def test_a_transcript_in_a_file_and_in_a_database_is_taken_once(tmp_path, clock) -> None:
    """Half-way through OpenClaw's upgrade a topic is in both: it is one transcript, by its ids."""
    made = OpenClawDatabases(tmp_path / "openclaw", clock())
    made.session("work", "agent:work:main", THREE)
    lines = made.events(THREE, ["about seven", "an answer"])
    made.transcript("work", THREE, lines)
    later = json.dumps({**json.loads(lines[-1]), "id": "later", "parentId": None})
    folder = "agents/work/sessions"
    made.file(f"{folder}/{THREE}-topic-7%2F1.jsonl", "\n".join([*lines, later]) + "\n")
    made.file(f"{folder}/{THREE}-topic-8.jsonl", json.dumps({**json.loads(later), "id": "other"}))

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        tried = import_openclaw(state, made.root, kinds=["transcripts"], dry_run=True)
        first = import_openclaw(state, made.root, kinds=["transcripts"])
        again = import_openclaw(state, made.root, kinds=["transcripts"])
        held = {each.session_id: each.count for each in state.transcripts.sessions()}

    assert held == {THREE: 3, f"{THREE}-topic-8": 1}
    assert (first.counts["transcripts"].new, first.counts["transcripts"].unchanged) == (4, 2)
    assert tried.counts == first.counts
    assert again.counts["transcripts"].unchanged == 6
    assert not first.has_failed()


@pytest.mark.parametrize("place", ["file", "database"])
def test_an_entry_that_was_changed_in_place_is_kept_as_both(tmp_path, clock, place) -> None:
    """What it was and what it became are both here; it is told once, and never as a failure."""
    made = OpenClawDatabases(tmp_path / "openclaw", clock())
    lines = made.events(ONE, ["hello", "an answer"])
    changed = [*lines[:-1], lines[-1].replace("an answer", "a better answer")]

    def keep(texts: list[str]) -> None:
        if place == "file":
            made.file(f"agents/main/sessions/{ONE}.jsonl", "\n".join(texts) + "\n")
            return
        made.agent("main", "DELETE FROM transcript_events WHERE session_id = ?", (ONE,))
        made.transcript("main", ONE, texts)

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        keep(lines)
        import_openclaw(state, made.root, kinds=["transcripts"])
        keep(changed)
        tried = import_openclaw(state, made.root, kinds=["transcripts"], dry_run=True)
        second = import_openclaw(state, made.root, kinds=["transcripts"])
        third = import_openclaw(state, made.root, kinds=["transcripts"])
        texts = [each.text for each in state.transcripts.messages(ONE)]

    assert texts == ["hello", "an answer", "a better answer"]
    assert tried.counts == second.counts
    assert (second.counts["transcripts"].changed, second.counts["transcripts"].failed) == (1, 0)
    assert ["changed in place" in each.message for each in second.remarks] == [True]
    assert (third.counts["transcripts"].unchanged, third.remarks) == (2, [])


def topic_of(root, lines, *, name="7%2F1"):
    """Lay the file of a topic of the session THREE, as the file era has it."""
    path = root / f"agents/work/sessions/{THREE}-topic-{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def session_in_rows(root, clock, lines):
    made = OpenClawDatabases(root, clock())
    made.session("work", "agent:work:main", THREE)
    made.transcript("work", THREE, lines)
    return made


def events_of_topic(tmp_path, clock):
    """Return the lines of a session, and one more that only the topic's file has."""
    made = OpenClawDatabases(tmp_path / "draft", clock())
    lines = made.events(THREE, ["about seven", "an answer", "thanks"])
    last = json.loads(lines[-1])
    only = json.dumps({**last, "id": "only-in-the-file", "parentId": last["id"]})
    return lines, only


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_a_topic_of_a_file_is_recognised_in_a_database(tmp_path, clock, store) -> None:
    """A topic imported from its file, and then from the database, is here once, in its session."""
    lines, only = events_of_topic(tmp_path, clock)
    topic_of(tmp_path / "files", [*lines[:3], only])
    made = session_in_rows(tmp_path / "openclaw", clock, lines)
    kinds = ["transcripts"]

    with clawstate.open(tmp_path / "state", store=store, clock=clock) as state:
        import_openclaw(state, tmp_path / "files", kinds=kinds)
        [own] = state.transcripts.sessions()
        dry = import_openclaw(state, made.root, kinds=kinds, dry_run=True)
        before = {each.session_id for each in state.transcripts.sessions()}
        first = import_openclaw(state, made.root, kinds=kinds)
        again = import_openclaw(state, made.root, kinds=kinds)
        files = import_openclaw(state, tmp_path / "files", kinds=kinds)
        [session] = state.transcripts.sessions()
        texts = [each.text for each in state.transcripts.messages(THREE)]
        found = state.transcripts.search("seven")

    assert own.session_id.startswith(f"{THREE}-topic-")
    assert before == {own.session_id}
    assert (session.session_id, session.count) == (THREE, 4)
    assert texts == ["about seven", "an answer", "thanks", "thanks"]
    assert len(found) == 1
    counts = first.counts["transcripts"]
    assert (counts.new, counts.unchanged, counts.failed) == (1, 2, 0)
    assert dry.counts == first.counts
    assert (again.counts["transcripts"].new, again.counts["transcripts"].unchanged) == (0, 3)
    assert (files.counts["transcripts"].new, files.counts["transcripts"].unchanged) == (0, 3)


def test_a_topic_in_a_file_is_recognised_after_the_database(tmp_path, clock) -> None:
    """What a database brought into a session is not taken again from an older copy of the file."""
    lines, only = events_of_topic(tmp_path, clock)
    topic_of(tmp_path / "files", [*lines[:3], only])
    topic_of(tmp_path / "files", [lines[0], only.replace("only", "other")], name="8")
    made = session_in_rows(tmp_path / "openclaw", clock, lines)

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        import_openclaw(state, made.root, kinds=["transcripts"])
        report = import_openclaw(state, tmp_path / "files", kinds=["transcripts"])
        held = {each.session_id: each.count for each in state.transcripts.sessions()}

    assert held == {THREE: 4, f"{THREE}-topic-8": 1}
    counts = report.counts["transcripts"]
    assert (counts.new, counts.unchanged) == (2, 2)


def test_a_topic_whose_entries_the_database_does_not_have_stays(tmp_path, clock) -> None:
    """A topic that shares no entry, or that a session here uses, keeps its own transcript."""
    lines, only = events_of_topic(tmp_path, clock)
    topic_of(tmp_path / "files", [lines[0], only], name="8")
    topic_of(tmp_path / "files", lines, name="9")
    made = session_in_rows(tmp_path / "openclaw", clock, lines)
    used = f"{THREE}-topic-9"

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        import_openclaw(state, tmp_path / "files", kinds=["transcripts"])
        state.sessions.merge({"agent:main:nine": {"sessionId": used, "updatedAt": 1}})
        import_openclaw(state, made.root, kinds=["transcripts"])
        held = {each.session_id: each.count for each in state.transcripts.sessions()}

    assert held == {THREE: 3, f"{THREE}-topic-8": 1, used: 3}


def test_a_topic_that_changed_in_the_database_loses_nothing(tmp_path, clock) -> None:
    """An entry that says something else in the database stays beside what its file said."""
    lines, _ = events_of_topic(tmp_path, clock)
    changed = lines[1].replace("about seven", "about seventy")
    topic_of(tmp_path / "files", lines)
    made = session_in_rows(tmp_path / "openclaw", clock, [lines[0], changed, *lines[2:]])

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        import_openclaw(state, tmp_path / "files", kinds=["transcripts"])
        dry = import_openclaw(state, made.root, kinds=["transcripts"], dry_run=True)
        report = import_openclaw(state, made.root, kinds=["transcripts"])
        [session] = state.transcripts.sessions()
        texts = {each.text for each in state.transcripts.messages(THREE)}

    assert session.session_id == THREE
    assert texts == {"about seven", "about seventy", "an answer", "thanks"}
    assert dry.counts == report.counts
    assert not report.has_failed()
