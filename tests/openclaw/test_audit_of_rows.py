"""Secrets in the rows of OpenClaw's databases, found by an audit."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from openclaw_databases import SECRETS, OpenClawDatabases

import clawstate
from clawstate.doctor.audit import audit

STATE = "state/openclaw.sqlite"


@pytest.fixture
def made(tmp_path: Path, clock) -> OpenClawDatabases:
    return OpenClawDatabases(tmp_path / "openclaw", clock()).everything()


def audited(root: Path):
    with clawstate.open(root) as state:
        return audit(state)


def found(report, root: Path) -> set[tuple[str, str]]:
    return {
        (str(each.file.relative_to(root)), each.where)
        for each in report.exposures
        if each.code == "PLAINTEXT_FOUND"
    }


def test_every_kind_of_secret_in_rows_is_found(made) -> None:
    """Credentials, stored secrets, keys and tokens are named by table, key and column."""
    sql = "INSERT INTO {} VALUES ('scope', 'device', 'operator', 'secret-of-another-gateway')"
    made.state(
        "CREATE TABLE gateway_origin_device_tokens "
        "(gateway_scope TEXT, device_id TEXT, role TEXT, token TEXT)"
    )
    made.state(sql.format("gateway_origin_device_tokens"))

    report = audited(made.root)

    agent = "agents/work/agent/openclaw-agent.sqlite"
    store = "config_machine_state[authProfiles.store].value_json.profiles"
    with closing(sqlite3.connect(made.root / STATE)) as database:
        (device,) = database.execute("SELECT device_id FROM device_identities").fetchone()
    assert found(report, made.root) == {
        (STATE, f"{store}.openai:default.key"),
        (STATE, f"{store}.google:me.access"),
        (STATE, f"{store}.google:me.refresh"),
        (agent, "auth_profile_store[primary].store_json.profiles.anthropic:w.token"),
        (STATE, "secret_store_entries[team/API_TOKEN].value"),
        (STATE, "secret_store_entries[team/GONE].value"),
        (STATE, "device_identities[primary].private_key_pem"),
        (STATE, f"device_auth_tokens[{device}/operator].token"),
        (STATE, "device_pairing_paired[phone].tokens_json.node.token"),
        (STATE, "mcp_oauth_stores[server].store_json.tokens.access_token"),
        (STATE, "gateway_origin_device_tokens[].token"),
    }
    assert not [secret for secret in SECRETS if secret in repr(report)]


def test_a_schema_that_is_too_new_is_audited_all_the_same(made) -> None:
    """Secrets of a database that cannot be imported yet lie in the clear no less."""
    before = found(audited(made.root), made.root)
    made.state("UPDATE schema_meta SET schema_version = 99")

    assert found(audited(made.root), made.root) == before


def test_what_only_the_log_holds_is_found_and_nothing_is_changed(made) -> None:
    """A token that a running gateway wrote just now counts; its databases stay as they are."""
    path = made.root / STATE
    with closing(sqlite3.connect(path)) as gateway:
        gateway.execute(
            "INSERT INTO device_auth_tokens VALUES ('x', 'node', 'new-secret-1', '[]', 1)"
        )
        gateway.commit()
        data = path.read_bytes()

        assert (STATE, "device_auth_tokens[x/node].token") in found(audited(made.root), made.root)
        assert path.read_bytes() == data


def test_files_that_openclaw_migrated_are_looked_at(made) -> None:
    """What the migration left behind still holds secrets, and is named."""
    profile = {"type": "api_key", "provider": "openai", "key": SECRETS[0]}
    left = json.dumps({"version": 1, "profiles": {"openai:default": profile}})
    name = "agents/main/agent/auth-profiles.json.migrated-2026-11-29T10-00-00.000Z-0123"
    made.file(name, left)
    phone = {"phone": {"tokens": {"node": {"token": SECRETS[5]}}}}
    made.file("devices/paired.json.migrated", json.dumps(phone))

    files = {file for file, _ in found(audited(made.root), made.root)}

    assert {name, "devices/paired.json.migrated"} <= files


def test_secrets_of_rows_are_searched_for_elsewhere(made) -> None:
    """A secret of a row that also stands in a log is a copy."""
    made.file("logs/gateway.log", f"using {SECRETS[4]}\n")

    report = audited(made.root)

    copies = {each.file.name for each in report.exposures if each.code == "SECRET_COPY"}
    assert copies == {"gateway.log"}
