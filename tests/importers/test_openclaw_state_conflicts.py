from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openclaw_fixtures import counts, exported, failures, moved
from openclaw_home import ONE, PHONE_TOKEN, OpenClawHome, key_pair

import clawstate
from clawstate.importers.openclaw import import_openclaw
from clawstate.records.merging import merge_records
from clawstate.state.encryption import Encryption
from manual_clock import ManualClock

MAIN = "agents/main/sessions/sessions.json"
PROFILES = "agents/main/agent/auth-profiles.json"


@pytest.fixture
def home(tmp_path: Path, clock) -> OpenClawHome:
    return OpenClawHome(tmp_path / "openclaw", clock())


def remarks(report, kind: str) -> list[str]:
    return [each.message for each in report.remarks if each.kind == kind]


def test_the_session_updated_last_stays(home, state) -> None:
    """An older entry of the source does not undo what happened here; a newer one counts."""
    home.sessions()
    import_openclaw(state, home.root)
    state.sessions.update("agent:main:main", {"label": "here"})
    home.json(MAIN, {"agent:main:main": {"sessionId": ONE, "updatedAt": home.ms(20)}})

    report = import_openclaw(state, home.root)

    assert state.sessions.require("agent:main:main").fields["label"] == "here"
    assert report.counts["sessions"].skipped == 1
    home.json(MAIN, {"agent:main:main": {"sessionId": ONE, "updatedAt": home.ms(-20), "a": 1}})
    assert import_openclaw(state, home.root).counts["sessions"].changed == 1
    entry = state.sessions.require("agent:main:main")
    assert (entry.fields, entry.updated_at) == ({"a": 1}, home.now + 20)


def test_a_session_that_gives_way_can_be_brought_back(home, state) -> None:
    """A session with another id that replaces ours puts ours into the archive."""
    ours = state.sessions.resolve("agent:main:main")
    home.json(MAIN, {"agent:main:main": {"sessionId": ONE, "updatedAt": home.ms(-20)}})

    import_openclaw(state, home.root)

    assert state.sessions.require("agent:main:main").session_id == ONE
    assert [each.session_id for each in state.sessions.archived()] == [ours.session_id]


def test_a_deleted_session_stays_deleted(home, state) -> None:
    """What was deleted here after an import does not come back with the next one."""
    home.sessions()
    import_openclaw(state, home.root)
    state.sessions.delete("agent:main:main")

    report = import_openclaw(state, home.root)

    assert state.sessions.get("agent:main:main") is None
    assert moved(report) == 0
    import_openclaw(state, home.root, replace=True)
    assert state.sessions.require("agent:main:main").session_id == ONE


def test_spellings_of_one_key_are_one_session(home, state) -> None:
    """Of keys that OpenClaw takes for one, the entry updated last is taken."""
    old = {"sessionId": "old", "updatedAt": home.ms(9)}
    new = {"sessionId": "new", "updatedAt": home.ms(1), "room": "kitchen"}
    home.json(MAIN, {"Agent:Main:X": old, "agent:main:x ": new})

    report = import_openclaw(state, home.root)

    [entry] = state.sessions.entries()
    assert (entry.session_key, entry.session_id) == ("agent:main:x", "new")
    assert entry.fields == {"groupChannel": "kitchen"}
    assert counts(report)["sessions"] == (2, 1, 0, 0, 1, 0)


def test_keys_of_two_agents_do_not_meet(home, state) -> None:
    """A key without an agent is that of the default agent; another's is told apart."""
    for agent in ("main", "work"):
        index = {"global": {"sessionId": agent, "updatedAt": home.ms()}}
        home.json(f"agents/{agent}/sessions/sessions.json", index)

    import_openclaw(state, home.root)

    found = {each.session_key: each.session_id for each in state.sessions.entries()}
    assert found == {"global": "main", "agent:work:global": "work"}


def test_the_index_is_never_looked_for_in_the_source(home, state, monkeypatch) -> None:
    """A copied `session.store` that leads into the source lets nothing be written there."""
    monkeypatch.setenv("HOME", str(home.root.parent))
    home.sessions()
    home.file("openclaw.json", f"{{session: {{store: '{home.root}/all.json'}}}}")
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}

    dry = import_openclaw(state, home.root, dry_run=True)
    report = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)
    assert {kind for kind, _ in failures(report)} == {"sessions"}
    assert before == {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}


def test_our_credentials_stay(home, state) -> None:
    """A profile that differs stays ours; only a replacement takes theirs."""
    home.auth()
    state.auth().upsert("openai:default", {"type": "api_key", "provider": "openai", "key": "mine"})

    report = import_openclaw(state, home.root)

    assert state.auth().secret("openai:default") == "mine"
    assert counts(report)["auth"] == (4, 3, 0, 0, 1, 0)
    assert any("openai:default" in each for each in remarks(report, "auth"))
    report = import_openclaw(state, home.root, replace=True)
    assert state.auth().secret("openai:default") == "sk-secret-of-openai"
    assert counts(report)["auth"] == (4, 0, 1, 3, 0, 0)


def test_sealed_credentials_are_compared_opened(home, state) -> None:
    """With encryption on, secrets are sealed as they come, and known again the next time."""
    home.auth()
    Encryption(state._context).turn_on("file")
    import_openclaw(state, home.root)
    text = (state.paths.root / PROFILES).read_text()

    report = import_openclaw(state, home.root)

    assert "sk-secret-of-openai" not in text
    assert state.auth().secret("openai:default") == "sk-secret-of-openai"
    assert counts(report)["auth"] == (4, 0, 0, 4, 0, 0)


def test_a_removed_credential_is_not_forced_on_other_things(home, state) -> None:
    """Usage of a profile that is not taken is left; names of older releases are understood."""
    home.json(
        PROFILES,
        {
            "profiles": {"a:b": {"mode": "api_key", "provider": "a", "apiKey": "k"}},
            "usageStats": {"gone:x": {"errorCount": 1}, "a:b": {"errorCount": 3}},
        },
    )

    import_openclaw(state, home.root)

    assert state.auth().secret("a:b") == "k"
    assert state.auth().document()["usageStats"] == {"a:b": {"errorCount": 3}}


def test_our_configuration_stays(home, state) -> None:
    """Of two configurations ours stays; keys that differ are named, and values are not."""
    state.config.set("gateway.port", 1234)
    state.config.set("logging.level", "debug")
    home.file("openclaw.json", "{gateway: {port: 18790, mode: 'local'}, logging: {level:'debug'}}")

    report = import_openclaw(state, home.root)

    [told] = remarks(report, "config")
    assert "gateway.port" in told
    assert "gateway.mode" in told
    assert "18790" not in told
    assert "logging" not in told
    assert state.config.get("gateway.port") == 1234


def test_an_equal_configuration_is_unchanged(home, state) -> None:
    """A configuration that says the same in other words differs in nothing."""
    home.file("openclaw.json", "{gateway: {port: 1234}}")
    import_openclaw(state, home.root)
    home.file("openclaw.json", '{\n  "gateway": {"port": 1234}, // the same\n}')

    assert counts(import_openclaw(state, home.root))["config"] == (1, 0, 0, 1, 0, 0)


def test_a_configuration_without_its_variables_waits(home, state, monkeypatch) -> None:
    """One that could not be used here is not copied, and stands in the way of nothing."""
    monkeypatch.delenv("TOKEN_OF_TEST", raising=False)
    home.everything()
    home.file("openclaw.json", "{gateway: {auth: {token: '${TOKEN_OF_TEST}'}}}")
    home.file(".env", "TOKEN_OF_TEST=SECRET_IN_DOTENV")

    dry = import_openclaw(state, home.root, dry_run=True)
    report = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)
    assert failures(report) == [("config", "openclaw.json")]
    assert any("TOKEN_OF_TEST" in each for each in remarks(report, "config"))
    assert not state.paths.config.exists()
    (state.paths.root / ".env").write_text("TOKEN_OF_TEST=x")
    again = import_openclaw(state, home.root)
    assert counts(again)["config"][1] == 1
    assert not again.has_failed()
    assert state.config.get("gateway.auth.token") == "x"


def test_our_key_pair_stays(home, state) -> None:
    """A state that is a device already stays it, and takes no tokens of another."""
    home.devices()
    ours = state.identity.device_id

    dry = import_openclaw(state, home.root, dry_run=True)
    report = import_openclaw(state, home.root)

    assert state.identity.device_id == ours
    assert state.device_auth.tokens() == {}
    assert counts(dry) == counts(report)
    assert counts(report)["identity"] == (1, 0, 0, 0, 1, 0)
    assert counts(report)["device-auth"] == (1, 0, 0, 0, 1, 0)


def test_a_key_pair_of_two_halves_is_refused(home, state) -> None:
    """A private key that does not belong to the public one is no identity."""
    device, _, private = key_pair()
    state.identity.load_or_create()
    other = json.loads(state.paths.device_identity.read_text())
    state.paths.device_identity.unlink()
    mixed = {**other, "deviceId": device, "privateKeyPem": private}
    home.json("identity/device.json", mixed)

    report = import_openclaw(state, home.root)

    assert failures(report) == [("identity", "identity/device.json")]
    assert state.identity.get() is None


def test_a_device_paired_anew_here_stays(home, state) -> None:
    """A device that was let in here keeps its token; one that was revoked there stays out."""
    home.devices()
    import_openclaw(state, home.root)
    token = state.devices.rotate("phone", role="node").token

    report = import_openclaw(state, home.root)

    assert counts(report)["devices"] == (1, 0, 0, 0, 1, 0)
    assert state.devices.verify("phone", token, role="node") is not None
    assert state.devices.verify("phone", PHONE_TOKEN, role="node") is None


def test_a_revoked_token_is_of_no_use_here(home, state) -> None:
    """What OpenClaw revoked is not let in by the import."""
    home.devices()
    document = json.loads((home.root / "devices/paired.json").read_text())
    document["phone"]["tokens"]["node"]["revokedAtMs"] = home.ms(5)
    home.json("devices/paired.json", document)

    import_openclaw(state, home.root)

    assert state.devices.verify("phone", PHONE_TOKEN, role="node") is None


def test_a_device_removed_here_is_let_in_again_only_by_replacing(home, state) -> None:
    """The trace of a device that was removed keeps it out of the next import."""
    home.devices()
    pending = state.pairing.request(user_id="owner", device_id="phone")
    state.pairing.approve(pending.code)
    state.devices.remove("phone")

    import_openclaw(state, home.root)

    assert state.devices.verify("phone", PHONE_TOKEN, role="node") is None


def test_a_transcript_that_grew_adds_only_what_is_new(home, state) -> None:
    """Entries that came since the last import follow; those made here stay between."""
    path = f"agents/main/sessions/{ONE}.jsonl"
    home.transcript(path, ONE, ["one", "two"])
    import_openclaw(state, home.root)
    state.transcripts.append(ONE, {"role": "user", "content": "made here"})
    home.transcript(path, ONE, ["one", "two", "three"])

    report = import_openclaw(state, home.root)

    assert counts(report)["transcripts"] == (3, 1, 0, 2, 0, 0)
    texts = [each.text for each in state.transcripts.messages(ONE)]
    assert texts == ["one", "two", "made here", "three"]


def test_an_entry_is_never_changed(home, state) -> None:
    """A line that says something else under a kept id comes beside it, in a dry run as well."""
    path = f"agents/main/sessions/{ONE}.jsonl"
    home.transcript(path, ONE, ["one", "two"])
    import_openclaw(state, home.root)
    before = exported(state, ONE)
    home.transcript(path, ONE, ["one", "TWO"])

    dry = import_openclaw(state, home.root, dry_run=True)
    report = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)
    assert counts(report)["transcripts"] == (2, 0, 1, 1, 0, 0)
    assert exported(state, ONE)[: len(before)] == before
    assert len(exported(state, ONE)) == len(before) + 1


def test_allow_lists_are_joined(home, state) -> None:
    """Who was allowed here stays allowed, and who was allowed there is, too."""
    home.channels()
    import_openclaw(state, home.root)
    home.json("credentials/telegram-work-allowFrom.json", {"version": 1, "allowFrom": ["5", "6"]})

    report = import_openclaw(state, home.root, kinds=["channels"])

    path = state.paths.credentials_dir / "telegram-work-allowFrom.json"
    assert json.loads(path.read_text())["allowFrom"] == ["4242", "5", "6"]
    assert report.counts["channels"].new == 2


def test_a_forgotten_memory_stays_forgotten(home, state) -> None:
    """A record that was forgotten after an import does not come back, though the index changed."""
    home.index("memory/work.sqlite", [("a.md", 1, 1, "the crab"), ("a.md", 2, 2, "the parrot")])
    import_openclaw(state, home.root)
    [crab] = [each for each in state.memory.records(namespace=None) if "crab" in each.text]
    state.memory.delete(crab.id)
    (home.root / "memory/work.sqlite").unlink()
    home.index("memory/work.sqlite", [("a.md", 1, 1, "the crab"), ("b.md", 1, 1, "the bank")])

    import_openclaw(state, home.root)

    texts = {each.text for each in state.memory.records(namespace=None)}
    assert texts == {"the bank"}


CRAB, PARROT = "the crab walks on the beach", "the parrot said hello to Ada"


def test_what_somebody_changed_of_an_index_stays(home, state) -> None:
    """Texts, tags and importance that a person gave stay, also when the index changes or ends."""
    home.index("memory/work.sqlite", [("a.md", 1, 1, CRAB), ("a.md", 2, 2, PARROT)])
    import_openclaw(state, home.root)
    ids = {each.text: each.id for each in state.memory.records(namespace="work")}
    state.memory.update(ids[CRAB], text="mine", importance=0.9)
    state.memory.update(ids[PARROT], tags=["bird"])

    def reindex(*chunks: tuple) -> set:
        (home.root / "memory/work.sqlite").unlink()
        home.index("memory/work.sqlite", chunks)
        dry = counts(import_openclaw(state, home.root, dry_run=True))["memory"]
        assert counts(import_openclaw(state, home.root))["memory"] == dry
        records = state.memory.records(namespace="work")
        return {(each.text, each.tags, each.importance) for each in records}

    mine, parrot = ("mine", (), 0.9), (PARROT, ("bird",), 0.7)
    assert reindex(("a.md", 3, 3, CRAB), ("a.md", 5, 5, PARROT)) == {mine, parrot}
    said = f"{PARROT} again"
    assert reindex(("a.md", 3, 3, CRAB), ("a.md", 5, 5, said)) == {mine, (said, ("bird",), 0.7)}
    assert reindex(("b.md", 1, 1, "the bank")) == {
        mine, (said, ("bird",), 0.7), ("the bank", (), 0.7),
    }  # fmt: skip


def test_an_index_that_was_imported_before_keeps_what_was_changed(home, state) -> None:
    """Where nothing is noted of the index, a text that its id does not fit is somebody's."""
    home.index("memory/work.sqlite", [("a.md", 1, 1, CRAB), ("a.md", 2, 2, PARROT)])
    import_openclaw(state, home.root)
    [crab] = [each for each in state.memory.records(namespace="work") if each.text == CRAB]
    state.memory.update(crab.id, text="mine")
    with state.memory._engine._database.writing() as connection:
        connection.execute("UPDATE imported SET given = NULL")
    for chunks in ([("a.md", 9, 9, CRAB)], [("a.md", 1, 1, "the bank")]):
        (home.root / "memory/work.sqlite").unlink()
        home.index("memory/work.sqlite", chunks)
        import_openclaw(state, home.root)
        with state.memory._engine._database.writing() as connection:
            connection.execute("UPDATE imported SET given = NULL")

    assert {each.text for each in state.memory.records(namespace="work")} == {"mine", "the bank"}


def test_what_was_forgotten_of_a_file_comes_by_no_index(home, state) -> None:
    """A text that was forgotten is not taken from another index either."""
    made = state.memory.add(CRAB, namespace="work")
    state.memory.delete(made)
    home.index("memory/work.sqlite", [("a.md", 1, 1, CRAB), ("a.md", 2, 2, PARROT)])

    import_openclaw(state, home.root)

    assert {each.text for each in state.memory.records(namespace="work")} == {PARROT}


def test_a_picture_in_a_note_is_no_failure(home, state) -> None:
    """What is left out of a note by rule is told, and the note counts as taken."""
    data = "iVBORw0KGgo" * 40
    home.file("workspace/MEMORY.md", f"# Memory\n\nA crab: ![x](data:image/png;base64,{data})\n")

    report = import_openclaw(state, home.root)

    assert counts(report)["workspace"] == (1, 1, 0, 0, 0, 0)
    assert not report.has_failed()


def test_notes_are_followed(home, state) -> None:
    """A note that changed is read again, one that came is added; a dry run counts the same."""
    home.memory()
    import_openclaw(state, home.root)
    home.file("workspace/MEMORY.md", "# Memory\n\nAda likes lobster.\n")
    home.file("workspace/memory/new.md", "The parrot moved in.\n")

    dry = import_openclaw(state, home.root, dry_run=True)
    report = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)
    assert counts(report)["workspace"] == (3, 1, 1, 1, 0, 0)
    texts = [each.text for each in state.memory.records()]
    assert not [text for text in texts if "likes crab" in text]


times = st.integers(0, 5)
keys = st.sampled_from(["agent:main:a", "agent:main:b", "agent:main:c"])
indexes = st.dictionaries(keys, times)


@given(ours=indexes, theirs=indexes)
def test_for_each_key_the_newest_session_is_kept(tmp_path_factory, ours, theirs) -> None:
    """Whatever both sides have, each key ends with the newest, and a second import is idle."""
    root = tmp_path_factory.mktemp("law")
    clock = ManualClock()
    home = OpenClawHome(root / "openclaw", clock())
    with clawstate.open(root / "state", clock=clock) as state:
        for side, index in (("ours", ours), ("theirs", theirs)):
            entries = {
                key: {"sessionId": f"{side}-{key[-1]}", "updatedAt": home.ms(9 - at)}
                for key, at in index.items()
            }
            home.json(MAIN, entries)
            import_openclaw(state, home.root)
        found = {each.session_key: each.session_id for each in state.sessions.entries()}
        again = import_openclaw(state, home.root)

    assert found == {
        key: f"{'theirs' if theirs.get(key, -1) > ours.get(key, -1) else 'ours'}-{key[-1]}"
        for key in ours.keys() | theirs.keys()
    }
    assert moved(again) == 0


records = st.dictionaries(st.text(max_size=2), st.integers(0, 3), max_size=4)


@given(ours=records, theirs=records, replace=st.booleans())
def test_adopting_is_idempotent_and_complete(ours, theirs, replace) -> None:
    """Every record has one fate, nothing of ours is lost, and a repetition changes nothing."""

    def merge(before):
        return merge_records(
            before,
            theirs,
            refuse=lambda *_: None,
            is_same=lambda _, old, new: old == new,
            gives_way=lambda *_: replace,
        )

    after, answer = merge(ours)
    again, second = merge(after)

    outcomes = (*answer.new, *answer.changed, *answer.same, *answer.kept)
    assert sorted(outcomes) == sorted(theirs)
    assert after.keys() == ours.keys() | theirs.keys()
    assert again == after
    assert not (*second.new, *second.changed)
