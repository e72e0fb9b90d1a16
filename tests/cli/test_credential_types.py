from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import clawstate
from clawstate import InvalidError
from clawstate.doctor.audit import audit
from clawstate.secret_rules import mask
from clawstate.stores.auth.credentials import (
    TYPES,
    Credential,
    credential_type,
    expiry,
    reference,
    secret,
    text,
)

PEM = "-----BEGIN CANARY KEY-----\nMIIBVgIBADANBgkq\n-----END CANARY KEY-----\n"
NAME = "bank:work"
DAY = 86_400.0


@pytest.fixture(autouse=True)
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type]:
    """Declare a type of credentials that clawstate does not have, as its own ones are declared."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    @credential_type(rank=-1, prompt="certificate as PEM")
    @dataclass(frozen=True, kw_only=True)
    class Certificate(Credential):
        type: ClassVar[str] = "certificate"

        pem: str | None = secret("pem", "certificate", label="a certificate", exact=True)
        pem_ref: object = reference("pemRef")
        ends: float | None = expiry("notAfter")
        subject: str | None = text("subject")

    yield Certificate
    del TYPES["certificate"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state"


def record(**more: object) -> dict[str, object]:
    return {"type": "certificate", "provider": "bank", "pem": PEM, "subject": "CN=ada", **more}


def test_it_is_kept_and_read_as_a_value(root, certificate) -> None:
    """It is stored from an object and from a value, in every engine, with what is not known."""
    for store in ("file", "sqlite"):
        with clawstate.open(root / store, store=store) as state:
            auth = state.auth()
            made = auth.upsert(NAME, record(notAfter=9e12, colour="blue"))
            auth.upsert("bank:other", certificate(provider="bank", pem=PEM))

            assert made == auth.require(NAME)
            assert (made.pem, made.ends, made.subject) == (PEM, 9e9, "CN=ada")
            assert made.extra == {"colour": "blue"}
            assert auth.secret("bank:other") == PEM
            assert PEM not in repr(made)
            assert auth.document()["profiles"][NAME] == record(notAfter=9e12, colour="blue")


def test_its_members_are_checked(root) -> None:
    """A member of a wrong kind is refused by its name, and no value is repeated."""
    wrong = {"pem": 1, "certificate": [PEM], "notAfter": "soon", "subject": 3, "pemRef": "x"}
    with clawstate.open(root) as state:
        for name, value in wrong.items():
            with pytest.raises(InvalidError) as caught:
                state.auth().upsert(NAME, record(**{name: value}))
            assert name in str(caught.value)
        with pytest.raises(InvalidError, match="pem"):
            state.auth().upsert(NAME, {"type": "certificate", "provider": "bank"})


def test_it_expires_and_takes_its_place_in_the_order(root) -> None:
    """Its rank puts it before the others; once it expired it is left out, and gives no secret."""
    with clawstate.open(root) as state:
        auth, now = state.auth(), state.clock()
        auth.upsert("bank:key", {"type": "api_key", "provider": "bank", "key": "sk-1"})
        auth.upsert(NAME, record(notAfter=(now + DAY) * 1000))
        auth.upsert("bank:old", record(notAfter=(now - DAY) * 1000))

        states = {each.id: auth.standing(each).state for each in auth.profiles()}

        assert auth.order("bank") == (NAME, "bank:key")
        assert states == {"bank:key": "good", NAME: "good", "bank:old": "expired"}
        with pytest.raises(clawstate.UnavailableError, match="store a new one"):
            auth.secret("bank:old")


def test_a_reference_takes_the_place_of_its_secret(root, monkeypatch) -> None:
    """A reference is resolved, and no secret is written beside it."""
    monkeypatch.setenv("CANARY_PEM", "resolved-canary")
    reference = {"source": "env", "provider": "default", "id": "CANARY_PEM"}
    with clawstate.open(root) as state:
        state.auth().upsert(NAME, record(pemRef=reference))

        assert state.auth().secret(NAME) == "resolved-canary"
        assert "pem" not in state.auth().document()["profiles"][NAME]


def test_the_command_line_asks_for_it_and_shows_it(cli, root) -> None:
    """`auth add` knows the type and its prompt; `list` and `show` mask the secret."""
    added = cli("auth", "add", NAME, "--type", "certificate", stdin=PEM.encode())
    listed = cli("auth", "list", "--json").json["profiles"]
    shown = cli("auth", "show", NAME, "--json").json
    referred = cli("auth", "add", "bank:ci", "--type", "certificate", "--ref", "env:default:PEM")
    wrong = cli("auth", "add", NAME, "--type", "cert", stdin=b"x")

    assert (added.code, referred.code, wrong.code) == (0, 0, 2), added.err + referred.err
    assert "certificate" in wrong.err
    assert listed == [shown]
    assert (shown["type"], shown["secret"], shown["state"]) == ("certificate", mask(PEM), "good")
    assert PEM not in json.dumps(shown)
    with clawstate.open(root) as state:
        assert state.auth().secret(NAME) == PEM


def test_it_is_encrypted_and_found_in_the_clear(root) -> None:
    """Encryption takes its secret, the audit names it; decryption brings back what was there."""
    with clawstate.open(root) as state:
        state.auth().upsert(NAME, record())
        found = [each for each in audit(state).exposures if each.profile_id == NAME]

        state.encryption.turn_on("file")
        kept = state.auth().document()["profiles"][NAME]

        assert [(each.code, each.where.rpartition(".")[2]) for each in found] == [
            ("PLAINTEXT_FOUND", "pem")
        ]
        assert "certificate" in found[0].message
        assert "pem" not in kept
        assert "sealed" in kept["pemSealed"]
        assert state.auth().secret(NAME) == PEM
        state.encryption.turn_off()
        assert state.auth().document()["profiles"][NAME] == record()


def test_it_is_merged_from_another_document(root, tmp_path) -> None:
    """What one state exports another takes over; the same again changes nothing."""
    with clawstate.open(root) as state:
        state.auth().upsert(NAME, record())
        document = state.auth().document()

    with clawstate.open(tmp_path / "other") as other:
        first, second = other.auth().merge(document), other.auth().merge(document)

        assert (first.new, second.same) == ((NAME,), (NAME,))
        assert other.auth().secret(NAME) == PEM


def test_it_is_imported_from_an_openclaw(cli, root, tmp_path) -> None:
    """An import of an OpenClaw state brings it, and files of older releases do."""
    folder = tmp_path / "theirs/agents/main/agent"
    folder.mkdir(parents=True)
    document = {"version": 1, "profiles": {NAME: record()}}
    (folder / "auth-profiles.json").write_text(json.dumps(document))
    older = root / "agents/main/agent"
    older.mkdir(parents=True, mode=0o700)
    (older / "auth.json").write_text(json.dumps({"vault": {**record(), "provider": "vault"}}))

    legacy = cli("auth", "import", "--json").json
    ran = cli("import", "openclaw", tmp_path / "theirs", "--json")

    assert ran.code == 0, ran.err
    assert legacy["imported"] == 1
    with clawstate.open(root) as state:
        assert {each.id: each.type for each in state.auth().profiles()} == {
            NAME: "certificate",
            "vault:default": "certificate",
        }


def test_the_doctor_looks_at_it(root) -> None:
    """An end in seconds, and a record that cannot be read, are found as with the others."""
    with clawstate.open(root) as state:
        auth = state.auth()
        auth.merge({"version": 1, "profiles": {NAME: record(notAfter=1_900_000_000)}})
        path = root / "agents/main/agent/auth-profiles.json"
        document = json.loads(path.read_text())
        document["profiles"][NAME]["notAfter"] = 1_900_000_000
        document["profiles"]["bank:broken"] = {"type": "certificate", "pem": PEM}
        path.write_text(json.dumps(document))

        assert {each.code for each in auth.check()} == {"seconds", "profile"}
