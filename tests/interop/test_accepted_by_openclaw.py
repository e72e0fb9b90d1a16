"""Every setting of our schema, set beside each real OpenClaw, which must accept its file still."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from openclaw_package import SQLITE, AbsentError, OpenClaw, find

from clawstate.config.issues import check
from clawstate.config.service import Config
from clawstate.errors import StateError
from clawstate.files.paths import StatePaths
from clawstate.json5.key_path import format_key_path, get_at, set_at
from clawstate.openclaw.accepted import VERSIONS
from clawstate.openclaw.owner import Era

sys.path.append(str(Path(__file__).parents[1] / "config"))

from setting_samples import samples

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MARKS = {Era.FILES: "devices/paired.json", Era.SQLITE: "state/openclaw.sqlite"}
# What must name a plugin or a directory that is there, or contradicts another setting of its own.
NAMES = {
    ("plugins", "allow", 0): "memory-core",
    ("plugins", "deny", 0): "llm-task",
    ("plugins", "slots", "memory"): "memory-core",
    ("plugins", "load", "paths", 0): "/tmp",
    ("auth", "profiles", "name", "provider"): "openai",
    ("gateway", "tailscale", "mode"): "off",
}


@pytest.fixture(params=[Era.FILES, Era.SQLITE], ids=VERSIONS.values())
def era(request) -> Era:
    return request.param


@pytest.fixture
def real(openclaw: OpenClaw, era: Era) -> OpenClaw:
    if era is Era.FILES:
        return openclaw
    try:
        return find(SQLITE)
    except AbsentError as error:
        pytest.skip(str(error))


def forms() -> dict[tuple[str | int, ...], list[Any]]:
    found: dict[tuple[str | int, ...], list[Any]] = defaultdict(list)
    for path, value in samples():
        chosen = NAMES.get(path, value)
        if not any(chosen is each or (chosen == each and chosen != 1) for each in found[path]):
            found[path].append(chosen)
    return found


def completed(tree: Any, known: dict[tuple[str | int, ...], list[Any]]) -> Any:
    """Return *tree* with what our schema requires besides."""
    missing = [each.path for each in check(tree) if each.message == "is missing"]
    for path in missing:
        plain = tuple(0 if isinstance(step, int) else step for step in path)
        tree = set_at(tree, path, known.get(plain, ["abc"])[0])
    return completed(tree, known) if missing else tree


def set_one(config: Config, path: tuple[str | int, ...], tree: Any) -> bool:
    """Set the value of *tree* at *path*, or the list or entry around it, which must be whole."""
    cut = next((i for i, step in enumerate(path) if isinstance(step, int) or step == "name"), None)
    at = path if cut is None else path[: cut + (not isinstance(path[cut], int))]
    try:
        config.set(format_key_path(at), get_at(tree, at), force=True)
    except StateError:
        return False  # another form of it stands there already
    return True


def test_no_setting_of_ours_makes_its_file_invalid(
    real: OpenClaw, era: Era, tmp_path: Path
) -> None:
    """Whatever form of whichever setting is set: the real program finds its configuration valid."""
    known = forms()
    count = 0
    for form in range(max(map(len, known.values()))):
        home = tmp_path / str(form)
        root = home / ".openclaw"
        mark = root / MARKS[era]
        mark.parent.mkdir(parents=True, mode=0o700)
        mark.write_text("{}" if era is Era.FILES else "")
        config = Config(StatePaths(root), env={"HOME": str(home)}, cwd=root)
        for path, values in known.items():
            if form < len(values):
                count += set_one(config, path, completed(set_at({}, path, values[form]), known))
        mark.unlink()  # an empty one would be damage

        complaint = complaint_of(real, era, home)

        assert complaint == "", complaint
        assert config.get("state.store") or form
    assert count > len(known)


def complaint_of(real: OpenClaw, era: Era, home: Path) -> str:
    """Return what the program says is wrong with the configuration in *home*."""
    path = home / ".openclaw/openclaw.json"
    if not path.exists():
        return ""
    words = ["config", "validate"] if era is Era.SQLITE else ["config", "get", "no.such.key"]
    done = subprocess.run(
        [*real.cli, *words],
        env={**real.environment(home), "NO_COLOR": "1", "OPENCLAW_NO_RESPAWN": "1"},
        cwd=home,
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    said = done.stdout + done.stderr
    if era is Era.SQLITE:
        return "" if done.returncode == 0 else said
    return said if "nvalid config" in said or "Config invalid" in said else ""


def test_the_program_would_complain(real: OpenClaw, era: Era, tmp_path: Path) -> None:
    """The proof can fail: a setting of ours in its file is what the program refuses."""
    root = tmp_path / ".openclaw"
    root.mkdir(mode=0o700)
    (root / "openclaw.json").write_text(json.dumps({"state": {"store": "sqlite"}}))

    assert "state" in complaint_of(real, era, tmp_path)
