"""Work that outlasts its request: backups, and moves to another engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from running_gateway import Answer, Gateway
from test_gateway_events import follow

import clawstate
from clawstate.backup import verify
from clawstate.errors import ConflictError, NotFoundError, UnavailableError
from clawstate.gateway.jobs import Jobs

API = "/api/v1"
FILES = f"{API}/backups/files"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway whose backups go below a directory of the test."""
    folder = tmp_path_factory.mktemp("gateway")
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder / "kept")
    try:
        with Gateway(folder / "state") as started:
            started.post(f"{API}/memory/records", {"text": "Ada prefers green tea"})
            yield started
    finally:
        os.environ.pop("XDG_STATE_HOME")
        if before is not None:
            os.environ["XDG_STATE_HOME"] = before


def until_over(gateway: Gateway, begin: Callable[[], Answer | None], kind: str) -> dict:
    """Begin a job, and return it when the events say that it is over."""
    with follow(gateway) as socket:
        answer = begin()
        assert answer is None or answer.status in {200, 202}, answer.body
        while True:
            message = json.loads(socket.recv(timeout=60))
            if message["type"] != "job" or message["job"]["kind"] != kind:
                continue
            if message["job"]["state"] != "running":
                found = gateway.get(f"{API}/jobs/{message['job']['id']}").json
                assert found["state"] == message["job"]["state"]
                return found


def test_a_backup_is_made_proven_and_told(gateway: Gateway) -> None:
    """What the job makes is a whole backup in the directory, proven, listed, and told as status."""
    done = until_over(gateway, lambda: gateway.post(FILES, {"name": "one.backup"}), "backups.make")

    path = Path(done["result"]["backup"]["path"])
    assert (done["state"], done["error"], path.name) == ("done", None, "one.backup")
    assert verify(path).digest == done["result"]["verification"]["digest"]
    assert [each["path"] for each in gateway.get(FILES).json["backups"]] == [str(path)]
    told = gateway.get(f"{API}/backups").json
    assert (told["path"], told["folder"], told["schedule"]) == (str(path), str(path.parent), None)
    assert 0 <= told["ageMs"] < 600_000
    assert "lastVerifiedBackup" in gateway.get(f"{API}/status").json


def test_a_damaged_backup_fails_its_proof(gateway: Gateway) -> None:
    """The proof of a backup that changed says so, as the error of its job."""
    made = until_over(gateway, lambda: gateway.post(FILES, {}), "backups.make")
    path = Path(made["result"]["backup"]["path"])
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)

    body = {"path": str(path)}
    found = until_over(
        gateway, lambda: gateway.post(f"{API}/backups/verify", body), "backups.prove"
    )

    assert (found["state"], found["error"]["type"], found["result"]) == ("failed", "corrupt", None)
    path.unlink()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (FILES, {"name": "../out.backup"}, 422),
        (FILES, {"name": "/tmp/out.backup"}, 422),
        (FILES, {"name": ".hidden"}, 422),
        (FILES, {"encrypt": "passphrase"}, 422),
        (f"{API}/backups/verify", {"path": "/etc/passwd"}, 404),
        (f"{API}/backups/run", None, 404),
    ],
)
def test_no_backup_goes_or_comes_from_elsewhere(gateway: Gateway, path, body, status) -> None:
    """Names stay in the directory of backups, what is no backup is not read, nobody is asked."""
    assert gateway.post(path, body).status == status


def test_the_gateway_makes_what_is_due(gateway: Gateway) -> None:
    """With a schedule the gateway makes a backup by itself, proves it, and none while it is new."""
    path = f"{API}/backups/schedule"

    done = until_over(
        gateway,
        lambda: gateway.ask("PUT", path, {"every": 3600, "keep": "2d"}),
        "backups.run",
    )

    told = gateway.get(f"{API}/backups").json
    assert done["result"]["verification"]["rows"] > 0
    assert (told["by"], told["path"]) == ("gateway", done["result"]["backup"]["path"])
    assert told["nextMs"] > told["lastVerifiedMs"] + 3_000_000
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(gateway.root), "--json"]
    ran = subprocess.run([*command, "backup", "run"], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["backup"] is None
    assert gateway.ask("DELETE", path).json["schedule"] is None


def answer_of(gateway: Gateway, engine: str, path: str) -> Answer:
    """Return what is answered once records are asked for in *engine*."""
    for _ in range(200):
        with suppress(OSError, HTTPException):
            if gateway.get(f"{API}/store").json.get("engine") == engine:
                found = gateway.get(path)
                if found.status == 200:
                    return found
        threading.Event().wait(0.05)
    raise AssertionError(gateway.get(f"{API}/store").body)


def test_records_are_moved_while_the_gateway_goes_on(gateway: Gateway) -> None:
    """A move is told as it goes, and the gateway answers from where the records lie then."""
    gateway.post(f"{API}/sessions", {"key": "moved"})
    path, entry = f"{API}/store/migrate", f"{API}/sessions/entries/moved"
    before = gateway.get(entry).json
    there = until_over(gateway, lambda: gateway.post(path, {"to": "sqlite"}), "store.migrate")
    found = answer_of(gateway, "sqlite", entry)

    assert (there["state"], there["result"]["records"]["sessions"]) == ("done", 1)
    assert found.json["sessionId"] == before["sessionId"]
    assert gateway.get(f"{API}/jobs/{there['id']}").json == there
    failed = until_over(gateway, lambda: gateway.post(path, {"to": "elsewhere"}), "store.migrate")
    assert failed["error"]["type"] == "invalid"


def test_a_move_by_another_process_is_followed(gateway: Gateway) -> None:
    """Where a command moves records, the gateway asks for them there, and signals still end it."""
    gateway.post(f"{API}/sessions", {"key": "followed"})
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(gateway.root)]
    subprocess.run([*command, "store", "migrate", "--to", "file"], capture_output=True, check=True)

    found = answer_of(gateway, "file", f"{API}/sessions/entries/followed")
    gateway.post(f"{API}/sessions", {"key": "after"})
    with clawstate.open(gateway.root) as state:
        assert state.sessions.get("followed").session_id == found.json["sessionId"]
        assert state.sessions.get("after") is not None
    assert gateway.stop() == 0
    assert gateway.log == ""


class Waiting:
    """Work that waits at each step until it is let go on."""

    def __init__(self) -> None:
        self.steps, self.goes_on = threading.Semaphore(0), threading.Semaphore(0)
        self.over = threading.Event()

    def __call__(self, tell: Callable[[int, int, str], object]) -> str:
        try:
            for number in range(3):
                tell(number, 3, "waiting")
                self.steps.release()
                self.goes_on.acquire(timeout=10)
        finally:
            self.over.set()
        return "made"


def test_a_job_that_is_cancelled_ends_at_its_next_step(clock) -> None:
    """One of a kind runs; who cancels it ends it at its next step; another begins then."""
    told: list[str] = []
    jobs = Jobs(clock, lambda _error: None)
    jobs.follow(lambda job: told.append(job.state))
    work, second = Waiting(), Waiting()
    job = jobs.begin("kind", work)
    work.steps.acquire()
    with pytest.raises(ConflictError, match=job.id):
        jobs.begin("kind", second)

    assert jobs.cancel(job.id).state == "running"
    work.goes_on.release()
    jobs.close()

    assert jobs.require(job.id).state == "cancelled"
    assert work.over.is_set()
    assert told[-1] == "cancelled"
    with pytest.raises(UnavailableError):
        jobs.begin("kind", second)
    with pytest.raises(NotFoundError):
        jobs.cancel("gone")


def test_a_defect_of_a_job_is_noted_and_shown_to_nobody(clock) -> None:
    """What no job may raise is told as a defect without its words, which may hold anything."""
    noted: list[BaseException] = []
    jobs = Jobs(clock, noted.append)

    def fail(_tell: object) -> None:
        raise ZeroDivisionError("canary")

    job = jobs.begin("kind", fail)
    jobs.close()

    form = jobs.require(job.id).form
    assert (form["state"], "canary" in json.dumps(form)) == ("failed", False)
    assert [type(each) for each in noted] == [ZeroDivisionError]
