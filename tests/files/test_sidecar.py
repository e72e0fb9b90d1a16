from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.lock_owner import Owner, parse_payload, payload_of, this_owner
from clawstate.files.sidecar import Sidecar, UnpublishedLock
from clawstate.files.stale_lock import ExistingLock, Verdict, judge, read_sidecar, take_over
from clawstate.testing.forked import child_process, child_processes, in_threads
from clawstate.testing.lock_suite import NO_PROCESS
from clawstate.testing.lock_suite import payload_of as foreign
from open_files import open_below

NOW, BOOTED, STALE = 1_000_000.0, 900_000.0, 30.0


def create_sidecar(path: Path, scratch: Path | None = None) -> Sidecar | None:
    """Make the lock file *path* as a lock does: written first, then named."""
    draft = UnpublishedLock(path)
    made = None
    try:
        draft.write()
        made = draft.publish(scratch=scratch)
    finally:
        if made is None:
            draft.discard()
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "auth.json.lock"


@pytest.fixture(params=["nameless", "named", "in place"])
def creation(request, monkeypatch):
    """Make lock files in each of the three ways that kernels and file systems allow."""
    if request.param != "nameless":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if request.param == "in place":

        def refuse(*_, **__):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "link", refuse)
    return request.param


def test_what_is_made_is_found(path, creation) -> None:
    """A new lock file is private, names this process, and is alone in its directory."""
    before = os.umask(0)
    try:
        made = create_sidecar(path)
    finally:
        os.umask(before)

    found = read_sidecar(path)
    assert found.identity == made.identity
    assert found.owner.pid == os.getpid()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    assert list(path.parent.iterdir()) == [path]
    assert made.remove()


def test_there_is_one_at_a_time(path, creation) -> None:
    """Where a lock file lies none is made, and the attempt leaves nothing."""
    first = create_sidecar(path)
    before = open_below(path.parent)

    for scratch in (None, path.with_name("scratch")):
        assert create_sidecar(path, scratch=scratch) is None

    assert open_below(path.parent) == before
    assert list(path.parent.iterdir()) == [path]
    assert first.is_ours()
    assert first.remove()
    assert open_below(path.parent) == []
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("failing", ["pwrite", "link"])
def test_a_failure_leaves_nothing(path, creation, monkeypatch, failing) -> None:
    """When the system refuses, the error is typed, and no file or descriptor is left."""
    if failing == "link" and creation == "in place":
        pytest.skip("does not link")

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, refuse)
        with pytest.raises(UnavailableError, match="disk is full"):
            create_sidecar(path)

    assert open_below(path.parent) == []
    assert list(path.parent.iterdir()) == []
    assert create_sidecar(path).remove()


def test_a_short_write_is_a_failure(path, creation, monkeypatch) -> None:
    """A lock file that was not written as a whole does not stay."""
    write = os.pwrite
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda descriptor, data, at: write(descriptor, data[:5], at))
        with pytest.raises(UnavailableError, match="disk is full"):
            create_sidecar(path)

    assert list(path.parent.iterdir()) == []


def test_what_a_killed_maker_left_is_no_obstacle(path, creation) -> None:
    """The second name of a lock file that somebody did not finish is used again."""
    scratch = path.with_name("scratch")
    path.with_name("scratch.new").write_bytes(b"half")

    made = create_sidecar(path, scratch=scratch)

    assert parse_payload(path.read_bytes())
    assert made.remove()


def test_a_sign_of_life_is_written_in_place(path) -> None:
    """A sign of life moves `createdAt` and nothing else; after the removal it writes nothing."""
    made = create_sidecar(path)
    before = json.loads(path.read_bytes())
    os.utime(path, (0, 0))

    made.refresh()

    after = json.loads(path.read_bytes())
    assert {**after, "createdAt": None} == {**before, "createdAt": None}
    assert after["createdAt"] >= before["createdAt"]
    assert path.stat().st_mtime > 0
    assert made.is_ours()
    made.remove()
    made.refresh()
    assert not path.exists()


@pytest.mark.parametrize("successor", [None, "file", "link", "directory"])
def test_what_is_not_ours_stays(path, successor) -> None:
    """A lock that was taken away is not ours any longer, and what lies there is not removed."""
    made = create_sidecar(path)
    path.unlink()
    if successor == "file":
        path.write_bytes(b"theirs")
    elif successor == "link":
        path.symlink_to(path.parent)
    elif successor == "directory":
        path.mkdir()

    made.refresh()

    assert not made.is_ours()
    assert not made.remove()
    assert os.path.lexists(path) == (successor is not None)
    assert successor != "file" or path.read_bytes() == b"theirs"


def test_reading_without_a_lock_finds_nothing(path) -> None:
    """No file is no lock, and no error."""
    assert read_sidecar(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"\0" * 5000, b"\xff\xfe", b" " * 4096 + foreign(7)]
)
def test_what_cannot_be_read_has_no_owner(path, content) -> None:
    """Empty, binary and huge files are locks without an owner."""
    path.write_bytes(content)

    assert read_sidecar(path).owner is None


def test_an_unreadable_place_is_told(path) -> None:
    """What is no file is `InvalidError`; what the system refuses is `UnavailableError`."""
    path.mkdir()
    with pytest.raises(InvalidError, match="no regular file"):
        read_sidecar(path)
    with pytest.raises(UnavailableError):
        read_sidecar(path.with_name("n" * 300))


# Verdicts


def found(*, owner: Owner | None = None, age: float = 0.0) -> ExistingLock:
    return ExistingLock((1, 1), NOW - age, owner)


def bare(age: float) -> Owner:
    return Owner(pid=os.getpid(), created_at=NOW - age)


ELSEWHERE = replace(this_owner(NOW), host="elsewhere")


@pytest.mark.parametrize(
    ("lock", "verdict"),
    [
        (found(owner=replace(this_owner(0.0)), age=1e5), Verdict.ALIVE),
        (found(owner=Owner(pid=NO_PROCESS, created_at=NOW)), Verdict.DEAD),
        (found(owner=replace(this_owner(NOW), boot_id="other")), Verdict.DEAD),
        (found(owner=bare(0)), Verdict.RECENT),
        (found(owner=bare(31), age=31), Verdict.SILENT),
        (found(owner=bare(31), age=29), Verdict.RECENT),
        (found(owner=bare(29), age=31), Verdict.RECENT),
        (found(owner=ELSEWHERE, age=1000), Verdict.RECENT),
        (found(owner=replace(ELSEWHERE, created_at=NOW - 31), age=31), Verdict.SILENT),
        (found(owner=replace(ELSEWHERE, created_at=None), age=31), Verdict.SILENT),
        (found(age=29), Verdict.RECENT),
        (found(age=31), Verdict.SILENT),
        (found(age=100_001), Verdict.DEAD),
        (found(age=-1e6), Verdict.RECENT),
        (found(owner=bare(-1e6), age=31), Verdict.SILENT),
        (found(owner=bare(31), age=-1e6), Verdict.SILENT),
        (found(owner=bare(-1e6), age=-1e6), Verdict.RECENT),
        (found(owner=bare(-1), age=1), Verdict.RECENT),
        (found(owner=replace(ELSEWHERE, created_at=NOW - 60), age=-1), Verdict.RECENT),
        (found(owner=replace(ELSEWHERE, created_at=NOW + 29), age=31), Verdict.RECENT),
    ],
)
def test_verdicts(lock, verdict) -> None:
    """Proof decides; without it the last sign that does not come from the future."""
    assert judge(lock, stale=STALE, now=NOW, booted=BOOTED) is verdict


# Taking over


def test_what_was_found_is_removed(path) -> None:
    """The lock that was found is removed, and nothing of it is left, wherever it was put aside."""
    for scratch in (None, path.with_name("scratch")):
        path.write_bytes(foreign(NO_PROCESS))

        assert take_over(path, read_sidecar(path), scratch=scratch)

        assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("meanwhile", ["gone", "replaced", "link"])
def test_what_was_not_found_stays(path, meanwhile) -> None:
    """A lock that came after the one that was found is left alone."""
    path.write_bytes(b"old")
    old = read_sidecar(path)
    path.rename(path.with_name("kept"))
    if meanwhile == "replaced":
        path.write_bytes(b"new")

    assert not take_over(path, old)

    assert path.exists() == (meanwhile == "replaced")
    assert meanwhile != "replaced" or path.read_bytes() == b"new"


@pytest.mark.parametrize("links", [True, False], ids=["", "without links"])
def test_a_lock_taken_by_mistake_is_given_back(path, monkeypatch, links) -> None:
    """When another program puts its lock there in the last moment, it gets it back."""
    path.write_bytes(b"old")
    old = read_sidecar(path)
    new = path.with_name("new")
    new.write_bytes(b"new")
    rename = Path.rename

    def late(self, target):
        monkeypatch.setattr(Path, "rename", rename)
        new.rename(path)
        if not links:
            monkeypatch.setattr(os, "link", refuse)
        return rename(self, target)

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", late)

    assert not take_over(path, old)

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_while_one_breaks_a_lock_no_other_does(path) -> None:
    """Of two of us that break one lock at the same time the second leaves it to the first."""
    path.write_bytes(b"old")
    old = read_sidecar(path)

    def hold(child):
        import fcntl  # noqa: PLC0415

        with path.open() as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            child.say()
            child.hear()

    with child_process(hold) as child:
        child.hear()
        assert not take_over(path, old)
        assert path.read_bytes() == b"old"
        child.say()
        child.wait()

    assert take_over(path, old)


def test_many_breakers_without_a_queue_never_break_a_new_lock(path) -> None:
    """Processes that break the locks of the dead, and hold their own, never lose one to another."""
    rounds = 40

    def work(child):
        for _ in range(rounds):
            child.say()
            child.hear()
            while (made := create_sidecar(path)) is None:
                met = read_sidecar(path)
                if met is not None and met.owner is not None and met.owner.nonce is None:
                    take_over(path, met)
                os.sched_yield()
            os.sched_yield()
            assert made.is_ours()
            assert made.remove()

    with child_processes() as fork:
        children = [fork(work) for _ in range(4)]
        for _ in range(rounds):
            for child in children:
                child.hear()
            path.write_bytes(foreign(NO_PROCESS))
            for child in children:
                child.say()
        codes = [child.wait() for child in children]

    assert codes == [0] * 4
    assert list(path.parent.iterdir()) == []


def test_one_of_many_threads_makes_it(path, creation) -> None:
    """Of threads that make the same lock file at once one succeeds."""
    made = []

    in_threads(8, lambda: made.append(create_sidecar(path)))

    winners = [each for each in made if each is not None]
    assert len(winners) == 1
    assert winners[0].is_ours()
    assert winners[0].remove()
    assert list(path.parent.iterdir()) == []


def test_the_payload_of_a_killed_process_stays_readable(path) -> None:
    """What a killed holder leaves names it, so that the next one knows."""

    def hold(child):
        assert create_sidecar(path)
        child.say()
        child.hear()

    with child_process(hold) as child:
        child.hear()
        child.kill()

    left = read_sidecar(path)
    assert left.owner.pid == child.pid
    assert judge(left, stale=1e9, now=time.time(), booted=0.0) is Verdict.DEAD
    assert payload_of(left.owner) == path.read_bytes()
