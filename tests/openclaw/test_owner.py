"""Whose a state directory is."""

from __future__ import annotations

from pathlib import Path

import pytest

import clawstate
from clawstate.files.unchanged import is_settled, numbers_of
from clawstate.openclaw import owner
from clawstate.openclaw.owner import Era, Ownership, find_owner


def make(root: Path, *paths: str, text: str = "{}") -> Path:
    for each in paths:
        target = root / each
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def test_an_absent_directory_is_nobodys(tmp_path: Path) -> None:
    """A directory that does not exist yet is nobody's."""
    assert find_owner(tmp_path / "none").era is Era.NOBODY


def test_what_clawstate_keeps_makes_no_openclaw(tmp_path: Path) -> None:
    """A directory with nothing but what clawstate writes is nobody's."""
    ours = (
        *("openclaw.json", "sessions/sessions.json", "state/pairing.json", "memory/memory.db"),
        *("agents/main/agent/auth-profiles.json", "identity/device.json", "dedupe/a.json"),
    )

    assert not find_owner(make(tmp_path, *ours)).is_openclaw


@pytest.mark.parametrize(
    "path",
    ["agents/main/sessions/sessions.json", "identity/device-auth.json", "devices/paired.json"],
)
def test_files_of_openclaw_tell_the_file_era(tmp_path: Path, path: str) -> None:
    """A file that only OpenClaw writes makes the directory OpenClaw's, of the file era."""
    owner = find_owner(make(tmp_path, "openclaw.json", path))

    assert owner.era is Era.FILES
    assert path.startswith(owner.mark)


def test_a_configuration_that_openclaw_wrote_tells_the_file_era(tmp_path: Path) -> None:
    """The version that OpenClaw leaves in its configuration shows whose the directory is."""
    text = '{"meta": {"lastTouchedVersion": "2026.2.26"}}'

    assert find_owner(make(tmp_path, "openclaw.json", text=text)).era is Era.FILES


@pytest.mark.parametrize(
    "path", ["state/openclaw.sqlite", "agents/work/agent/openclaw-agent.sqlite"]
)
def test_a_database_tells_the_sqlite_era(tmp_path: Path, path: str) -> None:
    """A database of OpenClaw wins over files that are left from its file era."""
    owner = find_owner(make(tmp_path, path, "devices/paired.json"))

    assert (owner.era, owner.mark) == (Era.SQLITE, path)


@pytest.mark.parametrize(
    "path",
    [
        "agents/main/agent/models.json",  # an agent that ran
        "agents/main/sessions/a.jsonl",
        "memory/main.sqlite",  # `openclaw status`, and nothing else
        "identity/device.json",  # `openclaw doctor`, and nothing else
        "workspace/AGENTS.md",  # `openclaw onboard`
        "canvas/index.html",  # a gateway that started once
    ],
)
def test_a_single_look_of_a_fresh_openclaw_is_enough(tmp_path: Path, path: str) -> None:
    """What one command of a fresh OpenClaw of the file era leaves makes the directory its own."""
    assert find_owner(make(tmp_path, path)).era is Era.FILES


def test_an_empty_directory_of_sessions_is_openclaws(tmp_path: Path) -> None:
    """Onboarding makes the directory of the main agent's sessions, and nothing in it yet."""
    (tmp_path / "agents/main/sessions").mkdir(parents=True)

    assert find_owner(tmp_path).era is Era.FILES


def test_all_that_clawstate_keeps_leaves_a_directory_nobodys(tmp_path: Path, clock) -> None:
    """A directory in which clawstate alone used all that it has stays nobody's."""
    root = tmp_path / "state"
    key = {"type": "api_key", "provider": "openai", "key": "made-up"}
    with clawstate.open(root, clock=clock) as state:
        state.config.set("gateway.port", 18790)
        state.config.set("session.store", "agents/{agentId}/sessions/sessions.json")
        state.auth().upsert("openai:a", key)
        state.auth("work").upsert("openai:a", key)
        state.pairing.approve(state.pairing.request(user_id="ada", device_id="phone").code)
        state.identity.load_or_create()
        state.device_auth.set("operator", "a-token", ["operator.read"])
        state.dedupe.check_and_record("update-1", namespace="telegram")
        state.memory.add("tea")
    with clawstate.open(root, clock=clock) as state:
        entry = state.sessions.resolve("agent:main:main")
        state.transcripts.append(entry.session_id, [{"role": "user", "content": "x"}])

        assert (root / "agents/main/sessions/sessions.json").exists()
        assert find_owner(root).era is Era.NOBODY


def test_what_people_put_there_for_us_is_nobodys(tmp_path: Path, clock) -> None:
    """A plugin of ours, a database at another place and a folder of notes make no OpenClaw."""
    plugin = tmp_path / "extensions" / "mine"
    make(tmp_path, "extensions/mine/clawstate.plugin.json", "workspace/notes.md")
    make(tmp_path, "extensions/mine/package.json", "extensions/readme.txt")
    with clawstate.open(tmp_path, clock=clock) as state:
        state.config.set("memory.store.path", "memory/mine.sqlite")
    with clawstate.open(tmp_path, clock=clock) as state:
        state.memory.add("tea")

        assert (tmp_path / "memory" / "mine.sqlite").exists()
        assert find_owner(tmp_path).era is Era.NOBODY
        assert not state.owner.is_openclaw

        (plugin / "clawstate.plugin.json").unlink()
        assert find_owner(tmp_path).mark == "extensions/mine"


def test_only_the_identity_of_ours_is_nobodys(tmp_path: Path, clock) -> None:
    """A key pair that clawstate made, alone in its directory, makes no OpenClaw."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.identity.load_or_create()

    assert find_owner(tmp_path / "state").era is Era.NOBODY


def test_an_open_state_notices_the_database_of_openclaw(tmp_path: Path, clock) -> None:
    """Whose a directory is changes under an open state when OpenClaw makes its database."""
    with clawstate.open(tmp_path, clock=clock) as state:
        assert state.owner.era is Era.NOBODY
        make(tmp_path, "state/openclaw.sqlite")

        assert state.owner.era is Era.SQLITE


MOVING_IN = [
    *(
        "cron",
        "workspace/SOUL.md",
        "extensions/voice/openclaw.plugin.json",
        "clawdbot.json",
        "identity/device-auth.json",
        "identity/device.json",
    ),
    *("agents/main/agent/models.json", "agents/main/agent/openclaw-agent.sqlite"),
    *("agents/main/sessions/x.jsonl", "agents/new/sessions/sessions.json", "memory/main.sqlite"),
    *("state/openclaw.sqlite", "linked/openclaw.sqlite"),
]


@pytest.mark.parametrize("path", MOVING_IN)
@pytest.mark.parametrize("settled", [False, True])
def test_whose_a_directory_is_is_noticed_however_it_shows(tmp_path, path, settled) -> None:
    """What makes a directory OpenClaw's is noticed at the next look, wherever it appears."""
    root, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    ownership = Ownership(root)
    assert ownership.again().era is Era.NOBODY
    for folder in ("identity", "agents/main/agent", "agents/main/sessions/.lastgood", "memory"):
        (root / folder).mkdir(parents=True)
    (root / "agents/main/sessions/y.jsonl").write_text('{"type": "session"}\n')
    if path.startswith("linked"):
        (root / "state").symlink_to(elsewhere)
    assert ownership.again().era is Era.NOBODY
    while settled and not is_settled(numbers_of(str(root))):
        pass
    assert ownership.again().era is Era.NOBODY

    if path.startswith("linked"):
        make(elsewhere, "openclaw.sqlite")
    elif path == "agents/main/sessions/x.jsonl":
        with (root / "agents/main/sessions/y.jsonl").open("a") as transcript:
            transcript.write('{"type": "message"}\n')
    else:
        make(root, path)

    assert ownership.again() == find_owner(root)
    assert ownership.again().is_openclaw


def test_a_directory_that_did_not_change_is_not_looked_through(tmp_path, monkeypatch) -> None:
    """Whose a directory is is found out again only when a directory or the configuration moved."""
    root = tmp_path / "state"
    for folder in ("identity", "agents/main/agent", "state"):
        (root / folder).mkdir(parents=True)
    config = root / "openclaw.json"
    config.write_text("{}")
    ownership, searches = Ownership(root), []
    monkeypatch.setattr(owner, "find_owner", lambda of: searches.append(of) or find_owner(of))
    while not all(is_settled(numbers_of(str(each))) for each in (root, *root.rglob("*"))):
        pass
    ownership.again()
    del searches[:]

    for _ in range(3):
        ownership.again()
    assert searches == []

    with config.open("a") as text:
        text.write('// {"lastTouchedVersion": "1"}')
    assert ownership.again().era is Era.FILES
    assert len(searches) == 1
