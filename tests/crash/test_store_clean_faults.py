from __future__ import annotations

import pytest
from harm import kill_copies

import clawstate
from clawstate.state.moved_records import find_aside, remove_aside
from clawstate.state.record_moves import migrate

SECRETS = (b"made-up-secret-of-one-tenant", b"made-up-secret-of-the-other")
SCRIPT = """
import sys, warnings
from pathlib import Path
import clawstate, clawstate.state.moved_records, clawstate.records.sqlite
import clawstate.config.schema.root
from clawstate.state.moved_records import remove_aside
warnings.simplefilter("ignore")
print("WARM")
root = Path(sys.argv[1])
print("READY")
with clawstate.open(root) as state:
    remove_aside(state._context)
    print("ACK")
"""

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::clawstate.errors.StateWarning"),
]


@pytest.fixture
def template(tmp_path):
    """Return a state whose old rows, of two tenants, and old files hold secrets."""
    root = tmp_path / "template"
    with clawstate.open(root) as state:
        state.config.set("state.store", "sqlite")
    for tenant, secret in zip(("default", "team"), SECRETS, strict=True):
        with clawstate.open(root, tenant=tenant) as state:
            profile = {"type": "api_key", "provider": "openai", "key": secret.decode()}
            state.auth().upsert(f"openai:{tenant}", profile)
    for tenant in ("default", "team"):
        with clawstate.open(root, tenant=tenant) as state:
            migrate(state._context, "file")
    with clawstate.open(root) as state:
        for tenant in ("default", "team"):
            state.auth().upsert(f"openai:{tenant}", {**profile, "key": "another-made-up-key"})
    return root


def held(root):
    """Return which secrets stand in a file of what was set aside, or of the database."""
    files = [each for each in (root / "state").rglob("*") if each.is_file()]
    return {each for each in SECRETS for file in files if each in file.read_bytes()}


def test_a_clean_removes_what_was_set_aside_of_all_tenants(template) -> None:
    """Tenants share the database: none of their old rows is left, nor a free page with them."""
    with clawstate.open(template) as state:
        assert find_aside(state._context).rows >= len(SECRETS)
        assert held(template) == {*SECRETS}

        assert remove_aside(state._context).problems == ()

        assert not find_aside(state._context)
    assert held(template) == set()


def test_a_killed_clean_is_named_until_nothing_is_left(victim, tmp_path, template) -> None:
    """Killed at any call, secrets that are left are told of, and the next clean removes them."""

    def problems(root):
        wrong = []
        with clawstate.open(root) as state:
            if held(root) and not find_aside(state._context):
                wrong.append("secrets are left, and nothing tells of them")
            if any(remove_aside(state._context).problems) or find_aside(state._context):
                wrong.append("a second clean does not end it")
            if len(state.auth().profiles()) != len(SECRETS):
                wrong.append("credentials in use are gone")
        if left := held(root):
            wrong.append(f"a second clean leaves {left}")
        return wrong

    kill_copies(victim, template, tmp_path, problems)
