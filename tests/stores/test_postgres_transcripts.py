from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.backends.postgres.log import PostgresTranscripts
from clawstate.testing.transcript_machine import transcript_machine
from clawstate.testing.transcript_suite import TranscriptSuite
from postgres_bouncer import pooled

_URL, _PASSWORD = "CLAWSTATE_TEST_URL", "CLAWSTATE_TEST_PASSWORD"


class OwnTranscripts(PostgresTranscripts):
    """Transcripts with a database of their own, which ends with them."""

    def close(self) -> None:
        super().close()
        self._part.database.close()


def tenant_of(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:24]


def open_log(path: Path) -> OwnTranscripts:
    """Open the transcripts of *path*; where the server is, the environment tells children, too."""
    address = Address(os.environ[_URL], password=lambda: os.environ[_PASSWORD] or None)
    return OwnTranscripts(Database(address, patience=lambda: 20.0), tenant=tenant_of(path))


@pytest.fixture(autouse=True, scope="module")
def _server(postgres):
    os.environ[_URL], os.environ[_PASSWORD] = postgres.url, postgres.password or ""
    yield
    del os.environ[_URL], os.environ[_PASSWORD]


@pytest.mark.slow
class TestPostgres(TranscriptSuite):
    """Transcripts in PostgreSQL keep every law."""

    @pytest.fixture(autouse=True)
    def _postgres(self, postgres) -> None:
        self._connect = postgres.connect

    def make(self, tmp_path: Path) -> PostgresTranscripts:
        return open_log(tmp_path)

    def raw_lines(self, tmp_path: Path, session_id: str) -> list[str]:
        bound = {"tenant": tenant_of(tmp_path), "id": session_id}
        session = "tenant = %(tenant)s AND session_id = %(id)s"
        with self._connect() as connection:
            header = connection.execute(
                f"SELECT header FROM clawstate.transcripts WHERE {session}", bound
            ).fetchall()
            lines = connection.execute(
                "SELECT entry FROM clawstate.messages WHERE tenant = %(tenant)s AND session ="
                f" (SELECT session FROM clawstate.transcripts WHERE {session}) ORDER BY position",
                bound,
            ).fetchall()
        return [row[0] for row in (*header, *lines)]


@pytest.fixture(scope="class")
def bounced(postgres):
    with pooled(postgres) as database:
        os.environ[_URL] = database.url
        yield database
        os.environ[_URL] = postgres.url


@pytest.mark.slow
class TestBehindPooler(TestPostgres):
    """So they do behind PgBouncer, which hands out another connection with each transaction."""

    @pytest.fixture(autouse=True)
    def _pooler(self, bounced) -> None:
        self._connect = bounced.connect

    def make(self, tmp_path: Path) -> PostgresTranscripts:
        return open_log(tmp_path)


@pytest.mark.slow
class TestPostgresMachine(transcript_machine(open_log).TestCase):
    """Transcripts in PostgreSQL answer every call as those in memory do."""


APPEND = """
import sys
from pathlib import Path
from test_postgres_transcripts import open_log
from clawstate.stores.transcripts import Transcripts

log = open_log(Path(sys.argv[1]))
store = Transcripts(log)
for number in range(int(sys.argv[3])):
    message = {"role": "user", "content": f"lobster {sys.argv[2]} {number}"}
    store.append("s", message, turn=f"{sys.argv[2]}{number}")
log.close()
"""


def test_processes_append_to_one_session_in_one_chain(tmp_path) -> None:
    """What two processes append at once is one chain: each entry once, its parent before it."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    command = [sys.executable, "-c", APPEND, str(tmp_path)]
    running = [subprocess.Popen([*command, name, "20"], env=environment) for name in ("ada", "bob")]

    assert [each.wait() for each in running] == [0, 0]
    log = open_log(tmp_path)
    store = Transcripts(log)
    messages = store.messages("s")
    assert [each.parent for each in messages[1:]] == [each.id for each in messages[:-1]]
    wanted = sorted(f"lobster {name} {n}" for name in ("ada", "bob") for n in range(20))
    assert sorted(each.text for each in messages) == wanted
    assert len(store.search("lobster ada", limit=50)) == 40
    assert [hit.message.text for hit in store.search('"ada 7"')] == ["lobster ada 7"]
    assert store.check(deep=True) == []
    log.close()


def test_deleted_sessions_leave_no_byte_in_the_tables(postgres, tmp_path) -> None:
    """After `optimize` no file of the database holds what a deleted session said."""
    if postgres.server is None:
        pytest.skip("the files of a server that is not ours are not looked at")
    log = open_log(tmp_path)
    store = Transcripts(log)
    for number in range(4):
        store.append("gone", {"role": "user", "content": f"Zqvtxw {number} " + "y" * 9000 * number})
    store.append("kept", {"role": "user", "content": "what stays"})

    store.delete("gone")
    store.optimize()

    with postgres.connect() as connection:
        connection.execute("CHECKPOINT")
    files = [each for each in (postgres.server.home / "data" / "base").rglob("*") if each.is_file()]
    assert [each for each in files if b"zqvtxw" in each.read_bytes().lower()] == []
    assert [each.text for each in store.messages("kept")] == ["what stays"]
    assert json.loads(json.dumps(store.stats()))["sessions"] == 1
    log.close()
