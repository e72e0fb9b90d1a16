"""Backups that come by themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawstate.backup.keeping import choose_surplus
from clawstate.backup.manifest import Backup
from clawstate.backup.schedule import run_due, schedule_for
from clawstate.doctor import examine
from clawstate.errors import InvalidError, NotFoundError

DAY = 86_400.0
SYSTEMCTL = '#!/bin/sh\necho "$@" >> "$HOME/told"\n'


def backup(day: float, *, verified: bool = True) -> Backup:
    created = 1_800_000_000 + day * DAY
    return Backup(Path(f"{day}"), created, "s", 1, False, verified=created if verified else None)


def test_a_policy_keeps_the_newest_of_each_day_and_week() -> None:
    """Of a year of two backups a day, seven days and four weeks are left, each the newest."""
    every = [backup(half / 2) for half in range(730)]

    surplus = set(choose_surplus(every, "7d,4w"))

    left = [each for each in every if each not in surplus]
    assert left[-1] == every[-1]
    assert 7 <= len(left) <= 11
    assert len({each.created // DAY for each in left}) == len(left)


def test_the_last_verified_one_stays() -> None:
    """However old it is, the newest backup that was proven is never removed."""
    every = [backup(0), *(backup(day, verified=False) for day in range(1, 100))]

    assert every[0] not in choose_surplus(every, "2d")


@pytest.mark.parametrize("text", ["", "7", "d7", "7d,7d", "0d", "-1d", "7x"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    """Only counts of units are a policy; `7` keeps seven."""
    if text == "7":
        assert len(choose_surplus([backup(day) for day in range(9)], text)) == 2
        return
    with pytest.raises(InvalidError):
        choose_surplus([], text)


def test_a_backup_is_made_when_it_is_due(state, clock, tmp_path: Path) -> None:
    """One is made each interval, proven, and older ones go as the policy says; others stay."""
    state.memory.add("Ada prefers green tea")
    folder = tmp_path / "backups"
    with pytest.raises(NotFoundError):
        run_due(state)
    state.backup_notes.set_schedule(schedule_for(state, every=DAY, keep="2d", to=folder))
    (tmp_path / "backups").mkdir()
    (folder / "clawstate-20200101T000000Z.backup").write_text("somebody else's")

    runs = []
    for _ in range(8):
        runs.append(run_due(state))
        clock.advance(DAY / 2)

    assert [each.made is not None for each in runs] == [True, False] * 4
    assert all(each.proven is not None for each in runs if each.made)
    assert len(list(folder.glob("*.backup"))) == 3
    assert (folder / "clawstate-20200101T000000Z.backup").exists()


def test_the_doctor_tells_of_old_backups(state, clock, tmp_path: Path) -> None:
    """Where backups are to be made, and none was proven for two intervals, that is a warning."""
    state.memory.add("Ada prefers green tea")
    state.backup_notes.set_schedule(schedule_for(state, every=DAY, keep="2d", to=tmp_path / "b"))

    def codes() -> list[str]:
        return [each.code for each in examine(state, deep=False) if each.code == "backup-late"]

    assert codes() == ["backup-late"]
    run_due(state)
    assert codes() == []
    clock.advance(3 * DAY)
    assert codes() == ["backup-late"]


def test_systemd_makes_them(tmp_path: Path) -> None:
    """`backup enable` writes and starts a timer, `disable` takes it away."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    env = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}

    def run(*words: str) -> dict:
        command = [sys.executable, "-m", "clawstate", "--json", "backup", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    made = run("enable", "--every", "12h", "--to", str(tmp_path / "kept"))
    timer = Path(made["timer"])
    text = timer.with_suffix(".service").read_text()

    assert "OnUnitActiveSec=3600s" in timer.read_text()
    assert '"backup" "run"' in text
    assert run("status")["schedule"]["everyMs"] == 12 * 3600 * 1000
    assert run("disable") == {"disabled": True}
    assert not timer.exists()
    assert (tmp_path / "told").read_text().splitlines()[
        1
    ] == "--user enable --now clawstate-backup.timer"
    assert os.access(tmp_path / ".openclaw" / "state" / "backups.json", os.R_OK)


def test_processes_that_come_together_make_one(state, tmp_path: Path) -> None:
    """Of many runs at once one makes the backup that is due, and for the others none is."""
    state.memory.add("Ada prefers green tea")
    folder = tmp_path / "backups"
    state.backup_notes.set_schedule(schedule_for(state, every=DAY, keep="2d", to=folder))
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(state.paths.root), "--json"]
    runs = [subprocess.Popen([*command, "backup", "run"], stdout=subprocess.PIPE) for _ in range(4)]
    told = [json.loads(each.communicate()[0])["backup"] for each in runs]

    assert sum(each is not None for each in told) == 1
    assert len(list(folder.glob("*.backup"))) == 1


@pytest.mark.parametrize(
    "wrong", [{"every": 1.0}, {"keep": "soon"}, {"key": "vault"}, {"to": Path("inside")}]
)
def test_what_cannot_be_carried_out_is_no_schedule(state, wrong: dict) -> None:
    """A schedule that would fail at each run is refused when it is set."""
    given = {"every": DAY, "keep": "2d", **wrong}
    if "to" in given:
        given["to"] = state.paths.root / given["to"]
    with pytest.raises(InvalidError):
        schedule_for(state, **given)


@pytest.mark.parametrize("by", [(), ("--by", "gateway"), ("--by", "systemd")], ids="".join)
def test_backups_without_systemd_are_the_gateways(tmp_path: Path, by: tuple[str, ...]) -> None:
    """Where systemd fails the gateway makes them; who wants systemd alone gets all or nothing."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'no bus' >&2\nexit 1\n")
    program.chmod(0o755)
    env = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    command = [sys.executable, "-m", "clawstate", "--json", "backup"]

    done = subprocess.run([*command, "enable", *by], env=env, capture_output=True, check=False)
    told = subprocess.run([*command, "status"], env=env, capture_output=True, check=True)

    status = json.loads(told.stdout)
    assert not list(tmp_path.rglob("*.timer"))
    if by == ("--by", "systemd"):
        assert (done.returncode, status["schedule"], status["by"]) == (1, None, None)
        assert b"--by gateway" in done.stdout + done.stderr
    else:
        assert (done.returncode, status["by"], status["timer"]) == (0, "gateway", False)
        assert json.loads(done.stdout)["by"] == "gateway"
