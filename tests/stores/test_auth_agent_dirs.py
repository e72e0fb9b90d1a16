from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.doctor.audit import audit
from clawstate.doctor.examination import check_secret_files
from clawstate.files.paths import resolve_main_agent_dir
from clawstate.health import repair_all
from clawstate.importers.openclaw import import_openclaw
from clawstate.state.agents import agents_of

NAME = "openai:default"
KEY = {"type": "api_key", "provider": "openai", "key": "sk-canary-1234567890"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path / "state"


@pytest.fixture
def opened(root):
    """Return a state whose agents have these directories, as a context manager."""

    def opened(store="file", **folders):
        agents = [{"id": name, "agentDir": str(each)} for name, each in folders.items()]
        (root / "openclaw.json").write_text(json.dumps({"agents": {"list": agents}}))
        return clawstate.open(root, store=store)

    return opened


def stored(folder):
    return json.loads((folder / "auth-profiles.json").read_text())["profiles"]


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ("{tmp}/outer/work", "outer/work"),
        ("{tmp}/state/own/work", "state/own/work"),
        ("own/work", "state/own/work"),
        ("~/creds", "home/creds"),
        ("../beside", "beside"),
        ("  ", "state/agents/work/agent"),
    ],
)
def test_credentials_lie_where_the_agent_is_said_to_keep_them(
    opened, root, tmp_path, named, place
) -> None:
    """An `agentDir`, inside of the state or not, is the place of the file, private from birth."""
    with opened(work=named.format(tmp=tmp_path)) as state:
        state.auth("work").upsert(NAME, KEY)

    with clawstate.open(root, store="file") as state:
        assert state.auth("work").secret(NAME) == KEY["key"]
        assert state.auth().get(NAME) is None

    folder = tmp_path / place
    assert stored(folder) == {NAME: KEY}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "auth-profiles.json").stat().st_mode & 0o777 == 0o600
    is_usual = place == "state/agents/work/agent"
    assert (root / "agents/work/agent/auth-profiles.json").exists() == is_usual


def test_the_environment_names_the_directory_of_the_main_agent(
    opened, root, tmp_path, monkeypatch
) -> None:
    """The variables count before the configuration, for the main agent of the state they name."""
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(root))
    monkeypatch.setenv("PI_CODING_AGENT_DIR", str(tmp_path / "pi"))
    with opened(main=tmp_path / "configured") as state:
        state.auth().upsert("openai:pi", KEY)
    monkeypatch.setenv("OPENCLAW_AGENT_DIR", "~/claw")
    with opened(main=tmp_path / "configured") as state:
        state.auth().upsert("openai:claw", KEY)
        state.auth("work").upsert("openai:work", KEY)

    with clawstate.open(tmp_path / "another", store="file") as state:
        state.auth().upsert("openai:another", KEY)

    assert list(stored(tmp_path / "pi")) == ["openai:pi"]
    assert list(stored(tmp_path / "home/claw")) == ["openai:claw"]
    assert list(stored(root / "agents/work/agent")) == ["openai:work"]
    assert list(stored(tmp_path / "another/agents/main/agent")) == ["openai:another"]
    assert not (tmp_path / "configured").exists()


def test_blank_variables_name_no_directory() -> None:
    """A variable that is blank is as good as none."""
    assert resolve_main_agent_dir({"OPENCLAW_AGENT_DIR": " ", "PI_CODING_AGENT_DIR": ""}) is None


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_older_credentials_come_from_there(opened, tmp_path, store) -> None:
    """`auth.json` in an `agentDir` is taken over, also where a database keeps the records."""
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "auth.json").write_text(json.dumps({"openai": {"type": "api_key", "key": "sk-old"}}))

    with opened(store, work=outer) as state:
        state.auth("work").upsert("xai:me", {**KEY, "provider": "xai"})
        found = set(state.auth("work").document()["profiles"])

    assert found == {NAME, "xai:me"}
    assert (outer / "auth-profiles.json").exists() == (store == "file")


@pytest.mark.parametrize("inside", [True, False])
def test_all_that_looks_after_credentials_looks_there(opened, root, tmp_path, inside) -> None:
    """Encryption, the audit and the doctor find what an agent keeps elsewhere."""
    folder = root / "own" if inside else tmp_path / "outer"
    with opened(work=folder) as state:
        state.auth("work").upsert(NAME, KEY)
        (folder / "auth.json").write_text('{"xai": {"type": "api_key", "key": "sk-older-98765"}}')
        folder.chmod(0o755)
        (folder / "auth-profiles.json").chmod(0o644)

        assert "work" in agents_of(state._context)
        seen = audit(state)
        found = repair_all((*check_secret_files(state), *state.health.check("auth")))
        sealed = state.encryption.turn_on("file")

    files = {each.file for each in seen.exposures if each.code == "PLAINTEXT_FOUND"}
    assert files >= {folder / "auth-profiles.json", folder / "auth.json"}
    assert all(each.is_relative_to(folder) for each in files)
    wide = {each.file for each in seen.exposures if each.code == "WIDE_MODE"}
    assert wide >= {folder, folder / "auth-profiles.json"}
    assert {each.path for each in found if each.code == "wide-mode"} >= {
        str(folder),
        str(folder / "auth-profiles.json"),
    }
    assert folder.stat().st_mode & 0o077 == 0
    assert str(folder / "auth.json") in {each.path for each in found if each.code == "legacy"}
    assert sealed.changed == 1
    assert KEY["key"] not in (folder / "auth-profiles.json").read_text()
    assert any(str(folder / "auth.json") in each for each in sealed.remains)


def test_an_outer_directory_is_not_searched_for_what_is_no_agents(opened, tmp_path) -> None:
    """Of a directory that others use too, only the files of an agent are looked at."""
    outer = tmp_path / "outer"
    outer.mkdir(mode=0o700)
    (outer / "diary.txt").write_text(KEY["key"])
    (outer / "deep").mkdir()
    (outer / "deep/auth-profiles.json").write_text("{}")

    with opened(work=outer) as state:
        state.auth("work").upsert(NAME, KEY)
        seen = audit(state)

    assert not {each.file for each in seen.exposures} & {outer / "diary.txt", outer / "deep"}
    assert outer / "auth-profiles.json" in seen.scanned


def test_an_import_never_writes_into_its_source(opened, tmp_path) -> None:
    """Where the configuration keeps an agent's credentials in the source, they are not taken."""
    source = tmp_path / "openclaw"
    there = source / "agents/work/agent"
    there.mkdir(parents=True)
    (there / "auth-profiles.json").write_text(json.dumps({"version": 1, "profiles": {NAME: KEY}}))
    before = {each: each.stat().st_mtime_ns for each in source.rglob("*")}

    with opened(work=source / "mine") as state:
        report = import_openclaw(state, source, kinds=["auth"])

    assert report.counts["auth"].failed == 1
    assert "agentDir" in str(report.remarks)
    assert {each: each.stat().st_mtime_ns for each in source.rglob("*")} == before
