from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from config_files import CANARY

from clawstate.config.service import Config
from clawstate.config.writing import backup_paths
from clawstate.errors import (
    ConfigError,
    ConflictError,
    CorruptError,
    InvalidError,
    LockTimeoutError,
    NotFoundError,
    StateError,
)
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.json5.key_path import format_key_path
from clawstate.testing.forked import in_threads
from manual_clock import ManualClock

TEXT = """// what my agent is
{
  gateway: {
    mode: 'local', // never remote
    port: 0x4965,
    auth: {token: "${TOKEN}"},
  },

  /* agents */ agents: {list: [{id: "ada"}]},
}
"""
LONG = json.dumps({"gateway": {"mode": "local"}, "env": {"vars": {"A": "x" * 600}}})


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    (tmp_path / "state").mkdir(mode=0o700)
    return StatePaths(tmp_path / "state")


@pytest.fixture
def with_umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def opened(paths: StatePaths, text: str | None = None, **env: str) -> Config:
    if text is not None:
        paths.config.write_text(text)
    return Config(paths, env={"HOME": "/h", **env}, cwd=paths.root)


def refused(config: Config, path: str, value: Any = None, **options: bool) -> str:
    """Return why *value* is refused at *path*, or its removal; the file must stay."""
    before = config.path.read_bytes() if config.path.exists() else None
    with pytest.raises(StateError) as caught:
        _ = config.unset(path) if value is None else config.set(path, value, **options)
    assert (config.path.read_bytes() if config.path.exists() else None) == before
    assert config.history() == ()
    return str(caught.value)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_asked_key_changes(paths: StatePaths) -> None:
    """Each byte but those of the value stays: comments, order, quotes, variables, spellings."""
    config = opened(paths, TEXT, TOKEN="t")

    change = config.set("gateway.mode", "remote")

    assert paths.config.read_text() == TEXT.replace("'local'", '"remote"')
    assert change is not None
    assert (change.number, change.paths, change.file) == (
        1,
        ("gateway.mode",),
        str(paths.config),
    )


def test_new_key_and_its_removal_leave_the_text_as_it_was(paths: StatePaths) -> None:
    """A key that comes and goes leaves no trace in the text."""
    config = opened(paths, TEXT, TOKEN="t")

    config.set("logging.level", "debug")
    between = paths.config.read_text()
    config.unset("logging")

    assert 'level: "debug"' in between
    assert paths.config.read_text() == TEXT


def test_value_that_is_there_already_writes_nothing(paths: StatePaths) -> None:
    """What is there already is no change: no file is touched, none is made."""
    config = opened(paths, TEXT, TOKEN="t")
    before = paths.config.stat()

    assert config.set("gateway.mode", "local") is None

    assert paths.config.stat() == before
    assert [each.name for each in paths.root.iterdir()] == ["openclaw.json"]


def test_defaults_and_variables_are_not_written(paths: StatePaths) -> None:
    """What a text means beyond what it says never comes into it."""
    config = opened(paths, '{"env": {"vars": {"A": "${TOKEN}"}}}\n', TOKEN="t-value")
    config.resolve()

    config.set("agents.list", [{"id": "ada"}])

    text = paths.config.read_text()
    assert json.loads(text) == {
        "env": {"vars": {"A": "${TOKEN}"}},
        "agents": {"list": [{"id": "ada"}]},
    }
    assert "t-value" not in text


def test_first_write_makes_the_file(paths: StatePaths) -> None:
    """A configuration that was not there is made with what was asked for, and nothing else."""
    config = opened(paths)

    config.set("gateway.port", 1)

    assert json.loads(paths.config.read_text()) == {"gateway": {"port": 1}}
    assert not backup_paths(paths.config)[0].exists()


def test_included_value_is_changed_in_its_file(paths: StatePaths) -> None:
    """A value of an included file is written there, and the including file stays as it is."""
    text = "{gateway: {$include: './gateway.json5'}}"
    (paths.root / "gateway.json5").write_text("{port: 1, /* kept */ mode: 'local'}")
    config = opened(paths, text)

    change = config.set("gateway.port", 2)

    assert (paths.root / "gateway.json5").read_text() == "{port: 2, /* kept */ mode: 'local'}"
    assert paths.config.read_text() == text
    assert change is not None
    assert change.file == str(paths.root / "gateway.json5")
    assert config.get("gateway.port") == 2
    assert not config.changed()


def test_new_key_beside_an_include_goes_into_the_own_file(paths: StatePaths) -> None:
    """What is nowhere yet is written beside the `$include`, which stays."""
    (paths.root / "gateway.json5").write_text("{port: 1}")
    config = opened(paths, "{gateway: {$include: './gateway.json5'}}")

    config.set("gateway.mode", "local")

    assert (paths.root / "gateway.json5").read_text() == "{port: 1}"
    assert "$include" in paths.config.read_text()
    assert (config.get("gateway.mode"), config.get("gateway.port")) == ("local", 1)


def test_include_can_be_set(paths: StatePaths) -> None:
    """A value that is an `$include` means what the file says, and is no change from outside."""
    (paths.root / "gateway.json5").write_text("{port: 1}")
    config = opened(paths, "{gateway: {port: 2}}")
    config.view()

    config.set("gateway", {"$include": "./gateway.json5"})

    assert config.get("gateway.port") == 1
    assert not config.changed()


def test_include_of_nothing_is_refused(paths: StatePaths) -> None:
    """A write after which the configuration could not be read is refused."""
    config = opened(paths, "{}")

    assert "gone.json5" in refused(config, "gateway", {"$include": "./gone.json5"})


def test_merged_value_is_refused(paths: StatePaths) -> None:
    """A value that several files make up is not written into one of them."""
    (paths.root / "a.json5").write_text("{gateway: {port: 1}}")
    (paths.root / "b.json5").write_text("{gateway: {mode: 'local'}}")
    config = opened(paths, "{$include: ['./a.json5', './b.json5']}")

    problem = refused(config, "gateway", {"port": 2})

    assert "several files" in problem
    assert "a.json5" in problem
    assert "b.json5" in problem


def test_removal_that_uncovers_a_value_is_refused(paths: StatePaths) -> None:
    """A value does not go while the one that it hides would come in its place."""
    (paths.root / "a.json5").write_text("{gateway: {port: 1}}")
    config = opened(paths, "{$include: './a.json5', gateway: {port: 2}}")

    problem = refused(config, "gateway.port")

    assert "would come back from" in problem
    assert "a.json5" in problem
    assert config.get("gateway.port") == 2


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("gateway.port", "many", "gateway.port"),
        ("memory.store.type", "upside-down", "memory.store.type"),
        ("gateway", [1], "gateway"),
        ("agents.list[5].id", "x", "element"),
        ("agents.list.id", "x", "array"),
        ("agents.list[0].id", {1, 2}, "set"),
        ("", [1], "empty"),
        ("__proto__.x", 1, "__proto__"),
        ("env.vars.A", "${NOT_SET}", "NOT_SET"),
        ("agents.list[1]", {"id": "ada", "__proto__": 1}, "__proto__"),
    ],
)
def test_what_cannot_be_is_refused(paths: StatePaths, path: str, value: object, word: str) -> None:
    """A wrong type, place or variable is an error that names it, and nothing is written."""
    config = opened(paths, TEXT, TOKEN="t")

    assert word in refused(config, path, value)


@pytest.mark.parametrize("path", ["no.such", "agents.list[4]", "gateway.port.x", ""])
def test_removal_of_nothing_is_refused(paths: StatePaths, path: str) -> None:
    """What is not there cannot be removed, nor can all at once."""
    config = opened(paths, TEXT, TOKEN="t")

    assert refused(config, path)


def test_depth_is_bounded(paths: StatePaths) -> None:
    """A value that is nested too deeply to be read again is not written."""
    config = opened(paths, TEXT, TOKEN="t")
    for levels, word in ((150, "100 levels"), (5000, "too deeply")):
        value: Any = {}
        for _ in range(levels):
            value = {"a": value}

        assert word in refused(config, "env.vars.deep", value, force=True)

    assert config.get("gateway.mode") == "local"


@pytest.mark.parametrize("text", ["{a: " * 150 + "1" + "}" * 150, "[" * 50_000])
def test_text_that_is_too_deep_is_an_error(paths: StatePaths, text: str) -> None:
    """A text of too many levels is refused with a typed error, read or written."""
    config = opened(paths, "{}")

    with pytest.raises((ConfigError, CorruptError)):
        config.replace(text)
    assert paths.config.read_text() == "{}"
    paths.config.write_text(text)
    with pytest.raises((ConfigError, CorruptError)):
        config.view()
    with pytest.raises((ConfigError, CorruptError)):
        config.set("gateway.port", 1)

    assert paths.config.read_text() == text


@pytest.mark.parametrize("key", ["a.b", "it's", 'say "so"', "\u00e9\u2028", " ", "[0]", "\\"])
def test_any_key_and_text_come_back_as_they_were(paths: StatePaths, key: str) -> None:
    """Keys and texts with dots, quotes, brackets, backslashes and line ends need no care."""
    config = opened(paths, TEXT, TOKEN="t")
    path = format_key_path(("env", "vars", key))
    value = f"{key}\n\t$HOME $ {{}} // no comment"

    config.set(path, value)

    assert config.get(path) == value
    assert config.get("env.vars") == {key: value}
    config.unset(path)
    assert paths.config.read_text() == TEXT


def test_old_errors_do_not_stand_in_the_way(paths: StatePaths) -> None:
    """A configuration that was wrong before can be changed elsewhere, and mended bit by bit."""
    text = "{gateway: {port: 'many', mode: 3}, env: {vars: {A: '${GONE}'}}}"
    config = opened(paths, text)

    config.set("logging.level", "debug")
    config.set("gateway.port", 1)
    config.set("env.vars.A", "set")
    config.set("gateway.mode", "local")

    assert config.get("gateway.port") == 1
    assert not [issue for issue in config.issues() if issue.severity == "error"]


def test_variable_that_is_not_set_needs_force(paths: StatePaths) -> None:
    """A new `${VAR}` without a value is refused unless it is meant; the write stands then."""
    config = opened(paths, "{}")

    assert "NOT_SET" in refused(config, "env.vars.A", "${NOT_SET}")
    config.set("env.vars.A", "${NOT_SET}", force=True)

    assert "${NOT_SET}" in paths.config.read_text()
    assert [issue.path for issue in config.issues() if issue.severity == "error"]


def test_wrong_type_is_refused_with_force_as_well(paths: StatePaths) -> None:
    """Nobody can force a value that no reader would take."""
    assert "gateway.port" in refused(opened(paths, "{}"), "gateway.port", "many", force=True)


def test_shrinking_by_half_needs_force(paths: StatePaths) -> None:
    """A file that would lose more than half of its size is kept, unless that is meant."""
    config = opened(paths, LONG)

    problem = refused(config, "env.vars.A", "x")
    config.set("env.vars.A", "x", force=True)

    assert "size-drop" in problem
    assert "--force" in problem
    assert config.get("env.vars.A") == "x"


def test_small_file_may_shrink(paths: StatePaths) -> None:
    """Below half a kilobyte a removal is no accident."""
    config = opened(paths, json.dumps({"env": {"vars": {"A": "x" * 400}}}))

    config.unset("env")

    assert paths.config.read_text() == "{}"


@pytest.mark.parametrize("path", ["gateway.mode", "gateway"])
def test_removal_of_the_gateway_mode_needs_force(paths: StatePaths, path: str) -> None:
    """`gateway.mode` does not get lost on the way, but can be removed on purpose."""
    config = opened(paths, "{gateway: {mode: 'local', port: 1}}")

    assert "gateway-mode-removed" in refused(config, path)
    config.unset(path, force=True)

    assert "mode" not in paths.config.read_text()


def test_guards_hold_for_whole_texts(paths: StatePaths) -> None:
    """A text that replaces all is judged like a change of one key."""
    config = opened(paths, LONG)

    for text, kind in (
        ("{gateway: {mode: 'local'}}", ConfigError),
        (LONG.replace("mode", "mood"), ConfigError),
        (LONG.replace('"local"', "3"), ConfigError),
        ("[1]", ConfigError),
        ("{", CorruptError),
        ("", CorruptError),
    ):
        with pytest.raises(kind):
            config.replace(text)
        assert paths.config.read_text() == LONG

    config.replace("{gateway: {mode: 'local'}}", force=True)
    assert config.get("env") is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_mode_is_public_until_a_secret_comes_in(
    paths: StatePaths, umask: int, with_umask: None
) -> None:
    """Without a literal secret the file is 0644; with the first it is 0600, and stays so."""
    os.umask(umask)
    config = opened(paths, TOKEN="t")

    config.set("gateway.mode", "local")
    config.set("gateway.auth.token", "${TOKEN}")
    public = mode_of(paths.config)
    config.set("gateway.auth.token", CANARY)
    private = mode_of(paths.config)
    config.unset("gateway.auth.token")

    assert (public, private, mode_of(paths.config)) == (0o644, 0o600, 0o600)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o666, 0o755])
def test_mode_is_never_widened(paths: StatePaths, mode: int) -> None:
    """A write gives nobody more than they had."""
    config = opened(paths, "{}")
    paths.config.chmod(mode)

    config.set("gateway.port", 1)

    assert mode_of(paths.config) == mode & 0o644


def test_all_else_is_private(paths: StatePaths, with_umask: None) -> None:
    """Backups, history and audit trail are for their owner only, whatever the umask."""
    os.umask(0)
    config = opened(paths, TEXT, TOKEN="t")

    config.set("gateway.port", 1)
    config.set("gateway.port", 2)

    made = [each for each in paths.root.rglob("*") if each != paths.config]
    assert len(made) >= 8
    assert {mode_of(each) for each in made if each.is_file()} == {0o600}
    assert {mode_of(each) for each in made if each.is_dir()} == {0o700}


def test_five_generations_are_kept(paths: StatePaths) -> None:
    """The last five texts lie beside the file, the newest as `.bak`, and no sixth."""
    config = opened(paths, "{gateway: {port: 100}}")

    for port in range(101, 108):
        config.set("gateway.port", port)

    kept = [each.read_text() for each in backup_paths(paths.config)]
    assert kept == [f"{{gateway: {{port: {port}}}}}" for port in (106, 105, 104, 103, 102)]
    assert sorted(each.name for each in paths.root.glob("*.bak*")) == sorted(
        each.name for each in backup_paths(paths.config)
    )


def test_refused_change_costs_no_generation(paths: StatePaths) -> None:
    """Only what is written moves the backups."""
    config = opened(paths, TEXT, TOKEN="t")

    refused(config, "gateway.port", "many")

    assert not any(each.exists() for each in backup_paths(paths.config))


def test_linked_configuration_stays_a_link(paths: StatePaths, tmp_path: Path) -> None:
    """What a link leads to is changed, and the link is left alone."""
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles/agent.json5"
    real.write_text(TEXT)
    paths.config.symlink_to(real)
    config = opened(paths, TOKEN="t")

    config.set("gateway.mode", "remote")
    config.undo()
    config.set("gateway.port", 1)

    assert paths.config.is_symlink()
    assert real.read_text() == TEXT.replace("0x4965", "1")
    assert config.get("gateway.port") == 1


def test_nothing_is_left_beside_what_a_link_leads_to(paths: StatePaths, tmp_path: Path) -> None:
    """Backups, locks and history lie beside the link, and so does every secret of an old text."""
    repository = tmp_path / "dotfiles"
    (repository / "parts").mkdir(parents=True)
    (repository / "agent.json5").write_text(f"{{env: {{vars: {{API_KEY: '{CANARY}'}}}}}}")
    paths.config.symlink_to(repository / "agent.json5")
    config = opened(paths)

    config.unset("env.vars.API_KEY", force=True)
    config.set("gateway.port", 1)

    assert {each.name for each in repository.rglob("*")} == {"parts", "agent.json5"}
    assert CANARY in paths.config.with_name("openclaw.json.bak.1").read_text()
    assert mode_of(paths.config.with_name("openclaw.json.bak.1")) == 0o600


def test_killed_write_of_a_link_leaves_nothing_beside_its_target(
    paths: StatePaths, tmp_path: Path
) -> None:
    """The new text is made beside the link, and what an older release left behind is swept."""
    repository = tmp_path / "dotfiles"
    repository.mkdir()
    (repository / "agent.json5").write_text(TEXT)
    (repository / "agent.json5.0123456789abcdef.tmp").write_text(CANARY)
    paths.config.symlink_to(repository / "agent.json5")
    seen: list[list[str]] = []

    config = opened(paths, TOKEN="t")
    with pytest.MonkeyPatch.context() as patch:
        fsync = os.fsync

        def watched(descriptor: int) -> None:
            seen.append(sorted(each.name for each in repository.iterdir()))
            fsync(descriptor)

        patch.setattr(os, "fsync", watched)
        config.set("gateway.port", 1)

    assert seen
    assert all(names == ["agent.json5"] for names in seen)


def test_read_only_file_is_refused(paths: StatePaths) -> None:
    """A file that its owner made read-only is not replaced, and the error says what helps."""
    config = opened(paths, TEXT, TOKEN="t")
    paths.config.chmod(0o444)

    problem = refused(config, "gateway.port", 1)

    assert "read-only" in problem
    assert f"chmod u+w {paths.config}" in problem
    assert mode_of(paths.config) == 0o444


def test_file_with_several_names_is_refused(paths: StatePaths) -> None:
    """A file that has another name too is not torn from it."""
    config = opened(paths, TEXT, TOKEN="t")
    (paths.root / "other.json").hardlink_to(paths.config)

    assert "several names" in refused(config, "gateway.port", 1)


@pytest.mark.parametrize("raw", [b"{", b"", b"\xff\xfe", b"[1]", b"{} {}"])
def test_corrupt_file_is_never_overwritten(paths: StatePaths, raw: bytes) -> None:
    """What cannot be read is not written over."""
    paths.config.write_bytes(raw)
    config = opened(paths)

    with pytest.raises((ConfigError, CorruptError)):
        config.set("gateway.port", 1)

    assert paths.config.read_bytes() == raw


def test_locked_file_is_an_error_that_names_the_holder(paths: StatePaths) -> None:
    """Who waits too long for another writer is told, and nothing is written."""
    paths.config.write_text("{}")
    config = Config(paths, env={"HOME": "/h"}, lock=LockOptions(timeout=0.0))

    with FileLock(paths.config):

        def write() -> None:
            with pytest.raises(LockTimeoutError, match=str(os.getpid())):
                config.set("gateway.port", 1)

        in_threads(1, write)

    assert paths.config.read_text() == "{}"
    config.set("gateway.port", 1)
    assert config.get("gateway.port") == 1


def test_duplicate_key_is_refused(paths: StatePaths) -> None:
    """A key that stands twice is left to a person to sort out."""
    config = opened(paths, "{gateway: {port: 1, port: 2}}")

    assert "2 times" in refused(config, "gateway.port", 3)


def test_audit_trail_is_bounded(paths: StatePaths) -> None:
    """A trail that grew beyond a megabyte is put aside, once, and goes on as a new one."""
    config = opened(paths, "{}")
    paths.logs_dir.mkdir()
    trail = paths.logs_dir / "config-audit.jsonl"
    for port in (1, 2):
        trail.write_bytes(b"x" * ((1 << 20) + 1))
        config.set("gateway.port", port)

    assert len(trail.read_text().splitlines()) == 1
    assert {each.name for each in paths.logs_dir.iterdir()} == {trail.name, f"{trail.name}.1"}


def test_audit_line_tells_who_and_what_but_no_value(paths: StatePaths, clock: ManualClock) -> None:
    """Each write adds one line with its hashes, sizes, paths and what was odd about it."""
    paths.config.write_text(LONG)
    config = Config(paths, env={"HOME": "/h"}, clock=clock)

    first = config.set("gateway.auth.token", CANARY)
    config.unset("env", force=True)

    trail = (paths.logs_dir / "config-audit.jsonl").read_text()
    one, two = map(json.loads, trail.splitlines())
    assert CANARY not in trail
    assert first is not None
    assert first.at == clock()
    assert one["ts"] == "2027-01-15T08:00:00.000Z"
    assert one["event"] == "config.write"
    assert one["configPath"] == str(paths.config)
    assert one["pid"] == os.getpid()
    assert one["existsBefore"] is True
    assert one["previousBytes"] == len(LONG)
    assert one["changedPaths"] == ["gateway.auth.token"]
    assert one["suspicious"] == []
    assert one["result"] == "rename"
    assert one["nextHash"] == two["previousHash"]
    assert two["suspicious"] == [f"size-drop:{two['previousBytes']}->{two['nextBytes']}"]


def test_full_trail_is_no_reason_to_refuse(paths: StatePaths) -> None:
    """A trail that cannot be written does not undo a change that is in effect."""
    paths.logs_dir.mkdir()
    (paths.logs_dir / "config-audit.jsonl").mkdir()
    config = opened(paths, "{}")

    config.set("gateway.port", 1)

    assert config.get("gateway.port") == 1


def test_what_a_killed_writer_left_is_swept(paths: StatePaths) -> None:
    """The temporary files of a writer that was killed go with the next write."""
    config = opened(paths, "{}")
    for name in ("openclaw.json", "openclaw.json.bak"):
        (paths.root / f"{name}.{'0' * 16}.tmp").write_text(CANARY)

    config.set("gateway.port", 1)

    assert not list(paths.root.glob("*.tmp"))


def test_change_between_look_and_write_is_kept(paths: StatePaths) -> None:
    """What somebody wrote since our last look is in the text that we write."""
    config = opened(paths, "{gateway: {port: 1}}")
    config.view()
    paths.config.write_text("{gateway: {port: 5}, logging: {level: 'info'}}")

    config.set("gateway.mode", "local")

    assert config.get("gateway.port") == 5
    assert config.get("logging.level") == "info"


def test_not_found_is_not_found(paths: StatePaths) -> None:
    """A removal of nothing is a `NotFoundError`, a path that cannot be an `InvalidError`."""
    config = opened(paths, "{}")

    with pytest.raises(NotFoundError):
        config.unset("gateway.port")
    with pytest.raises(InvalidError):
        config.set("agents.list[x", 1)


def test_a_whole_text_mends_a_broken_one(tmp_path) -> None:
    """A text that cannot be read is replaced by one that can, and kept as the newest backup."""
    path = tmp_path / "openclaw.json"
    path.write_text("{ gateway: ")
    config = Config(StatePaths(tmp_path), env={}, cwd=tmp_path)

    with pytest.raises(ConflictError):
        config.replace("{}", expected="something else")
    with pytest.raises(ConfigError):
        config.replace("{ gateway: { port: 'x' } }")
    assert path.read_text() == "{ gateway: "
    config.replace("{ gateway: { port: 1 } }\n", expected="{ gateway: ")

    assert config.get("gateway.port") == 1
    assert path.with_name("openclaw.json.bak").read_text() == "{ gateway: "


def test_an_undo_mends_a_broken_text(tmp_path) -> None:
    """Whoever broke the text after a change can go back to before it, if it is meant."""
    config = Config(StatePaths(tmp_path), env={}, cwd=tmp_path)
    config.set("gateway.port", 1)
    config.set("gateway.port", 2)
    config.path.write_text("{ oops")

    with pytest.raises(ConflictError):
        config.undo()
    config.undo(force=True)

    assert config.get("gateway.port") == 1
