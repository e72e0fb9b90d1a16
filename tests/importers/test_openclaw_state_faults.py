from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openclaw_fixtures import counts, exported, failures, moved
from openclaw_home import ONE, OpenClawHome, fingerprint

import clawstate
from clawstate.importers.openclaw import import_openclaw
from clawstate.testing.forked import child_process
from manual_clock import ManualClock

SOURCE = Path(clawstate.__file__).parents[1]
DOCUMENTS = {
    "openclaw.json": "config",
    "agents/main/agent/auth-profiles.json": "auth",
    "agents/work/agent/auth.json": "auth",
    "credentials/oauth.json": "auth",
    "agents/main/sessions/sessions.json": "sessions",
    "credentials/telegram-pairing.json": "channels",
    "credentials/telegram-work-allowFrom.json": "channels",
    "identity/device.json": "identity",
    "identity/device-auth.json": "device-auth",
    "devices/paired.json": "devices",
    "devices/pending.json": "devices",
    "memory/work.sqlite": "memory",
    "feishu/dedup/default.json": "dedupe",
}


@pytest.fixture
def home(tmp_path: Path, clock) -> OpenClawHome:
    return OpenClawHome(tmp_path / "openclaw", clock()).everything()


def written_long_ago(path: Path) -> None:
    """Date *path* back: what was written just now is waited for, as half of it may be missing."""
    os.utime(path, (1, 1))


DAMAGES = [
    (path, damage)
    for path in DOCUMENTS
    for damage in (b'{"a": ', b"\xff\xfe", b"", b"[]", b"null")
    if damage or not path.endswith(".sqlite")  # an empty file is an empty database
]


@pytest.mark.parametrize(("path", "damage"), DAMAGES, ids=repr)
def test_one_broken_file_does_not_stop_the_rest(home, state, path, damage) -> None:
    """A damaged file is told with its path, and everything else is taken."""
    expected = counts(import_openclaw(state, home.root, dry_run=True))
    (home.root / path).write_bytes(damage)
    written_long_ago(home.root / path)

    dry = counts(import_openclaw(state, home.root, dry_run=True))
    report = import_openclaw(state, home.root)

    assert counts(report) == dry
    assert failures(report) == [(DOCUMENTS[path], path)]
    others = expected.keys() - {DOCUMENTS[path], "left-alone"}
    assert {kind: counts(report)[kind] for kind in others} == {
        kind: expected[kind] for kind in others
    }


@given(damage=st.binary(max_size=60), path=st.sampled_from(sorted(DOCUMENTS)))
def test_no_content_of_a_file_ends_the_import(tmp_path_factory, damage, path) -> None:
    """Whatever a file holds, the import ends with a report, the same as that of a dry run."""
    root = tmp_path_factory.mktemp("law")
    clock = ManualClock()
    home = OpenClawHome(root / "openclaw", clock())
    home.file(path, damage)
    written_long_ago(home.root / path)
    with clawstate.open(root / "state", clock=clock) as state:
        dry = import_openclaw(state, home.root, dry_run=True)
        report = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
NAMES = {
    "agents/main/agent/auth-profiles.json": ("profiles", "order", "lastGood", "usageStats"),
    "agents/main/sessions/sessions.json": ("agent:main:x", "y"),
    "credentials/telegram-pairing.json": ("requests", "version"),
    "credentials/telegram-allowFrom.json": ("allowFrom", "version"),
    "identity/device-auth.json": ("tokens", "deviceId", "version"),
    "devices/paired.json": ("phone",),
    "feishu/dedup/default.json": ("m1",),
}


@given(data=st.data(), path=st.sampled_from(sorted(NAMES)))
def test_no_shape_of_a_document_ends_the_import(tmp_path_factory, data, path) -> None:
    """Members of any shape are taken or refused, never a crash, and never twice."""
    root = tmp_path_factory.mktemp("law")
    clock = ManualClock()
    home = OpenClawHome(root / "openclaw", clock())
    home.json(path, {name: data.draw(json_values, label=name) for name in NAMES[path]})
    with clawstate.open(root / "state", clock=clock) as state:
        dry = import_openclaw(state, home.root, dry_run=True)
        report = import_openclaw(state, home.root)
        again = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)
    assert moved(again) == 0


def test_a_file_that_is_being_written_in_place_is_read_whole(home, tmp_path, clock) -> None:
    """A writer that truncates its file before it fills it makes no import fail."""
    path = home.root / "agents/main/agent/auth-profiles.json"
    text = path.read_bytes()
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            with path.open("wb") as file:
                for start in range(0, len(text), 64):
                    file.write(text[start : start + 64])
                    file.flush()
            done.wait(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            with clawstate.open(tmp_path / f"{number}", clock=clock) as state:
                report = import_openclaw(state, home.root, kinds=["auth"])
                assert report.counts["auth"].new == 4
    finally:
        done.set()
        writer.join()


def test_broken_lines_are_told_and_the_rest_is_taken(home, state) -> None:
    """A line that is no entry fails with its number; the lines around it are taken."""
    lines = home.lines(ONE, ["one", "two"])
    lines[2:2] = ["{broken", '"text"', ""]
    home.file(f"agents/main/sessions/{ONE}.jsonl", "\n".join(lines) + "\n")

    report = import_openclaw(state, home.root)

    told = [each.line for each in report.remarks if each.severity == "failed"]
    assert told == [3, 4]
    assert [each.text for each in state.transcripts.messages(ONE)] == ["one", "two"]


def test_a_line_that_is_being_written_is_left_for_later(home, state) -> None:
    """Half a line at the end is no failure, and comes with the next import."""
    path = f"agents/main/sessions/{ONE}.jsonl"
    whole = "".join(f"{line}\n" for line in home.lines(ONE, ["one", "two"]))
    home.file(path, whole[:-30])

    first = import_openclaw(state, home.root)
    home.file(path, whole)
    second = import_openclaw(state, home.root)

    assert not first.has_failed()
    assert second.counts["transcripts"].new == 1
    assert exported(state, ONE) == whole.splitlines()


def test_many_broken_lines_are_counted_and_few_are_shown(home, state) -> None:
    """Of a file that is no transcript at all, ten lines are shown and all are counted."""
    home.file("agents/main/sessions/noise.jsonl", "noise\n" * 500)

    report = import_openclaw(state, home.root)

    assert report.counts["transcripts"].failed == 500
    assert len([each for each in report.remarks if "noise" in each.path]) == 11


def test_no_link_is_followed(home, state, tmp_path) -> None:
    """A link in the place of a file or folder is told and not followed, wherever it leads."""
    outside = OpenClawHome(tmp_path / "outside", home.now).everything()
    shutil.rmtree(home.root / "agents")
    for path in ("agents", "credentials/telegram-work-allowFrom.json", "memory/work.sqlite"):
        place = home.root / path
        if place.exists():
            place.unlink()
        place.symlink_to(outside.root / path)
    shutil.rmtree(home.root / "workspace")
    (home.root / "workspace").symlink_to(outside.root / "workspace")

    report = import_openclaw(state, home.root)

    named = {each.path for each in report.remarks if "link" in each.message}
    assert {"agents", "workspace", "credentials/telegram-work-allowFrom.json"} <= named
    assert "memory/work.sqlite" in named
    assert state.sessions.get("agent:main:main") is None
    assert not [each for each in state.memory.records(namespace=None) if "boiler" in each.text]


def test_the_source_itself_may_be_reached_by_a_link(home, state, tmp_path) -> None:
    """A link to the directory is the directory, as older releases leave one behind."""
    (tmp_path / ".clawdbot").symlink_to(home.root)

    report = import_openclaw(state, tmp_path / ".clawdbot")

    assert report.source == str(home.root)
    assert not report.has_failed()


def test_a_pipe_does_not_hold_the_import_up(home, state) -> None:
    """A named pipe in the place of a file is refused without waiting."""
    for path in ("openclaw.json", f"agents/main/sessions/{ONE}.jsonl"):
        (home.root / path).unlink()
        os.mkfifo(home.root / path)

    report = import_openclaw(state, home.root)

    assert sorted(kind for kind, _ in failures(report)) == ["config", "transcripts"]


def test_an_index_in_use_is_read_with_its_log(home, state) -> None:
    """What a writer committed to the log of an open index is taken as well."""
    path = home.root / "memory/work.sqlite"
    with holder(
        path,
        "PRAGMA journal_mode=wal",
        "UPDATE chunks SET text = 'The wolf is new.' WHERE start_line = 4",
    ):
        assert path.with_name("work.sqlite-wal").stat().st_size
        before = fingerprint(home.root)
        import_openclaw(state, home.root)
        after = fingerprint(home.root)

    texts = {each.text for each in state.memory.records(namespace="work")}
    assert "The wolf is new." in texts
    beside = {"memory/work.sqlite-shm", "memory/work.sqlite-wal"}  # SQLite counts readers there
    assert {path for path in after if after[path] != before.get(path)} <= beside
    assert after["memory/work.sqlite-wal"][-1] == before["memory/work.sqlite-wal"][-1]


def test_a_closed_index_with_a_log_is_read_without_a_trace(home, state) -> None:
    """An index that was in the mode of a log, and is closed, gets no file beside it."""
    path = home.root / "memory/work.sqlite"
    with holder(path, "PRAGMA journal_mode=wal"):
        pass
    before = fingerprint(home.root)

    report = import_openclaw(state, home.root)

    assert report.counts["memory"].new == 2
    assert fingerprint(home.root) == before


def test_a_writer_of_the_index_is_not_disturbed(home, state) -> None:
    """An index that its writer holds is told, left as it is, and taken the next time."""
    path = home.root / "memory/work.sqlite"
    with holder(path, "BEGIN EXCLUSIVE", "DELETE FROM chunks WHERE start_line = 4"):
        before = fingerprint(home.root)
        report = import_openclaw(state, home.root, kinds=["memory"])
        assert fingerprint(home.root) == before

    assert failures(report) == [("memory", "memory/work.sqlite")]
    assert import_openclaw(state, home.root, kinds=["memory"]).counts["memory"].new == 2


@contextmanager
def holder(path: Path, *statements: str):
    """Run a program that has the database *path* open, and did *statements*."""
    program = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for each in sys.argv[2:]: database.execute(each)\n"
        "print('there', flush=True)\n"
        "sys.stdin.read()\n"
        "database.rollback()\n"
        "database.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path, *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "there\n"
        yield
        process.stdin.close()


def test_a_source_that_is_mounted_read_only_is_taken(home, tmp_path) -> None:
    """An import from a mount that nobody can write to is as any other."""
    program = (
        f"mount --bind {home.root} {home.root} && mount -o remount,ro,bind {home.root} "
        f"&& ! touch {home.root}/x 2>/dev/null && exec {sys.executable} -m clawstate "
        f"--state-dir {tmp_path}/state import openclaw {home.root} --json"
    )
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing")
    before = fingerprint(home.root)

    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kinds"]["memory"]["new"] == 2
    assert fingerprint(home.root) == before


RECORDS = ("auth", "sessions", "transcripts", "channels", "identity", "device-auth", "devices")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_files_of_another_user_can_be_taken(clock) -> None:
    """A source that belongs to somebody else, and cannot be written, is taken as any other."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        home = OpenClawHome(root / "openclaw", clock()).everything()
        for path in [home.root, *home.root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        (root / "own").mkdir()
        os.chown(root / "own", nobody.pw_uid, nobody.pw_gid)
        before = fingerprint(home.root)
        # Once as root: what is imported late must be there before nobody may read it.
        with clawstate.open(root / "warm", clock=clock) as state:
            whole = counts(import_openclaw(state, home.root, kinds=RECORDS))

        def take(_) -> None:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            with clawstate.open(root / "own/state", clock=clock) as state:
                assert counts(import_openclaw(state, home.root, kinds=RECORDS)) == whole

        with child_process(take) as child:
            assert child.wait() == 0

        assert fingerprint(home.root) == before


@pytest.mark.slow
def test_a_large_transcript_is_read_as_a_stream(home, state) -> None:
    """A transcript three times as large takes no more memory."""
    peaks = [peak_of(home, state, size) for size in (20, 60)]

    assert peaks[1] < 1.5 * peaks[0]


def peak_of(home, state, size: int) -> int:
    """Return how many bytes an import of a transcript of *size* MB needs."""
    path = home.root / f"agents/main/sessions/large-{size}.jsonl"
    lines = home.lines(ONE, [f"{number} " * 1500 for number in range(100)])
    with path.open("w") as file:
        file.write(f"{lines[0]}\n")
        number = 0
        while file.tell() < size * 1_000_000:
            number += 1
            for line in lines[1:]:
                file.write(line.replace('"id":"', f'"id":"{number}-', 1) + "\n")
    tracemalloc.start()
    try:
        report = import_openclaw(state, home.root, kinds=["transcripts"])
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert report.counts["transcripts"].failed == 0


@pytest.mark.parametrize("store", ["file", "sqlite"])
@pytest.mark.parametrize("name", ["\udcff", "A b", "%2e%2e", "x" * 200, "é\n", "-", ".", "\x1b[0m"])
def test_no_name_of_a_file_ends_the_import(tmp_path, clock, name, store) -> None:
    """Whatever files are called, the import ends, is the same twice, and stays in its place."""
    home = OpenClawHome(tmp_path / "openclaw", clock())
    agent = name if name != "." else "a."
    home.json(
        f"agents/{agent}/agent/auth-profiles.json",
        {"profiles": {"a:b": {"type": "api_key", "provider": "a", "key": "k"}}},
    )
    readable = name.replace("\udcff", "y")
    entry = {"sessionId": "s", "updatedAt": 1, "sessionFile": f"{readable}.jsonl"}
    home.json(f"agents/{agent}/sessions/sessions.json", {f"agent:x:{readable}": entry})
    home.transcript(f"agents/{agent}/sessions/{name}.jsonl", "s", ["hello"])
    home.json(f"credentials/{name}-allowFrom.json", {"allowFrom": ["1"]})
    home.json(f"feishu/dedup/{name}.json", {"m1": home.ms()})
    home.index(f"memory/{agent}.sqlite", [("a.md", 1, 1, "crab")])
    home.file(f"workspace-{agent}/MEMORY.md", "the crab")
    with clawstate.open(tmp_path / "state", clock=clock, store=store) as state:
        dry = import_openclaw(state, home.root, dry_run=True)
        report = import_openclaw(state, home.root)
        again = import_openclaw(state, home.root)

    assert counts(dry) == counts(report)
    assert moved(again) == 0
    assert {each.name for each in tmp_path.iterdir()} <= {"openclaw", "state"}
