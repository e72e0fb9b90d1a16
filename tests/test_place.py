from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time

import pytest

import clawstate
from clawstate.errors import ClosedError, NotFoundError, UnavailableError
from clawstate.files.place import Place
from clawstate.testing.forked import child_process
from faults import loop
from open_files import open_below

SESSION = "0a7d1b1e-0000-4000-8000-000000000001"
TOKEN = {"type": "token", "provider": "openai", "token": "t"}
ENGINES = ("file", "sqlite")

WRITES = {
    "config": lambda state: state.config.set("gateway.port", 2),
    "auth": lambda state: state.auth().upsert("openai:b", TOKEN),
    "sessions": lambda state: state.sessions.resolve("agent:main:b"),
    "dedupe": lambda state: state.dedupe.check_and_record("b"),
    "pairing": lambda state: state.pairing.request(user_id="u", device_id="b"),
    "identity": lambda state: state.identity.load_or_create(),
    "memory": lambda state: state.memory.add("b"),
    "transcripts": lambda state: state.transcripts.append(SESSION, [message("b")]),
}
READS = {
    "config": lambda state: state.config.get("gateway.port"),
    "history": lambda state: state.config.history(),
    "auth": lambda state: state.auth().profiles(),
    "sessions": lambda state: state.sessions.entries(),
    "dedupe": lambda state: state.dedupe.seen("c"),
    "pairing": lambda state: state.pairing.pending(),
    "identity": lambda state: state.identity.get(),
    "memory": lambda state: state.memory.search("a"),
    "records": lambda state: state.memory.records(),
    "transcripts": lambda state: state.transcripts.messages(SESSION),
    "found": lambda state: state.transcripts.search("a"),
}


def message(text):
    return {"role": "user", "content": text}


def fill(state):
    for write in WRITES.values():
        write(state)


def renamed(root):
    root.rename(root.with_name("elsewhere"))


def deleted(root):
    shutil.rmtree(root)


def made_anew(root):
    shutil.rmtree(root)
    root.mkdir(mode=0o700)


def replaced(root):
    root.rename(root.with_name("elsewhere"))
    root.mkdir(mode=0o700)


def by_a_file(root):
    shutil.rmtree(root)
    root.write_text("")


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def state(root, engine):
    with clawstate.open(root, store=engine) as opened:
        yield opened


def names(root):
    return sorted(root.rglob("*")) if root.is_dir() else root.exists()


@pytest.mark.parametrize("gone", [renamed, deleted, made_anew, replaced, by_a_file])
def test_a_state_whose_directory_went_away_refuses(root, state, gone) -> None:
    """Nothing is read from, or written to, what lies where the directory was."""
    fill(state)
    gone(root)
    before = names(root)

    for use in (*READS.values(), *WRITES.values()):
        with pytest.raises(UnavailableError, match=r"gone|another directory|is a file"):
            use(state)

    assert names(root) == before


PARTS = {
    "dedupe": ("dedupe", "file"),
    "sessions": ("sessions", "file"),
    "pairing": ("state", "file"),
    "memory": ("memory", "file"),
    "transcripts": ("memory", "sqlite"),
    "auth": ("state", "sqlite"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_state_whose_disk_went_away_refuses(root, part) -> None:
    """A directory of a state that is a mount of its own, and was unmounted, is no empty one."""
    if (reason := loop.available()) is not None:
        pytest.skip(reason)
    name, engine = PARTS[part]
    folder = root / name
    folder.mkdir(mode=0o700, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this system does not let us mount")
    try:
        with clawstate.open(root, store=engine) as state:
            fill(state)
            READS[part](state)
            subprocess.run(["umount", "-l", str(folder)], check=True)

            new = {**WRITES, "dedupe": lambda state: state.dedupe.check_and_record("not known")}
            for use in (READS[part], new[part]):
                with pytest.raises(UnavailableError, match="another disk"):
                    use(state)

            left = {each.name for each in folder.iterdir()}
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)

    assert left <= {".locks"}


def test_a_directory_is_bound_when_it_is_made(root, state) -> None:
    """A state that was opened before its directory was knows the one that its first write made."""
    for read in READS.values():
        read(state)
    fill(state)
    for use in (*READS.values(), *WRITES.values()):
        use(state)
    made_anew(root)

    for use in (*READS.values(), *WRITES.values()):
        with pytest.raises(UnavailableError, match="another directory"):
            use(state)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("part", ["memory", "transcripts", "sessions", "auth", "config"])
def test_a_directory_is_bound_by_the_write_that_makes_it(tmp_path, engine, part) -> None:
    """Renamed right after its first write, no empty state is made where it was."""
    root = tmp_path / "new"
    with clawstate.open(root, store=engine) as state:
        WRITES[part](state)
        renamed(root)

        with pytest.raises(UnavailableError):
            WRITES[part](state)

        assert not root.exists()


def test_one_that_another_process_made_is_bound(root, state, engine) -> None:
    """A directory that somebody else makes later is the state's, and no other after it."""

    def make(_child):
        with clawstate.open(root, store=engine) as other:
            fill(other)

    with child_process(make) as child:
        assert child.wait() == 0

    assert state.dedupe.seen("b")
    renamed(root)
    with pytest.raises(UnavailableError, match="gone"):
        state.dedupe.check_and_record("new")


def test_a_directory_that_comes_back_is_used_again(root, state) -> None:
    """After a rename there and back, or a mount that returns, everything goes on."""
    fill(state)
    renamed(root)
    with pytest.raises(UnavailableError, match="gone"):
        state.memory.add("c")
    root.with_name("elsewhere").rename(root)

    for use in (*READS.values(), *WRITES.values()):
        use(state)

    assert state.dedupe.seen("b")


def test_a_forked_child_knows_the_directory(root, state) -> None:
    """A child refuses as its parent does."""
    fill(state)

    def work(_child):
        for use in (*READS.values(), *WRITES.values()):
            use(state)
        made_anew(root)
        with pytest.raises(UnavailableError, match="another directory"):
            state.memory.add("c")

    with child_process(work) as child:
        assert child.wait() == 0


def test_an_inode_that_is_used_again_is_not_mistaken(tmp_path) -> None:
    """A new directory is another one, also where the system gives it the inode of the old one."""
    room = tmp_path / "room"
    room.mkdir()
    place = Place(room)

    for _ in range(20):
        room.rmdir()
        room.mkdir()
        with pytest.raises(UnavailableError, match="another directory"):
            place.require()


def test_what_changes_in_a_directory_does_not_change_it(tmp_path) -> None:
    """Files that come and go, modes and times leave a directory the one that it is."""
    place = Place(tmp_path)

    for number in range(20):
        (tmp_path / str(number)).write_text("")
        tmp_path.chmod(0o700 + number % 2 * 0o50)
        os.utime(tmp_path, (number, number))
        place.require()


def test_nothing_stays_open(tmp_path) -> None:
    """To know a directory is not in the way of unmounting it."""
    place = Place(tmp_path)
    place.require()

    assert open_below(tmp_path) == []


@pytest.mark.parametrize("step", ["sessions", "memory", "transcripts", "dedupe", "auth"])
def test_closing_while_threads_work_is_told(root, engine, step) -> None:
    """Threads that work when the state is closed end what they do, or learn that it is closed."""
    state = clawstate.open(root, store=engine)
    fill(state)
    errors: list[BaseException] = []
    began = threading.Barrier(5)

    def work():
        began.wait()
        try:
            while True:
                READS[step](state)
                WRITES[step](state)
        except BaseException as error:  # noqa: BLE001 - it is looked at
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    began.wait()
    limit = time.monotonic() + 0.2
    while time.monotonic() < limit:
        state.config.get("gateway.port")
    state.close()
    for thread in threads:
        thread.join(60)

    assert [error for error in errors if not isinstance(error, ClosedError)] == []
    assert len(errors) == 4
    with clawstate.open(root, store=engine) as again:
        WRITES[step](again)


def test_a_session_without_transcript_is_no_lost_directory(state) -> None:
    """What was never there is told as that."""
    fill(state)

    with pytest.raises(NotFoundError):
        state.sessions.require("agent:main:missing")
