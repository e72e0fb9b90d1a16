"""What the OpenClaw of a directory accepts is neither unknown nor wrong to us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from accepted_samples import samples

import clawstate
from clawstate.config.issues import check
from clawstate.doctor import examine
from clawstate.openclaw.accepted import VERSIONS, read_accepted
from clawstate.openclaw.owner import Era

MARK = {Era.FILES: "cron/jobs.json", Era.SQLITE: "state/openclaw.sqlite"}
NEWER = {
    "agents": {"entries": {"main": {}}},
    "memory": {"search": {"provider": "openai", "model": "m"}},
    "session": {"maintenance": {"coldStorage": {"enabled": True}}, "reset": {"mode": "none"}},
    "meta": {"lastTouchedVersion": "2026.9.6", "migrations": {}},
}


def directory(root: Path, era: Era, config: Any) -> Path:
    (root / MARK[era]).parent.mkdir(parents=True)
    (root / MARK[era]).touch()
    (root / "openclaw.json").write_text(json.dumps(config))
    return root


@pytest.mark.parametrize("version", VERSIONS.values())
def test_every_key_and_choice_that_a_release_accepts_is_right_where_it_lives(version):
    """No key and no choice that the schema of a release lists is an issue beside it."""
    known = read_accepted(version)

    found = {
        (".".join(map(str, each.path)), each.message)
        for sample in samples(known)
        for each in check(sample, accepted=known)
    }

    # The form of an id is checked by that program as well; its schema does not tell.
    assert {path for path, message in found if "an id that the source" not in message} == set()


def test_settings_of_a_new_release_are_right_beside_it_and_unknown_elsewhere(tmp_path):
    """What only a new release knows is right in its directory, and unknown in one of nobody's."""
    beside = clawstate.open(directory(tmp_path / "beside", Era.SQLITE, NEWER))
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/openclaw.json").write_text(json.dumps({**NEWER, "meta": {}}))
    alone = clawstate.open(tmp_path / "alone")

    with beside, alone:
        assert beside.config.issues() == ()
        unknown = {each.path for each in alone.config.issues()}
        assert ("agents", "entries") in unknown
        assert ("session", "reset", "mode") in unknown


def test_what_the_release_does_not_know_is_named_where_it_stands(tmp_path):
    """Below a key that only OpenClaw knows, what it refuses is found as well."""
    config = {"agents": {"entries": {"main": {"colour": "x"}}}, "memory": {"find": {}}}

    with clawstate.open(directory(tmp_path / "state", Era.SQLITE, config)) as state:
        found = {each.path: each.message for each in state.config.issues()}

    assert found == {
        ("agents", "entries", "main", "colour"): "unknown key",
        ("memory", "find"): "unknown key",
    }


def test_what_the_release_accepts_can_be_set(tmp_path):
    """A choice that the release accepts is no error of a change."""
    with clawstate.open(directory(tmp_path / "state", Era.SQLITE, {})) as state:
        state.config.set("session.reset.mode", "none")

        assert state.config.get("session.reset.mode") == "none"
        assert state.config.issues() == ()


@pytest.mark.parametrize("era", VERSIONS)
def test_the_doctor_is_content_with_the_settings_of_the_release(tmp_path, era):
    """An untouched configuration of OpenClaw has no finding."""
    config = NEWER if era is Era.SQLITE else {"messages": {"tts": {"enabled": True}}}

    with clawstate.open(directory(tmp_path / "state", era, config)) as state:
        found = [each for each in examine(state) if each.code == "config"]

    assert found == []


@pytest.mark.parametrize("era", VERSIONS)
@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e400", "10.5"])
def test_a_number_that_is_no_integer_is_named_where_one_has_to_be(tmp_path, era, number):
    """What JSON5 has beside the integers is a finding, and no reason to stop."""
    root = directory(tmp_path / "state", era, {})
    (root / "openclaw.json").write_text(f"{{gateway: {{port: {number}}}}}")

    with clawstate.open(root) as state:
        found = [each.path for each in state.config.issues()]
        state.config.set("gateway.port", 18790, force=True)

        assert found == [("gateway", "port")]
        assert state.config.issues() == ()
