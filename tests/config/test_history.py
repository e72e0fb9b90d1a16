from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from config_files import CANARY

from clawstate.config.history import Change, History, text_name
from clawstate.config.service import Config
from clawstate.errors import ConfigError, ConflictError, NotFoundError
from clawstate.files.paths import StatePaths
from manual_clock import ManualClock


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir(mode=0o700)
    return StatePaths(tmp_path / "state")


def opened(paths: StatePaths, text: str | None = None) -> Config:
    if text is not None:
        paths.config.write_text(text)
    return Config(paths, env={"HOME": "/h"}, cwd=paths.root)


def ported(number: int) -> str:
    return f"{{gateway: {{port: {number}}}}} // mine\n"


def with_ports(paths: StatePaths, *ports: int) -> Config:
    """Return a configuration whose port was the first, and was set to each other one in turn."""
    config = opened(paths, ported(ports[0]))
    for port in ports[1:]:
        config.set("gateway.port", port)
    return config


def folder(paths: StatePaths) -> Path:
    return paths.root / ".config-history/openclaw.json"


def test_changes_are_numbered_and_told(paths: StatePaths, clock: ManualClock) -> None:
    """Each change knows its number, time, program, file, paths, and the texts around it."""
    config = Config(paths, env={"HOME": "/h"}, clock=clock)

    config.set("gateway.port", 1)
    clock.advance(5)
    config.set("gateway.port", 2)

    first, second = config.history()
    assert (first.number, second.number) == (1, 2)
    assert second.at - first.at == 5
    assert first.before is None
    assert first.after == second.before
    assert first.paths == second.paths == ("gateway.port",)
    assert History(paths.config).text(second.after) == paths.config.read_bytes()
    assert first.undoes is second.undoes is None


def test_diff_tells_one_change(paths: StatePaths) -> None:
    """A change is shown as the lines that it took and brought."""
    config = with_ports(paths, 1, 2, 3)

    last, first = config.diff(), config.diff(1)

    assert "-{gateway: {port: 2}} // mine" in last
    assert "+{gateway: {port: 3}} // mine" in last
    assert "-{gateway: {port: 1}} // mine" in first
    assert config.diff(2) == last
    with pytest.raises(NotFoundError, match="config history"):
        config.diff(7)


def test_diff_without_any_change_is_not_found(paths: StatePaths) -> None:
    """Where nothing was changed here, there is nothing to show or to undo."""
    config = opened(paths, "{}")

    with pytest.raises(NotFoundError):
        config.diff()
    with pytest.raises(NotFoundError):
        config.undo()


def test_undo_puts_the_text_back(paths: StatePaths) -> None:
    """An undo is a change of its own, which brings the old text back to the byte."""
    config = with_ports(paths, 1, 2)

    undone = config.undo()

    assert paths.config.read_text() == ported(1)
    assert (undone.number, undone.undoes) == (2, 1)
    assert config.get("gateway.port") == 1
    assert not config.changed()


def test_undo_goes_further_back_each_time(paths: StatePaths) -> None:
    """Undo after undo goes back change by change, until there is nothing left."""
    config = with_ports(paths, 1, 2, 3, 4)

    seen = []
    for _ in range(3):
        config.undo()
        seen.append(paths.config.read_text())

    assert seen == [ported(3), ported(2), ported(1)]
    with pytest.raises(NotFoundError):
        config.undo()


def test_undo_goes_on_behind_a_new_change(paths: StatePaths) -> None:
    """A change after an undo is what the next undo takes back, and then what was before."""
    config = with_ports(paths, 1, 2, 3)
    config.undo()
    config.set("gateway.port", 5)

    assert config.undo().undoes == 4
    assert config.undo().undoes == 1

    assert paths.config.read_text() == ported(1)


def test_undo_can_be_undone(paths: StatePaths) -> None:
    """An undo that is undone leaves its change standing, to be undone again."""
    config = with_ports(paths, 1, 2, 3)
    mistake = config.undo()

    config.undo(number=mistake.number)
    after = paths.config.read_text()
    again = config.undo()

    assert after == ported(3)
    assert again.undoes == 2
    assert paths.config.read_text() == ported(2)


def test_first_write_can_be_undone(paths: StatePaths) -> None:
    """What made the file is undone to an empty configuration."""
    config = opened(paths)
    config.set("gateway.port", 1)

    config.undo()

    assert paths.config.read_text() == "{}\n"
    assert config.get("gateway.port") != 1


def test_undo_of_another_ones_change_is_refused(paths: StatePaths) -> None:
    """What somebody wrote since is not lost by an undo, unless that is meant."""
    config = with_ports(paths, 1, 2)
    paths.config.write_text(ported(9))

    with pytest.raises(ConflictError, match="--force"):
        config.undo()
    kept = paths.config.read_text()
    config.undo(force=True)

    assert kept == ported(9)
    assert paths.config.read_text() == ported(1)


def test_undo_of_an_older_change_is_refused(paths: StatePaths) -> None:
    """A change with others on top of it is taken back, with those, only by force."""
    config = with_ports(paths, 1, 2, 3)

    with pytest.raises(ConflictError):
        config.undo(number=1)
    config.undo(number=1, force=True)

    assert paths.config.read_text() == ported(1)
    with pytest.raises(NotFoundError):
        config.undo()


def test_undo_of_a_removed_file_is_refused(paths: StatePaths) -> None:
    """A file that somebody removed is not brought back unless that is meant."""
    config = with_ports(paths, 1, 2)
    paths.config.unlink()

    with pytest.raises(ConflictError):
        config.undo()
    config.undo(force=True)

    assert paths.config.read_text() == ported(1)


def test_undo_is_not_stopped_by_the_guards(paths: StatePaths) -> None:
    """What looks like an accident elsewhere is meant by who undoes."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.set("gateway.mode", "local")
    config.set("env.vars.A", "x" * 2000)

    config.undo()
    config.undo()

    assert paths.config.read_text() == "{gateway: {port: 1}}"


def test_change_of_an_included_file_is_undone_there(paths: StatePaths) -> None:
    """The undo of a change in an included file puts that file back, and no other."""
    included = paths.root / "gateway.json5"
    included.write_text("{port: 1}")
    config = opened(paths, "{gateway: {$include: './gateway.json5'}}")
    config.set("gateway.port", 2)

    config.undo()

    assert included.read_text() == "{port: 1}"
    assert paths.config.read_text() == "{gateway: {$include: './gateway.json5'}}"
    assert config.get("gateway.port") == 1
    assert not config.changed()


def test_undo_in_a_file_that_is_not_included_any_longer_is_refused(paths: StatePaths) -> None:
    """A file that left the configuration is not touched, nor is its text put elsewhere."""
    included = paths.root / "gateway.json5"
    included.write_text("{port: 1}")
    config = opened(paths, "{gateway: {$include: './gateway.json5'}}")
    config.set("gateway.port", 2)
    written = included.read_text()
    paths.config.write_text("{}")

    with pytest.raises(ConfigError, match="no longer included"):
        config.undo()
    paths.config.unlink()
    with pytest.raises(ConfigError, match="no longer included"):
        config.undo()

    assert included.read_text() == written
    assert not paths.config.exists()


def test_history_is_bounded(paths: StatePaths) -> None:
    """The last hundred changes are kept, with no text but theirs."""
    history = History(paths.config)

    for number in range(130):
        history.add(
            [(paths.config, str(number).encode(), str(number + 1).encode())],
            paths=["gateway.port"],
            at=float(number),
            by="test",
        )

    changes = history.changes()
    assert [each.number for each in changes] == list(range(31, 131))
    named = {name for each in changes for name in (each.before, each.after)}
    assert {each.name for each in folder(paths).iterdir()} == {*named, "changes.jsonl"}
    assert history.text(changes[0].before or "") == b"30"


def test_damaged_lines_are_passed_over(paths: StatePaths) -> None:
    """What cannot be read of the history is left out; the rest stays, and goes on."""
    config = with_ports(paths, 1, 2, 3)
    index = folder(paths) / "changes.jsonl"
    first, second = index.read_bytes().splitlines()
    damage = [b"", b"{", b"[]", b"null", b'{"number": "x"}', b"\xff\xfe", b"[" * 100_000]
    index.write_bytes(b"\n".join([first, *damage, second, first[:40]]))

    seen = [each.number for each in config.history()]
    config.set("gateway.port", 4)

    assert seen == [1, 2]
    assert [each.number for each in config.history()] == [1, 2, 3]
    assert config.undo().undoes == 3


@pytest.mark.parametrize("field", ["before", "after", "file", "paths", "by"])
def test_line_with_a_wrong_field_is_passed_over(paths: StatePaths, field: str) -> None:
    """A line whose fields are of other kinds is no change."""
    config = with_ports(paths, 1, 2)
    index = folder(paths) / "changes.jsonl"
    index.write_text(json.dumps({**json.loads(index.read_text()), field: 7}) + "\n")

    assert config.history() == ()


def test_text_that_was_tampered_with_is_not_restored(paths: StatePaths) -> None:
    """A kept text that is not what it was is as good as gone."""
    config = with_ports(paths, 1, 2)
    before = config.history()[0].before or ""
    (folder(paths) / before).write_text("{evil: 1}")

    with pytest.raises(NotFoundError):
        config.undo()
    with pytest.raises(NotFoundError):
        config.diff()

    assert paths.config.read_text() == ported(2)


def test_name_of_a_text_leads_nowhere_else(paths: StatePaths) -> None:
    """A line that names another file as its text restores nothing."""
    config = with_ports(paths, 1, 2)
    (paths.root / "secret").write_text(CANARY)
    index = folder(paths) / "changes.jsonl"
    line = {**json.loads(index.read_text()), "before": "../../secret"}
    index.write_text(json.dumps(line) + "\n")

    with pytest.raises(NotFoundError):
        config.diff()
    with pytest.raises(NotFoundError):
        config.undo()


def test_history_that_cannot_be_used_loses_no_text(paths: StatePaths) -> None:
    """A history that is gone is an empty one; the configuration works on."""
    config = with_ports(paths, 1, 2)
    for each in folder(paths).iterdir():
        each.unlink()

    config.set("gateway.port", 3)

    assert [each.number for each in config.history()] == [1]
    assert config.undo().undoes == 1


def test_secret_that_was_taken_back_is_not_shown(paths: StatePaths) -> None:
    """An undone secret is in no change that is shown."""
    config = opened(paths, "{}")
    config.set("gateway.auth.token", CANARY)
    config.undo()

    shown = repr(config.history()) + "".join(config.diff(number) for number in (1, 2))

    assert CANARY not in shown
    assert isinstance(config.history()[0], Change)
    assert text_name(b"") != text_name(b"{}")


def test_moved_state_keeps_its_undo(paths: StatePaths, tmp_path: Path) -> None:
    """A state that was moved elsewhere undoes what was done before, and touches nothing else."""
    with_ports(paths, 1, 2)
    moved = StatePaths(tmp_path / "elsewhere/state")
    moved.root.parent.mkdir()
    paths.root.rename(moved.root)

    undone = opened(moved).undo()

    assert moved.config.read_text() == ported(1)
    assert undone.file == str(moved.config)
    assert not paths.root.exists()


def test_copied_state_undoes_in_the_copy(paths: StatePaths, tmp_path: Path) -> None:
    """The history of a copy is about the files of the copy, included ones as well."""
    (paths.root / "parts").mkdir()
    (paths.root / "parts/gateway.json5").write_text("{port: 1}")
    opened(paths, "{gateway: {$include: './parts/gateway.json5'}}").set("gateway.port", 2)
    copy = StatePaths(tmp_path / "copy")
    shutil.copytree(paths.root, copy.root)

    opened(copy).undo()

    assert (copy.root / "parts/gateway.json5").read_text() == "{port: 1}"
    assert (paths.root / "parts/gateway.json5").read_text() == "{port: 2}"


@pytest.mark.parametrize("is_moved", [False, True])
@pytest.mark.parametrize("file", ["openclaw.json", "parts/gateway.json5"])
def test_history_with_absolute_paths_goes_on(
    paths: StatePaths, tmp_path: Path, file: str, *, is_moved: bool
) -> None:
    """A history that older releases wrote is undone where it was written, and after a move."""
    (paths.root / "parts").mkdir()
    (paths.root / "parts/gateway.json5").write_text("{port: 1}")
    config = opened(paths, "{gateway: {$include: './parts/gateway.json5'}}")
    before = (paths.root / file).read_text()
    is_part = file.startswith("parts")
    config.set(*(("gateway.port", 2) if is_part else ("env.vars.A", "x")))
    index = folder(paths) / "changes.jsonl"
    line = json.loads(index.read_text())
    assert line["file"] == file
    index.write_text(json.dumps({**line, "file": str(paths.root / file)}) + "\n")
    if is_moved:
        paths.root.rename(tmp_path / "moved")
        paths = StatePaths(tmp_path / "moved")

    opened(paths).undo()

    assert (paths.root / file).read_text() == before


@pytest.mark.parametrize("file", ["openclaw.json", "parts/gone.json5", "clawstate.json"])
def test_moved_history_names_no_place_of_before(
    paths: StatePaths, tmp_path: Path, file: str
) -> None:
    """After a move no change names the directory of before, also of a file that is gone since."""
    with_ports(paths, 1, 2)
    index = folder(paths) / "changes.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    for line in lines:
        line["file"] = str(paths.root / file)
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    moved = StatePaths(tmp_path / "moved")
    paths.root.rename(moved.root)

    changes = opened(moved).history()

    assert changes
    assert all(Path(each.file).is_relative_to(moved.root) for each in changes)
    assert str(paths.root) not in opened(moved).diff()


def test_history_of_a_link_goes_on(paths: StatePaths, tmp_path: Path) -> None:
    """A history that names what the link led to is that of the configuration."""
    real = tmp_path / "dotfiles" / "claw.json"
    real.parent.mkdir()
    real.write_text(ported(1))
    paths.config.symlink_to(real)
    opened(paths).set("gateway.port", 2)
    index = folder(paths) / "changes.jsonl"
    line = json.loads(index.read_text())
    index.write_text(json.dumps({**line, "file": str(real)}) + "\n")

    opened(paths).undo()

    assert real.read_text() == ported(1)
    assert paths.config.is_symlink()
