from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import FallbackWarning, StateError, UnavailableError
from seeds import seed
from soundness import damage_of

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]
SEED = seed()
LENGTHS = 300 if FULL else 30
FLIPS = 1500 if FULL else 40
IS_ROOT = os.geteuid() == 0
NOBODY = 65534

pytestmark = pytest.mark.crash
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root may do this")

# Loads all it needs as the user who may read it, then becomes nobody.
STRANGER = """
import os, sys
import clawstate
from clawstate.errors import StateError

def calls(memory):
    yield "add", lambda: memory.add("text")
    yield "get", lambda: memory.get("x")
    yield "records", lambda: memory.records()
    yield "search", lambda: memory.search("lobster")
    yield "words", lambda: memory.search("lobster", mode="words")
    yield "delete", lambda: memory.delete("x")
    yield "stats", lambda: memory.stats()
    yield "optimize", lambda: memory.optimize()
    yield "check", memory.check

def told(root):
    with clawstate.open(root, lock_timeout=5.0) as state:
        for name, call in calls(state.memory):
            try:
                call()
            except StateError as error:
                yield f"{name} refused {error.code}"
            except BaseException as error:
                yield f"{name} RAISED {error!r}"
            else:
                yield f"{name} worked"

warm, root, user = sys.argv[1:]
assert not [each for each in told(warm) if "worked" not in each]
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
print(*told(root), sep="\\n")
"""


@pytest.fixture(autouse=True)
def seed():
    sys.stdout.write(f"seed {SEED}\n")


def everything(memory):
    records, after = [], None
    while page := memory.records(namespace=None, after=after, limit=1000):
        records += page
        after = page[-1].id
    return records


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return a state with some of everything in it; to be copied, never opened."""
    path = tmp_path_factory.mktemp("template") / "state"
    with clawstate.open(path) as state:
        state.memory.add_many(
            {
                "id": f"r{n}",
                "text": f"the lobster number {n} sleeps in Größe {n % 7}",
                "tags": ["sea", "é"],
                "metadata": {"n": n, "name": "Köln", "deep": {"list": [n]}},
                "thread": "t",
                "source": "notes.md",
                "ttl": 10**7 if n % 5 == 0 else None,
            }
            for n in range(40)
        )
        state.memory.delete("r7")
        state.memory.update("r8", text="the parrot talks")
        state.memory.optimize()
    return path


def calls(memory):
    """Yield every verb that reads, by name, and then those that write."""
    yield "get", lambda: memory.get("r1")
    yield "records", lambda: everything(memory)
    yield "where", lambda: memory.records(where={"deep.list": {"contains": 1}}, tags=["sea"])
    for mode in ("words", "vector", "hybrid"):
        yield mode, lambda mode=mode: memory.search("lobster number 3", mode=mode)
        yield f"{mode} where", lambda mode=mode: memory.search("lobster", mode=mode, where={"n": 1})
    yield "stats", memory.stats
    yield "needs", memory.needs_optimizing
    yield "check", memory.check
    yield "shallow", lambda: memory.check(deep=False)


def writes(memory):
    yield "add", lambda: memory.add("a new lobster", thread="t")
    yield "update", lambda: memory.update("r1", text="other")
    yield "delete", lambda: memory.delete("r2")
    yield "optimize", memory.optimize
    yield "rebuild", memory.rebuild


def complaints(names):
    """Return what the calls *names* raised that is no `StateError`."""
    found = []
    for name, call in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", FallbackWarning)
                call()
        except StateError:
            pass
        except Exception as error:  # noqa: BLE001 - the law is that there is none
            found.append(f"{name}: {error!r}")
    return found


def complaints_about(root, data, *, frozen=True):
    """Put *data* in the place of the database of *root*, call everything, return complaints."""
    path = root / "memory/memory.db"
    for each in path.parent.glob("memory.db*"):
        each.unlink()
    path.write_bytes(data)
    with clawstate.open(root) as state:
        found = complaints(calls(state.memory))
        if frozen and path.read_bytes() != data:
            found.append("a read changed the file")
    with clawstate.open(root) as state:
        return found + complaints(writes(state.memory))


@pytest.fixture
def copied(tmp_path, template):
    shutil.copytree(template, tmp_path / "state")
    return tmp_path / "state", (template / "memory/memory.db").read_bytes()


def test_a_cut_off_database_raises_only_state_errors(copied) -> None:
    """A database cut off anywhere gives a `StateError` or an answer; reads leave it alone."""
    root, data = copied
    chance = random.Random(SEED)
    lengths = {0, 1, 15, 16, 99, 100, 101, 4095, 4096, 4097, len(data) - 1}
    lengths |= {chance.randrange(len(data)) for _ in range(LENGTHS)}

    found = {length: complaints_about(root, data[:length]) for length in sorted(lengths)}

    assert {length: each for length, each in found.items() if each} == {}


def test_flipped_bytes_raise_only_state_errors(copied) -> None:
    """Whatever bytes of a database are wrong, only a `StateError` or an answer comes of it."""
    root, data = copied
    chance = random.Random(SEED)
    found = {}
    used = [place for place, byte in enumerate(data) if byte]

    for number in range(FLIPS):
        damaged = bytearray(data)
        places = tuple(chance.choice(used) for _ in range(1 + number % 4))
        for place in places:
            damaged[place] ^= chance.randrange(1, 256)
        if complaint := complaints_about(root, bytes(damaged)):
            found[places] = complaint

    assert found == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Köln".encode(), b"K\xff\xfeln"),
        ("Größe".encode(), b"Gr\xc3\xc3\xc3\xc3e"),
        (b'{"n":1,', b'{"n"=1,'),
        (b'"deep"', b'"deep\\'),
        (b'"dimensions"', b'"dimEnsions"'),
        (b'"dimensions": 256', b'"dimensions": 255'),
        (b'"dimensions": 256', b'"dimensions":    '),
    ],
    ids=["metadata", "text", "json", "escape", "embedder", "size", "number"],
)
def test_damaged_values_raise_only_state_errors(copied, old, new) -> None:
    """A value that SQLite cannot know to be wrong leads to a `StateError` or an answer as well."""
    root, data = copied
    assert old in data
    assert len(old) == len(new)

    assert complaints_about(root, data.replace(old, new)) == []


def test_a_cut_off_log_is_no_damage(tmp_path, template) -> None:
    """A write-ahead log cut off anywhere, as by a power cut, leaves what was written before."""
    shutil.copytree(template, tmp_path / "state")
    with clawstate.open(tmp_path / "state") as state:
        before = {record.id for record in everything(state.memory)}
        ids = [state.memory.add(f"a new lobster {n}") for n in range(5)]
        shutil.copytree(tmp_path / "state", tmp_path / "running")
    log = (tmp_path / "running/memory/memory.db-wal").read_bytes()
    chance = random.Random(SEED)

    for length in [0, 31, 32, len(log), *(chance.randrange(len(log)) for _ in range(LENGTHS))]:
        shutil.rmtree(tmp_path / "cut", ignore_errors=True)
        shutil.copytree(tmp_path / "running", tmp_path / "cut")
        (tmp_path / "cut/memory/memory.db-shm").unlink()
        os.truncate(tmp_path / "cut/memory/memory.db-wal", length)
        with clawstate.open(tmp_path / "cut") as state:
            kept = {record.id for record in everything(state.memory)}
            assert kept - before == set(ids[: len(kept - before)])
            assert kept >= before
            assert damage_of(state.memory) == []


def test_a_directory_in_the_place_of_the_database(tmp_path) -> None:
    """A directory where `memory.db` should be leads to `StateError`s, and stays."""
    (tmp_path / "state/memory/memory.db").mkdir(parents=True)
    with clawstate.open(tmp_path / "state") as state:
        assert complaints([*calls(state.memory), *writes(state.memory)]) == []
        with pytest.raises(StateError, match=r"memory\.db"):
            state.memory.add("text")
        with pytest.raises(StateError, match=r"memory\.db"):
            state.memory.records()

    assert (tmp_path / "state/memory/memory.db").is_dir()


@pytest.mark.parametrize("place", ["state", "state/memory"])
def test_a_file_in_the_place_of_a_directory(tmp_path, place) -> None:
    """A file where a directory should be leads to `StateError`s, and stays."""
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")
    with clawstate.open(tmp_path / "state") as state:
        assert complaints([*calls(state.memory), *writes(state.memory)]) == []
        with pytest.raises(StateError):
            state.memory.add("text")

    assert (tmp_path / place).read_text() == "mine"


# A full disk


@pytest.fixture
def tiny_disk(tmp_path):
    """Yield a file system of 3 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", path]
    if not IS_ROOT or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us mount a tmpfs")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(path, *, leave=0):
    """Use up the disk of *path* but for about *leave* bytes."""
    with (path / "ballast").open("ab", buffering=0) as ballast:
        for size in (65_536, 4096):
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError:
                pass
    os.truncate(path / "ballast", (path / "ballast").stat().st_size - leave)


def add_until_refused(memory):
    ids = []
    for number in range(10_000):
        try:
            ids += memory.add_many({"text": f"lobster {number} {n} " * 20} for n in range(20))
        except UnavailableError:
            return ids
    pytest.fail("the disk was never full")


@as_root
def test_a_full_disk_is_survived(tiny_disk) -> None:
    """On a full disk writes raise `UnavailableError`, lose nothing, and work again with space."""
    with clawstate.open(tiny_disk / "state") as state:
        memory = state.memory
        memory.add("the first lobster")
        fill(tiny_disk, leave=400_000)
        ids = add_until_refused(memory)
        for _ in range(3):
            with pytest.raises(UnavailableError, match=r"full|space"):
                memory.add_many({"text": f"crab {n} " * 1000} for n in range(20))
        assert {record.id for record in everything(memory)} > set(ids)
        assert memory.search("first", mode="words")

        (tiny_disk / "ballast").unlink()

        more = memory.add("the lobster of better times")
        assert {record.id for record in everything(memory)} > {*ids, more}
        assert damage_of(memory) == []


@as_root
def test_a_disk_that_is_full_from_the_start(tiny_disk) -> None:
    """A first write on a full disk raises `UnavailableError`, and works once there is space."""
    fill(tiny_disk)
    with clawstate.open(tiny_disk / "state") as state:
        with pytest.raises(UnavailableError):
            state.memory.add("lobster")
        assert complaints(calls(state.memory)) == []

        (tiny_disk / "ballast").unlink()

        state.memory.add("lobster")
        assert len(state.memory.search("lobster")) == 1
        assert damage_of(state.memory) == []


@as_root
@pytest.mark.parametrize("leave", [4096, 16_384, 65_536, 120_000, 200_000])
def test_a_disk_that_fills_in_the_first_write(tiny_disk, leave) -> None:
    """Wherever the first write runs out of space, the same state works once there is some."""
    fill(tiny_disk, leave=leave)
    with clawstate.open(tiny_disk / "state") as state:
        assert complaints([("add", lambda: add_until_refused(state.memory))]) == []
        assert complaints(calls(state.memory)) == []

        (tiny_disk / "ballast").unlink()

        state.memory.add("zebra")
        assert len(state.memory.search("zebra", mode="words")) == 1
        assert damage_of(state.memory) == []


# Permissions


@pytest.fixture
def unchangeable(copied):
    """Yield a state whose directories nobody, not even root, can add a file to."""
    root, _ = copied
    folders = [root, root / "memory"]
    command = ["chattr", "+i", *folders]
    if not IS_ROOT or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us make a directory unchangeable")
    yield root
    subprocess.run(["chattr", "-i", *folders], check=True)


@as_root
def test_a_directory_that_cannot_be_changed(unchangeable) -> None:
    """Where no file can be made every call works or raises a `StateError`; no write pretends."""
    with clawstate.open(unchangeable) as state:
        assert complaints(calls(state.memory)) == []
        for name, call in writes(state.memory):
            with pytest.raises(StateError):
                pytest.fail(f"{name} returned {call()!r}")


@as_root
def test_a_place_that_cannot_be_changed(unchangeable) -> None:
    """A new state in such a directory is empty to read and refuses to be written."""
    with clawstate.open(unchangeable / "new") as state:
        assert everything(state.memory) == []
        with pytest.raises(UnavailableError, match="new"):
            state.memory.add("text")


@pytest.fixture
def open_place():
    """Yield a directory that every user can reach."""
    path = Path(tempfile.mkdtemp(prefix="clawstate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@as_root
@pytest.mark.parametrize("closed", ["state", "state/memory", "state/memory/memory.db"])
@pytest.mark.parametrize("mode", [0o000, 0o555], ids="{:03o}".format)
def test_a_stranger_gets_state_errors(open_place, tmp_path, template, closed, mode) -> None:
    """A user who may not read or not write gets `StateError`s that tell so, and nothing else."""
    shutil.copytree(template, open_place / "state")
    for each in [open_place / "state", *(open_place / "state").rglob("*")]:
        os.chown(each, NOBODY, NOBODY)
    (open_place / closed).chmod(mode)

    run = subprocess.run(
        [sys.executable, "-c", STRANGER, tmp_path / "warm", open_place / "state", str(NOBODY)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    told = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    assert len(told) == 9
    assert [each for each in told.items() if "RAISED" in each[1]] == []
    if mode == 0o000:
        assert {answer.split()[0] for answer in told.values()} == {"refused"}
