from __future__ import annotations

import json
import os
import stat

import apsw
import pytest

import clawstate
from clawstate.doctor.audit import audit
from clawstate.doctor.audit.copies import _CHUNK
from clawstate.doctor.examination import check_secret_files
from clawstate.files.atomic import make_private_dir
from clawstate.health import repair_all
from clawstate.secret_rules import mask
from clawstate.state.encryption import Encryption
from clawstate.stores.auth.refresh_marks import generation_of

SECRET = "sk-canary-0123456789-abcdefgh"
OTHER = "xai-canary-9876543210-ijklmnop"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}


def check(state):
    yield from check_secret_files(state)
    for part in ("encryption", "auth"):
        yield from state.health.check(part)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give a home of its own to the keys."""
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("CLAWSTATE_PASSPHRASE_FILE", raising=False)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


def codes(report, *, file=None):
    return [each.code for each in report.exposures if file in {None, each.file}]


def put(path, text, mode=0o600):
    make_private_dir(path.parent)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    path.chmod(mode)
    return path


def encrypted(state):
    state.auth().upsert("openai:default", KEY)
    Encryption(state._context).turn_on("file")


def test_an_empty_state_is_clean(state) -> None:
    """Where there is nothing, nothing is found, and nothing is made."""
    report = audit(state)

    assert (report.status, report.exposures, report.searched) == ("clean", (), 0)
    assert not state.paths.root.exists()


def test_an_encrypted_state_is_clean(state) -> None:
    """Once everything is encrypted nothing is found."""
    encrypted(state)

    report = audit(state)

    assert (report.status, report.exposures, report.notes) == ("clean", (), ())
    assert state.paths.auth_profiles() in report.scanned


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_secrets_in_the_clear_are_found(root, store) -> None:
    """Each secret of each agent is a finding at its place, by its profile."""
    with clawstate.open(root, store=store) as state:
        state.auth().upsert("openai:default", KEY)
        tokens = {"access": OTHER, "refresh": f"{OTHER}-refresh", "expires": 4_000_000_000_000}
        state.auth("bob").upsert("google:me", {"type": "oauth", "provider": "google", **tokens})

        report = audit(state)

    found = {
        (each.provider, each.profile_id, each.where.rpartition(".")[2])
        for each in report.exposures
        if each.profile_id is not None
    }
    assert found == {
        ("openai", "openai:default", "key"),
        ("google", "google:me", "access"),
        ("google", "google:me", "refresh"),
    }
    assert set(codes(report)) == {"PLAINTEXT_FOUND"}


def test_the_document_is_that_of_openclaw(state) -> None:
    """The members of the report are those of OpenClaw's own audit, and some more."""
    state.auth().upsert("openai:default", KEY)

    document = audit(state).document()

    assert (document["version"], document["status"]) == (1, "findings")
    assert str(state.paths.auth_profiles()) in document["filesScanned"]
    assert document["summary"]["plaintextCount"] == len(document["findings"])
    known = {"unresolvedRefCount", "shadowedRefCount", "legacyResidueCount"}
    assert {document["summary"][each] for each in known} == {0}
    finding = next(each for each in document["findings"] if "profileId" in each)
    assert finding == {
        "code": "PLAINTEXT_FOUND",
        "severity": "warn",
        "file": str(state.paths.auth_profiles()),
        "jsonPath": "profiles.openai:default.key",
        "message": f"an API key in the clear ({mask(SECRET)})",
        "provider": "openai",
        "profileId": "openai:default",
    }


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("agents/main/agent/auth.json", {"xai": {"type": "api_key", "key": OTHER}}),
        ("credentials/oauth.json", {"xai": {"access": OTHER, "refresh": "x", "expires": 1}}),
        ("credentials/matrix/credentials.json", {"accessToken": OTHER}),
        ("agents/main/agent/models.json", {"providers": {"xai": {"apiKey": OTHER}}}),
        ("identity/device.json", {"version": 1, "privateKeyPem": OTHER}),
        ("identity/device-auth.json", {"tokens": {"operator": {"token": OTHER}}}),
        ("state/identity/device-auth.json", {"version": 1, "tokens": {"gateway": OTHER}}),
        ("devices/paired.json", {"d": {"tokens": {"operator": {"token": OTHER}}}}),
        ("openclaw.json.bak", {"gateway": {"auth": {"token": OTHER}}}),
        ("openclaw.json", {"models": {"providers": {"xai": {"apiKey": OTHER}}}}),
        (".env", f"# mine\nXAI_API_KEY='{OTHER}'\n"),
    ],
)
def test_every_place_of_secrets_is_looked_at(state, place, document) -> None:
    """A secret in any file that holds some is found there, and is known from there."""
    file = put(state.paths.root / place, document)
    log = put(state.paths.logs_dir / "agent.log", f"sent {OTHER}\n")

    report = audit(state)

    assert "PLAINTEXT_FOUND" in codes(report, file=file)
    assert codes(report, file=log) == ["SECRET_COPY"]
    assert OTHER not in json.dumps(report.document())


def test_included_files_are_looked_at(state) -> None:
    """A secret that the configuration includes is found in the file that holds it."""
    put(state.paths.config, "{gateway: {$include: './gateway.json5'}}")
    file = put(state.paths.root / "gateway.json5", "{auth: {token: '" + OTHER + "'}}")

    assert codes(audit(state), file=file) == ["PLAINTEXT_FOUND"]


def test_old_texts_of_the_configuration_are_looked_at(state) -> None:
    """A secret that was set and taken out again is still in the history, which is told."""
    state.config.set("gateway.auth.token", OTHER)
    state.config.unset("gateway.auth.token")

    report = audit(state)

    files = {each.file for each in report.exposures if each.code == "PLAINTEXT_FOUND"}
    assert any(".config-history" in str(each) for each in files)


def test_references_are_asked(state, monkeypatch) -> None:
    """One that leads nowhere is an error; one that leads to a secret makes that known."""
    monkeypatch.setenv("CANARY_KEY", SECRET)
    monkeypatch.delenv("CANARY_MISSING", raising=False)
    for name, variable in (("good", "CANARY_KEY"), ("bad", "CANARY_MISSING")):
        reference = {"source": "env", "provider": "default", "id": variable}
        record = {"type": "api_key", "provider": "openai", "keyRef": reference}
        state.auth().upsert(f"openai:{name}", record)
    log = put(state.paths.logs_dir / "agent.log", SECRET)

    report = audit(state)

    assert report.status == "unresolved"
    missing = [each for each in report.exposures if each.code == "REF_UNRESOLVED"]
    assert [each.profile_id for each in missing] == ["openai:bad"]
    assert codes(report, file=log) == ["SECRET_COPY"]


def test_a_secret_beside_its_reference_is_shadowed(state, monkeypatch) -> None:
    """A key that is never used, because a reference stands beside it, is told."""
    monkeypatch.setenv("CANARY_KEY", OTHER)
    reference = {"source": "env", "provider": "default", "id": "CANARY_KEY"}
    document = {"version": 1, "profiles": {"openai:default": {**KEY, "keyRef": reference}}}
    put(state.paths.auth_profiles(), document)

    assert set(codes(audit(state))) == {"REF_SHADOWED", "PLAINTEXT_FOUND"}


@pytest.mark.parametrize(
    "text",
    [SECRET, f'{{"said": "{SECRET}"}}', "x" * (_CHUNK - 9) + SECRET, "x" * 3 * _CHUNK + SECRET],
    ids=["plain", "json", "border", "end"],
)
def test_copies_are_found_wherever_they_lie(state, text) -> None:
    """A secret is found in any file, also across the pieces in which a large one is read."""
    encrypted(state)
    file = put(state.paths.sessions_dir / "profile/one.jsonl", text)

    report = audit(state)

    assert codes(report, file=file) == ["SECRET_COPY"]
    assert SECRET not in json.dumps(report.document())


def test_the_line_of_a_copy_is_told(state) -> None:
    """A person can go to the place."""
    encrypted(state)
    lines = ["nothing here"] * 200_000
    lines[150_000] = f"and {SECRET} there"
    put(state.paths.logs_dir / "long.log", "\n".join(lines))

    (found,) = audit(state).exposures

    assert found.where == "line 150001"


def test_copies_in_a_database_are_found_through_sqlite(state) -> None:
    """What was said to the memory is searched, without opening the file behind SQLite's back."""
    encrypted(state)
    state.memory.add(f"the key is {SECRET}")

    (found,) = {(each.code, each.file) for each in audit(state).exposures}

    assert found == ("SECRET_COPY", state.paths.memory_db)
    assert state.memory.search("key", mode="words")


def test_a_database_under_another_name_is_found(state) -> None:
    """A file with SQLite's header is read by SQLite, whatever it is called."""
    encrypted(state)
    path = state.paths.root / "memory/odd name?.data"
    path.parent.mkdir(mode=0o700)
    connection = apsw.Connection(str(path))
    connection.execute('CREATE TABLE "a ""b" (c)')
    connection.execute('INSERT INTO "a ""b" VALUES (?)', (SECRET.encode(),))
    connection.close()

    (found,) = (each for each in audit(state).exposures if each.code == "SECRET_COPY")

    assert found.where == 'a "b.c'


def test_a_damaged_database_is_noted(state) -> None:
    """What cannot be searched is a note, and the rest is searched."""
    encrypted(state)
    put(state.paths.memory_db, "SQLite format 3\0 but no more")
    log = put(state.paths.logs_dir / "agent.log", SECRET)

    report = audit(state)

    assert codes(report, file=log) == ["SECRET_COPY"]
    assert any("memory.db" in each for each in report.notes)


def test_damage_is_searched_all_the_same(state) -> None:
    """A document that cannot be understood is noted, and searched for known secrets."""
    encrypted(state)
    path = state.paths.auth_profiles("bob")
    put(path, f'{{"profiles": {{"openai:default": {{"key": "{SECRET}"')

    report = audit(state)

    assert codes(report, file=path) == ["SECRET_COPY"]
    assert any(str(path) in each for each in report.notes)


def test_a_copy_put_aside_counts_once(state) -> None:
    """The last good copy of a store is one finding, however many secrets it holds."""
    for name in ("a", "b", "c"):
        state.auth().upsert(f"openai:{name}", {**KEY, "key": f"{SECRET}-{name}"})
    copy = state.paths.agent_dir() / ".lastgood/auth-profiles.json"

    found = [each for each in audit(state).exposures if each.file == copy]

    assert [(each.code, "3 secrets" in each.message) for each in found] == [
        ("PLAINTEXT_FOUND", True)
    ]


def test_modes_of_secrets_are_looked_at(state) -> None:
    """A secret file that others may read is found: worse where they can reach it."""
    state.auth().upsert("openai:default", KEY)
    path = state.paths.auth_profiles()
    path.chmod(0o644)

    reached = {}
    for mode in (0o700, 0o755):
        state.paths.root.chmod(mode)
        found = [each for each in audit(state).exposures if each.code == "WIDE_MODE"]
        reached[mode] = {each.file: each.severity for each in found}

    assert reached[0o700] == {path: "warning"}
    assert reached[0o755] == {path: "error", state.paths.root: "warning"}


def test_a_configuration_without_secrets_may_be_public(state) -> None:
    """The configuration is 0644 as specified, while nothing in it is secret."""
    encrypted(state)
    state.paths.config.chmod(0o644)
    fine = codes(audit(state), file=state.paths.config)

    put(state.paths.config, {"gateway": {"auth": {"token": OTHER}}}, mode=0o644)

    assert fine == []
    assert set(codes(audit(state), file=state.paths.config)) == {"PLAINTEXT_FOUND", "WIDE_MODE"}


def test_links_are_told_and_not_followed(state, tmp_path) -> None:
    """What a link out of the state leads to is not searched."""
    encrypted(state)
    outside = put(tmp_path / "outside/notes.txt", SECRET)
    (state.paths.root / "linked").symlink_to(outside)

    found = {(each.code, each.file) for each in audit(state).exposures}

    assert found == {("LINK_FOUND", state.paths.root / "linked")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_others_are_told(state) -> None:
    """A file that belongs to another user is one that they can change."""
    encrypted(state)
    path = put(state.paths.sessions_dir / "sessions.json", "{}")
    os.chown(path, 12_345, -1)

    assert codes(audit(state), file=path) == ["FOREIGN_OWNER"]


def test_progress_is_told(state) -> None:
    """Who waits sees how many bytes are done, of how many."""
    encrypted(state)
    put(state.paths.logs_dir / "agent.log", "x" * 5000)
    seen = []

    audit(state, progress=lambda done, total, _what: seen.append((done, total)))

    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] > 5000
    assert sorted(seen) == seen


def test_a_locked_secret_is_noted(state, home) -> None:
    """Without the key copies of what is sealed cannot be searched for, which is said."""
    encrypted(state)
    next(home.rglob("*.key")).unlink()
    with clawstate.open(state.paths.root) as other:
        report = audit(other)

    assert report.exposures == ()
    assert any("openai:default" in each for each in report.notes)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sk-123456789012345", "sk...45"),
        ("short", "***"),
        ("fifteen-letters", "***"),
        ("", "***"),
        ("-----BEGIN\nKEY-----------", "***"),
    ],
)
def test_only_the_ends_of_a_long_secret_are_shown(secret, shown) -> None:
    """Of a short secret, and of one over several lines, nothing is shown at all."""
    assert mask(secret) == shown


def test_the_doctor_mends_modes(state) -> None:
    """`--fix` takes secrets from others, by path, and finds nothing after."""
    state.auth().upsert("openai:default", KEY)
    path = state.paths.auth_profiles()
    path.chmod(0o666)
    path.parent.chmod(0o755)
    state.paths.root.chmod(0o755)

    found = [each for each in repair_all(check(state)) if each.code == "wide-mode"]

    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, state.paths.root)]
    assert len(found) == 3
    assert modes == [0o600, 0o700, 0o700]
    assert list(check(state)) == []


def test_the_doctor_finds_clear_text_where_encryption_is_on(state) -> None:
    """A secret that OpenClaw wrote beside encrypted ones is found, and encrypted by `--fix`."""
    encrypted(state)
    path = state.paths.auth_profiles()
    document = json.loads(path.read_text())
    document["profiles"]["openai:new"] = {**KEY, "key": OTHER}
    put(path, document)

    codes_found = [each.code for each in repair_all(check(state))]

    assert codes_found == ["clear-text"]
    assert OTHER not in path.read_text()
    assert state.auth().secret("openai:new") == OTHER
    assert list(check(state)) == []


def test_the_doctor_tells_of_a_lost_key(state, home) -> None:
    """A key that is missing is an error, whichever half of it."""
    encrypted(state)
    assert list(check(state)) == []

    (home / ".config/clawstate").rename(home / "away")
    with clawstate.open(state.paths.root) as other:
        first = [(each.code, each.severity) for each in repair_all(check(other))]
    (home / "away").rename(home / ".config/clawstate")
    (state.paths.root / "state/keys.json").unlink()
    with clawstate.open(state.paths.root) as other:
        second = [(each.code, each.severity) for each in repair_all(check(other))]

    assert first == second == [("key", "error")]


def test_the_doctor_tells_what_encryption_left(state) -> None:
    """Encrypted secrets under a setting that says off are told, with both ways out."""
    encrypted(state)
    state.config.set("state.encryption.key", "off", force=True)

    (found,) = check(state)

    assert found.code == "sealed-text"
    assert "auth decrypt" in found.fix


def test_the_doctor_tells_of_profiles(state) -> None:
    """Entries that cannot be used, refused logins, and files of older releases are told."""
    refusal = {"nonce": "n", "generation": generation_of("r", "n"), "final": True}
    tokens = {"type": "oauth", "provider": "google", "access": "a", "refresh": "r", "expires": 1}
    profiles = {
        "google:me": {**tokens, "refreshFailed": refusal},
        "odd": {"type": "carrier-pigeon", "provider": "x"},
    }
    put(state.paths.auth_profiles(), {"version": 1, "profiles": profiles})
    put(state.paths.legacy_oauth, {"google": {"access": "a"}})

    found = {(each.code, each.severity) for each in check(state)}

    assert found == {("profile", "warning"), ("needs-login", "warning"), ("legacy", "info")}
