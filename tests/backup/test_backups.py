"""Backups of a state: what is in them, that damage is found, and how they are restored."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

import clawstate
from clawstate.backup import create, restore, verify
from clawstate.backup.listing import backups_in, backups_of
from clawstate.backup.unpacking import describe, unpack
from clawstate.errors import CorruptError, InvalidError, StateError, UnavailableError

SECRET = "sk-made-up-0123456789abcdef"


@pytest.fixture
def kept(tmp_path: Path):
    """Give a state with something in each part."""
    with clawstate.open(tmp_path / "state") as state:
        state.memory.add("Ada prefers green tea", tags=["drinks"])
        state.transcripts.append("talk", {"role": "user", "content": "at nine, at the harbour"})
        state.sessions.resolve("agent:main:main")
        state.auth("main").upsert(
            "openai:default", {"type": "api_key", "provider": "openai", "key": SECRET}
        )
        state.config.set("gateway.port", 4321)
        state.dedupe.check_and_record("message 1", "mail")
        yield state


def answers(root: Path) -> tuple[object, ...]:
    """Return what the state in *root* says of each part."""
    with clawstate.open(root) as state:
        return (
            [hit.record.text for hit in state.memory.search("green tea")],
            [each.text for each in state.transcripts.messages("talk")],
            [each.session_key for each in state.sessions.entries()],
            state.auth("main").secret("openai:default"),
            state.config.get("gateway.port"),
            state.dedupe.seen("message 1", "mail"),
        )


def test_a_restored_state_says_the_same(kept, tmp_path: Path) -> None:
    """Each part of a restored state answers as it did; the file is private from birth."""
    file = tmp_path / "kept.tar.gz"

    made = create(kept, file)
    found = verify(file)
    restored = restore(file, tmp_path / "again")

    assert (found.digest, found.damaged) == (made.digest, ())
    assert found.rows
    assert found.reads
    assert found.searches
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert restored.kept is None
    assert answers(tmp_path / "again") == answers(kept.paths.root)
    assert [each.path for each in backups_of(kept)] == [file]


def test_tar_reads_it_too(kept, tmp_path: Path) -> None:
    """A backup that is not encrypted is a tar archive in gzip for any other program."""
    create(kept, tmp_path / "kept.tar.gz")

    with tarfile.open(tmp_path / "kept.tar.gz") as tar:
        names = tar.getnames()

    assert {"state/memory/memory.db", "manifest.json"} <= set(names)


def test_databases_are_known_by_their_header(kept, tmp_path: Path) -> None:
    """A database of any name is copied by SQLite, with what lies in its log alone."""
    other = sqlite3.connect(kept.paths.root / "notes.data", isolation_level=None)
    other.execute("PRAGMA journal_mode = wal")
    other.execute("CREATE TABLE notes (text)")
    other.execute("INSERT INTO notes VALUES ('in the log')")

    create(kept, tmp_path / "kept.tar.gz")
    restore(tmp_path / "kept.tar.gz", tmp_path / "again")

    assert not (tmp_path / "again" / "notes.data-wal").exists()
    again = sqlite3.connect(tmp_path / "again" / "notes.data")
    assert again.execute("SELECT text FROM notes").fetchall() == [("in the log",)]
    again.close()
    other.close()


def test_a_backup_without_secrets_holds_none(kept, tmp_path: Path) -> None:
    """Without secrets no byte of a credential is in the backup; memory and sessions are."""
    kept.config.set("env.vars.API_TOKEN", SECRET)
    (kept.paths.root / ".env").write_text(f"TOKEN={SECRET}\n")

    create(kept, tmp_path / "plain.tar.gz", secrets=False)
    restore(tmp_path / "plain.tar.gz", tmp_path / "again")

    raw = [each.read_bytes() for each in (tmp_path / "again").rglob("*") if each.is_file()]
    assert not any(SECRET.encode() in each for each in raw)
    with clawstate.open(tmp_path / "again") as state:
        assert state.memory.search("green tea")
        assert state.sessions.entries()


def test_an_encrypted_backup_opens_with_its_key_alone(kept, tmp_path: Path) -> None:
    """Nothing of an encrypted backup can be read without the key, and all of it with it."""
    key = tmp_path / "keys" / "backup.key"

    create(kept, tmp_path / "kept.bin", key=f"file:{key}")
    found = verify(tmp_path / "kept.bin")

    raw = (tmp_path / "kept.bin").read_bytes()
    assert b"green tea" not in raw
    assert describe(tmp_path / "kept.bin").encrypted
    assert found.searches
    key.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    with pytest.raises(StateError):
        verify(tmp_path / "kept.bin")


def check_flips(kept, tmp_path: Path, key: str | None, count: int) -> None:
    file, changed = tmp_path / "kept.bin", tmp_path / "changed.bin"
    create(kept, file, key=key)
    raw = file.read_bytes()
    rng = random.Random(7)
    # The ends hold what is neither content nor checked by gzip.
    places = {*range(60), *range(len(raw) - 60, len(raw))} if count > 200 else {0, len(raw) - 1}
    places |= {rng.randrange(len(raw)) for _ in range(count)}

    missed = []
    for number, place in enumerate(sorted(places)):
        wrong = bytearray(raw)
        wrong[place] ^= 1 << rng.randrange(8)
        changed.write_bytes(wrong)
        try:
            unpack(changed, tmp_path / f"out-{number}")
        except StateError:
            continue
        missed.append(place)

    assert missed == []


@pytest.mark.parametrize("key", [None, "file"])
def test_a_changed_byte_is_found(kept, tmp_path: Path, key: str | None) -> None:
    """A backup of which one bit was changed is refused, wherever that is."""
    check_flips(kept, tmp_path, key and f"file:{tmp_path / 'key'}", 50)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("key", [None, "file"])
def test_any_changed_byte_is_found(kept, tmp_path: Path, key: str | None) -> None:
    """Of two thousand changed bits none stays unseen."""
    check_flips(kept, tmp_path, key and f"file:{tmp_path / 'key'}", 2000)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99, "one byte"])
def test_a_backup_that_is_cut_off_is_refused(kept, tmp_path: Path, part: float | str) -> None:
    """A file that is too short, or too long, is no backup."""
    create(kept, tmp_path / "kept.tar.gz")
    raw = (tmp_path / "kept.tar.gz").read_bytes()
    cut = raw + b"\0" if part == "one byte" else raw[: int(len(raw) * part)]
    (tmp_path / "cut.tar.gz").write_bytes(cut)

    with pytest.raises(CorruptError):
        verify(tmp_path / "cut.tar.gz")


def test_what_was_there_is_kept(kept, tmp_path: Path) -> None:
    """A restore over a state leaves that one whole, beside it, under a name that it tells."""
    root = kept.paths.root
    create(kept, tmp_path / "kept.tar.gz")
    kept.memory.add("Grace takes coffee")
    kept.close()

    done = restore(tmp_path / "kept.tar.gz", root)

    assert done.kept is not None
    with clawstate.open(root) as now, clawstate.open(done.kept) as before:
        assert (now.memory.stats()["records"], before.memory.stats()["records"]) == (1, 2)


def test_an_open_state_is_not_replaced(kept, tmp_path: Path) -> None:
    """While a process has the state open a restore is refused, and nothing changes."""
    create(kept, tmp_path / "kept.tar.gz")
    kept.memory.search("tea")

    with pytest.raises(UnavailableError, match="is in use by"):
        restore(tmp_path / "kept.tar.gz", kept.paths.root)

    assert kept.memory.search("tea")


def test_a_backup_is_not_put_into_its_state(kept) -> None:
    """A file within the state is refused: it would be lost with it."""
    with pytest.raises(InvalidError, match="inside of the state"):
        create(kept, kept.paths.root / "kept.tar.gz")


def test_only_a_backup_is_replaced(kept, tmp_path: Path) -> None:
    """A file that is none is refused and stays; an older backup gives way."""
    diary = tmp_path / "diary.txt"
    diary.write_text("Monday: rain.")

    with pytest.raises(InvalidError, match="is no backup"):
        create(kept, diary)

    assert diary.read_text() == "Monday: rain."
    file = create(kept, tmp_path / "b.tar.gz").path
    assert create(kept, file).path == file


def test_a_memory_elsewhere_comes_home(tmp_path: Path) -> None:
    """A memory that a setting put outside of the state lies in the restored one."""
    with clawstate.open(tmp_path / "state") as state:
        state.config.set("memory.store.path", str(tmp_path / "elsewhere.db"))
        state.memory.add("Ada prefers green tea")
        create(state, tmp_path / "kept.tar.gz")

    done = restore(tmp_path / "kept.tar.gz", tmp_path / "again")

    assert done.moved == ("memory.store.path",)
    with clawstate.open(tmp_path / "again") as state:
        assert state.places.memory() == tmp_path / "again/memory/memory.db"
        assert state.memory.search("green tea")


def test_damage_is_told_and_kept(kept, tmp_path: Path) -> None:
    """A state that is damaged already can be backed up, and the proof says what is damaged."""
    kept.memory.add_many([{"text": f"note {number} " + "x" * 500} for number in range(200)])
    path = kept.paths.memory_db
    kept.close()
    raw = bytearray(path.read_bytes())
    raw[30_000:34_000] = b"\xff" * 4_000
    path.write_bytes(raw)

    with clawstate.open(kept.paths.root) as state:
        create(state, tmp_path / "kept.tar.gz")

    assert verify(tmp_path / "kept.tar.gz").damaged


def test_the_command_line_does_it_all(kept, tmp_path: Path) -> None:
    """`backup create`, `verify`, `list` and `restore` say what they did, and their exit codes."""
    file = tmp_path / "kept.tar.gz"
    kept.close()

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(kept.paths.root), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    assert "answered as before" in run("backup", "create", str(file))
    assert "verified" in run("backup", "list")
    assert [each.path for each in backups_in(tmp_path)] == [file]
    assert "is the state of" in run("backup", "restore", str(file), "--to", str(tmp_path / "new"))
    assert answers(tmp_path / "new") == answers(kept.paths.root)


KILLED = """
import sys, clawstate
from pathlib import Path
from clawstate.backup import create, restore
verb, root, file = sys.argv[1:]
print("begin", flush=True)
if verb == "create":
    with clawstate.open(root) as state:
        create(state, Path(file))
else:
    restore(Path(file), Path(root))
print("end", flush=True)
"""


def check_kills(kept, tmp_path: Path, verb: str, count: int) -> None:
    """Kill *verb* at *count* points of its time, and look at what is left."""
    root, file = kept.paths.root, tmp_path / "kept.tar.gz"
    create(kept, file)
    kept.memory.add("Grace takes coffee")
    kept.close()
    command = [sys.executable, "-c", KILLED, verb, str(root), str(file)]
    ended = 0
    for number in range(count):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            victim.stdout.readline()
            # Evenly over what it takes, which is known from the clock of the process itself.
            wait_for_cpu(victim.pid, number / count * 1.2)
            victim.kill()
            ended += "end" in victim.stdout.read()
        unpacked = tmp_path / f"out-{number}"
        unpack(file, unpacked)
        with clawstate.open(root) as state:
            assert state.memory.stats()["records"] in {1, 2}
            assert state.memory.search("green tea")
    left = {each.name for each in tmp_path.iterdir() if each.name.endswith(".tar.gz")}
    assert left == {"kept.tar.gz"}
    assert 0 < ended < count or count < 10


def wait_for_cpu(pid: int, seconds: float) -> None:
    """Wait until the process *pid* has used *seconds* of a processor, or is over."""
    ticks = os.sysconf("SC_CLK_TCK")
    begun = None
    while True:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        used = (int(fields[11]) + int(fields[12])) / ticks
        begun = used if begun is None else begun
        if used - begun >= seconds or fields[0] == "Z":
            return
        time.sleep(0.001)  # a tick is ten times as long, and the processor is for the victim


@pytest.mark.parametrize("verb", ["create", "restore"])
def test_a_kill_leaves_the_old_or_the_new(kept, tmp_path: Path, verb: str) -> None:
    """Killed at any point, a backup is the old one or the new one, and so is a restored state."""
    check_kills(kept, tmp_path, verb, 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("verb", ["create", "restore"])
def test_hundreds_of_kills_leave_the_old_or_the_new(kept, tmp_path: Path, verb: str) -> None:
    """Killed at three hundred points, no half file has the name, and no half state either."""
    check_kills(kept, tmp_path, verb, 300)
