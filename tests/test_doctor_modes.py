from __future__ import annotations

import os
import re
import shlex
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import clawstate
from clawstate.config.trust import writable_above
from clawstate.doctor import Finding, examine
from clawstate.doctor.audit.examination import audit
from clawstate.stores.auth.credentials import ApiKey

MODES = [0o666, 0o664, 0o646, 0o644, 0o640, 0o604, 0o622, 0o755, 0o777, 0o770]
CHMOD = re.compile(r"chmod ([0-7]+) (\S+)")


@pytest.fixture(autouse=True)
def private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a state in which each store has kept something."""
    root = tmp_path / "home" / "state"
    root.mkdir(parents=True)
    (root / "openclaw.json").write_text(
        '{gateway: {auth: {token: "${TOKEN}"}}, $include: "a.json5"}'
    )
    (root / "a.json5").write_text('{channels: {telegram: {botToken: "1234-secret"}}}')
    (root / "clawstate.json").write_text("{}")
    (root / ".env").write_text("TOKEN=a-secret-token\n")
    with clawstate.open(root) as state:
        state.config.set("session.idleMinutes", 7)
        state.auth().upsert("openai:default", ApiKey(provider="openai", key="k" * 30))
        state.sessions.resolve("agent:main:main")
        state.dedupe.check_and_record("a")
        state.device_auth.set("gateway", "a-secret-token")
        state.devices.issue(device_id="tv", user_id="ada", scopes=["operator.read"])
        state.pairing.request(user_id="ada", device_id="phone")
        state.memory.add("tea")
        _ = state.identity.device_id
    folder = root / "agents/ada/agent"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return root


def everything(root: Path) -> list[Path]:
    return [root, *sorted(each for each in root.rglob("*") if not each.is_symlink())]


def widened(root: Path, mode: int) -> None:
    for each in reversed(everything(root)):
        each.chmod(mode | 0o700 if each.is_dir() else mode)


def found(root: Path, *, fix: bool = False) -> list[Finding]:
    with clawstate.open(root) as state:
        return examine(state, fix=fix)


def about_modes(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.code in {"wide-mode", "open-to-others"}]


@pytest.mark.parametrize("mode", MODES, ids=oct)
def test_one_finding_for_the_mode_of_a_path(root: Path, mode: int) -> None:
    """No path has two findings about its mode, and its remedy leaves nothing to be done."""
    widened(root, mode)

    first = about_modes(found(root))

    assert first
    assert max(Counter(os.path.realpath(each.path) for each in first).values()) == 1
    for each in first:
        told = CHMOD.match(each.fix)
        assert told is not None
        Path(shlex.split(each.fix)[2]).chmod(int(told[1], 8))
    assert about_modes(found(root)) == []


@pytest.mark.parametrize("mode", MODES, ids=oct)
def test_fix_does_at_once_what_it_would_tell(root: Path, mode: int) -> None:
    """After one `--fix` nothing is left, and each mode is the one that was told."""
    widened(root, mode)
    told = {each.path: CHMOD.match(each.fix) for each in about_modes(found(root))}

    mended = about_modes(found(root, fix=True))

    assert about_modes(found(root)) == []
    for each in mended:
        now = stat.S_IMODE(Path(each.path).stat().st_mode)
        assert each.fix == f"made {now:04o}"
        wanted = told[each.path]
        assert wanted is not None
        assert int(wanted[1], 8) == now


@pytest.mark.parametrize("mode", MODES, ids=oct)
def test_audit_tells_one_remedy_for_a_path(root: Path, mode: int) -> None:
    """The audit names no path twice for its mode, and its remedy leaves nothing to tell."""
    widened(root, mode)

    with clawstate.open(root) as state:
        first = single_remedies(state)
        for path, narrow in first:
            path.chmod(narrow)
        second = single_remedies(state)

    assert first
    assert max(Counter(path for path, _ in first).values()) == 1
    assert second == []


def single_remedies(state: clawstate.State) -> list[tuple[Path, int]]:
    """Return the paths that the audit names for their own mode, and the mode to give them."""
    exposures = [each for each in audit(state).exposures if each.code == "WIDE_MODE"]
    told = [(each.file, re.search(r"chmod ([0-7]+) ", each.message)) for each in exposures]
    return [(path, int(remedy[1], 8)) for path, remedy in told if remedy is not None]


def test_writable_variables_are_one_error(root: Path) -> None:
    """A `.env` that all may write is one error, whose remedy makes it private."""
    (root / ".env").chmod(0o666)

    (only,) = about_modes(found(root))

    assert (only.severity, only.fix) == ("error", f"chmod 600 {root / '.env'}")
    assert "0666" in only.message


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o722])
@pytest.mark.parametrize("above", [1, 2])
def test_directory_above_the_state_that_others_may_write(root: Path, mode: int, above: int) -> None:
    """Who may write a directory above could put another state there: an error, not mended."""
    folder = root.parents[above - 1]
    folder.chmod(mode)

    (before,) = about_modes(found(root))
    (after,) = about_modes(found(root, fix=True))

    assert before == after
    assert (before.severity, before.path) == ("error", str(folder))
    assert before.fix.startswith(f"chmod {mode & ~0o022:o} {folder}, or move the state")
    assert "--fix leaves it alone" in before.fix
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    with clawstate.open(root) as state:
        told = [each for each in audit(state).exposures if each.file == folder]
    assert [(each.code, each.severity) for each in told] == [("WIDE_MODE", "error")]
    assert f"chmod {mode & ~0o022:o} " in told[0].message


def test_sticky_directory_above_is_fine(root: Path) -> None:
    """Nobody can rename what is another user's in a directory such as `/tmp`."""
    root.parent.chmod(0o1777)

    assert about_modes(found(root)) == []


def test_directories_of_a_link_count(root: Path, tmp_path: Path) -> None:
    """A state that is reached by a link is as open as each directory on the way."""
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "deep").mkdir(parents=True)
    here.mkdir()
    (here / "one").symlink_to("../there/deep/two")
    (there / "deep/two").symlink_to(root.parent)

    for folder in (here, there, there / "deep", root.parent):
        folder.chmod(0o777)
        assert [each.path for each in about_modes(found(here / "one/state"))] == [str(folder)]
        folder.chmod(0o700)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """Links that lead to each other are walked for a while only."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert list(writable_above([tmp_path / "a" / "state"])) == []


def test_directory_of_a_linked_configuration_is_left_alone(root: Path, tmp_path: Path) -> None:
    """A directory outside of the state that a link leads to is told, and never narrowed."""
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (root / "clawstate.json").rename(dotfiles / "c.json")
    (root / "clawstate.json").symlink_to(dotfiles / "c.json")
    dotfiles.chmod(0o777)

    (only,) = about_modes(found(root, fix=True))

    assert (only.path, only.severity) == (str(dotfiles), "error")
    assert stat.S_IMODE(dotfiles.stat().st_mode) == 0o777


PARTS = ["agents", "dedupe", "dedupe/global.json", "sessions", "logs", ".config-history"]


@pytest.mark.parametrize("name", PARTS)
def test_what_others_may_write_within_a_state_is_found(root: Path, name: str) -> None:
    """A directory or document that others get to and may write is found, and narrowed."""
    (root / name).chmod(0o777)
    assert all(each.severity != "error" for each in about_modes(found(root)))  # nobody gets there

    root.chmod(0o755)
    (finding,) = [each for each in about_modes(found(root)) if each.path == str(root / name)]

    assert (finding.code, finding.severity) == ("open-to-others", "error")
    found(root, fix=True)
    assert not stat.S_IMODE((root / name).stat().st_mode) & 0o022
