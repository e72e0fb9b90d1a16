from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from clawstate.errors import (
    ClosedError,
    InvalidError,
    LimitError,
    LockTimeoutError,
    UnavailableError,
    VersionError,
)
from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.postgres.errors import state_error
from clawstate.postgres.part import Part
from clawstate.testing.forked import child_process
from postgres_counters import ADD, ADD_ONCE, add, count, counters


def test_a_change_is_there_for_all(part, postgres) -> None:
    """What a change did another connection finds once it returned."""
    assert part.rows("SELECT n FROM clawstate.counters") == []
    assert not part.exists() or count(part) == 0

    assert part.change(lambda each: add(each, part.tenant)) == 1
    assert part.change_once(ADD_ONCE, (part.tenant, "a", part.tenant))

    other = Database(postgres.address)
    assert count(Part(other, "counters", [counters], tenant=part.tenant)) == 2
    other.close()


def test_a_change_that_fails_changes_nothing(part) -> None:
    """What a change raises reaches its caller, and nothing of it stays."""
    part.change(lambda each: add(each, part.tenant))

    def fail(connection) -> None:
        add(connection, part.tenant)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        part.change(fail)

    assert count(part) == 1


@pytest.mark.parametrize("loses_request", [False, True])
def test_a_lost_answer_to_commit_is_settled(part, through, proxy, loses_request) -> None:
    """Whether the COMMIT or its answer is lost, the change is made once, and said to be."""
    mine = Part(through, "counters", [counters], tenant=part.tenant)
    mine.change(lambda each: add(each, part.tenant))
    proxy.loses_request = loses_request

    for number in range(5):
        proxy.token = b"COMMIT"
        mine.change(lambda each: add(each, part.tenant))
        assert count(part) == number + 2

    assert proxy.lost == 5


@pytest.mark.parametrize("loses_request", [False, True])
def test_a_lost_answer_to_a_statement_is_settled(part, through, proxy, loses_request) -> None:
    """A change of one statement is made once as well, whatever of it is lost."""
    mine = Part(through, "counters", [counters], tenant=part.tenant)
    mine.change_once(ADD_ONCE, (part.tenant, "a", part.tenant))
    proxy.loses_request = loses_request

    for number in range(5):
        proxy.token = b"operations"
        assert mine.change_once(ADD_ONCE, (part.tenant, "a", part.tenant))
        assert count(part) == number + 2


def test_a_zombie_commits_nothing(part, postgres) -> None:
    """A statement that still waits when its client is gone does nothing after that gave up."""
    part.change(lambda each: add(each, part.tenant))
    hurried = Database(postgres.address, patience=lambda: 1.0)
    mine = Part(hurried, "counters", [counters], tenant=part.tenant)
    mine.exists()
    with postgres.connect() as blocker, blocker.transaction():
        blocker.execute(
            "SELECT n FROM clawstate.counters WHERE tenant = %s FOR UPDATE", (part.tenant,)
        )
        begun = time.monotonic()
        with pytest.raises((LockTimeoutError, UnavailableError)):
            mine.change_once(ADD_ONCE, (part.tenant, "a", part.tenant))
        assert time.monotonic() - begun < 5.0

    part.change(lambda each: add(each, part.tenant))
    assert count(part) == 2
    hurried.close()


def test_a_silent_server_is_not_waited_for_beyond_the_deadline(through, proxy) -> None:
    """When nothing comes back any more, a call ends with its deadline and a typed error."""
    through.rows("SELECT 1")
    hurried = Database(through.address, patience=lambda: 0.5)
    hurried.rows("SELECT 1")
    proxy.is_silent = True

    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        hurried.rows("SELECT 1")

    assert time.monotonic() - begun < 5.0
    hurried.close()


def test_terminated_backends_lose_and_double_nothing(part, postgres) -> None:
    """Of changes whose server processes are ended at random each is made once."""
    part.make()
    stop = threading.Event()

    def terminate() -> None:
        sql = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() ORDER BY random() LIMIT 1"
        )
        with postgres.connect() as connection:
            while not stop.wait(0.05):
                connection.execute(sql)

    killer = threading.Thread(target=terminate)
    killer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            work = [
                pool.submit(part.change, lambda each: add(each, part.tenant)) for _ in range(60)
            ]
            work += [
                pool.submit(part.change_once, ADD_ONCE, (part.tenant, "a", part.tenant))
                for _ in range(60)
            ]
            for each in work:
                each.result()
    finally:
        stop.set()
        killer.join()

    assert count(part) == 120


def test_conflicts_are_tried_again(part) -> None:
    """Transactions that deadlock or cannot be serialised are repeated until they succeed."""
    for name in ("a", "b"):
        part.change(lambda each, name=name: add(each, part.tenant, name))

    def both(connection, names) -> None:
        for name in names:
            add(connection, part.tenant, name)
            connection.execute("SELECT pg_sleep(0.01)")

    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            first = pool.submit(part.change, lambda each: both(each, "ab"))
            second = pool.submit(part.change, lambda each: both(each, "ba"))
            first.result()
            second.result()

    assert count(part, "a") == count(part, "b") == 7


def test_connections_that_all_are_lent(postgres) -> None:
    """Who gets no connection in time is told how many there are, and the next one gets one."""
    database = Database(postgres.address, patience=lambda: 0.3, most=1)

    with database.reading(), pytest.raises(LimitError, match="at most 1 connections"):
        database.rows("SELECT 1")

    assert database.rows("SELECT 1") == [(1,)]
    database.close()
    with pytest.raises(ClosedError):
        database.rows("SELECT 1")


def test_a_block_sees_one_state(part) -> None:
    """Within a block nothing moves, whatever others change meanwhile."""
    part.change(lambda each: add(each, part.tenant))

    with part.reading() as connection:
        sql = "SELECT n FROM clawstate.counters WHERE tenant = %s"
        before = connection.execute(sql, (part.tenant,)).fetchall()
        part.change(lambda each: add(each, part.tenant))
        assert connection.execute(sql, (part.tenant,)).fetchall() == before

    assert count(part) == 2


def test_a_forked_child_has_connections_of_its_own(part) -> None:
    """Parent and child of a fork both go on, and neither speaks into the session of the other."""
    part.change(lambda each: add(each, part.tenant))

    def work(_) -> None:
        for _ in range(5):
            part.change(lambda each: add(each, part.tenant))

    with child_process(work) as child:
        for _ in range(5):
            part.change(lambda each: add(each, part.tenant))
        assert child.wait() == 0

    assert count(part) == 11


def test_a_newer_format_is_refused(database, part) -> None:
    """Tables of a newer version are neither read nor changed, and the error says what to do."""
    name = f"newer-{part.tenant}"
    table = f'CREATE TABLE clawstate."{name}" (n int)'
    newer = Part(database, name, [lambda each: each.execute(table), lambda _: None], tenant="t")
    newer.make()

    older = Part(database, name, [lambda each: each.execute(table)], tenant="t")
    for call in (lambda: older.rows("SELECT 1"), lambda: older.change(lambda _: None)):
        with pytest.raises(VersionError, match="upgrade clawstate"):
            call()


def test_an_older_format_is_raised_by_whoever_comes_first(database, part) -> None:
    """A reader raises the format as a writer does; both migrations ran, each once."""
    name = f"older-{part.tenant}"
    first = f'CREATE TABLE clawstate."{name}" (n int)'
    second = f'ALTER TABLE clawstate."{name}" ADD COLUMN m int'
    Part(database, name, [lambda each: each.execute(first)], tenant="t").make()

    both = [lambda each: each.execute(first), lambda each: each.execute(second)]
    with ThreadPoolExecutor(4) as pool:
        sql = f'SELECT m FROM clawstate."{name}"'
        parts = [Part(database, name, both, tenant="t") for _ in range(4)]
        assert [each.result() for each in [pool.submit(p.rows, sql) for p in parts]] == [[]] * 4


def test_reading_makes_nothing(postgres, part) -> None:
    """Of a part that nobody changed reads find nothing, and leave nothing."""
    database = Database(postgres.address)
    name = f"unmade-{part.tenant}"
    table = f'clawstate."{name}"'
    unmade = Part(
        database, name, [lambda each: each.execute(f"CREATE TABLE {table} (n int)")], tenant="t"
    )

    assert unmade.rows(f"SELECT n FROM {table}") == []
    with unmade.reading() as connection:
        assert connection.execute(f"SELECT n FROM {table}").fetchall() == []

    assert not unmade.exists()
    with postgres.connect() as connection:
        assert connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() == (None,)
    database.close()


PASSWORD = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("/clawstate_", "/none_"), "create it with createdb"),
        (lambda url: url.replace("clawstate@", "nobody_here@"), "check both"),
        (lambda _: "postgresql://u@127.0.0.1:1/x", "check that the server runs"),
        (lambda _: "postgresql://u@no.such.host.invalid/x", "check that the server runs"),
        (lambda url: url + "&nonsense=1", "apart from it"),
    ],
)
def test_a_wrong_address_says_what_to_do(postgres, change, words) -> None:
    """An address that is wrong in any way gives a typed error with a remedy, without a password."""
    secret = (postgres.password or "") if "none_" in change(postgres.url) else PASSWORD
    address = Address(change(postgres.url), password=lambda: secret)
    database = Database(address, patience=lambda: 4.0)

    with pytest.raises((UnavailableError, InvalidError)) as caught:
        database.rows("SELECT 1")

    assert words in str(caught.value)
    assert not secret or secret not in str(caught.value) + repr(address) + str(address)
    database.close()


def test_a_user_without_rights_is_told_which(postgres, part) -> None:
    """Who may not make the tables is told what the owner has to grant."""
    user = f"poor_{os.getpid()}"
    with postgres.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS clawstate CASCADE")
        connection.execute(f"DROP ROLE IF EXISTS {user}")
        connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url.replace("clawstate@", f"{user}@")
    database = Database(Address(url, password=lambda: PASSWORD))
    poor = Part(database, "counters", [counters], tenant="t")

    with pytest.raises(UnavailableError, match="GRANT CREATE ON DATABASE"):
        poor.change(lambda each: each.execute(ADD, ("t", "a")))

    with postgres.connect() as connection:
        connection.execute(f"CREATE SCHEMA clawstate AUTHORIZATION {user}")
    poor.change(lambda each: each.execute(ADD, ("t", "a")))
    database.close()
    with postgres.connect() as connection:
        connection.execute("DROP SCHEMA clawstate CASCADE")
        connection.execute(f"DROP ROLE {user}")


def test_a_schema_that_went_is_made_again(part, postgres) -> None:
    """After somebody dropped all tables the next change makes them anew."""
    part.change(lambda each: add(each, part.tenant))
    with postgres.connect() as connection:
        connection.execute("DROP SCHEMA clawstate CASCADE")

    assert count(part) == 0
    part.change(lambda each: add(each, part.tenant))
    assert count(part) == 1


def test_an_interrupt_leaves_no_connection_lent(part) -> None:
    """An exception of a signal in the middle of a change gives everything back."""
    one = Part(part.database, "counters", [counters], tenant=part.tenant)

    class Stop(BaseException):
        pass

    def interrupted(connection) -> None:
        add(connection, part.tenant)
        raise Stop

    for _ in range(20):
        with pytest.raises(Stop):
            one.change(interrupted)

    assert one.change(lambda each: add(each, part.tenant)) == 1
    assert not part.database.pool._loans


def test_psycopg_is_what_is_lent(part) -> None:
    """What works on a connection of psycopg works on one that is lent."""
    with part.reading() as connection:
        assert isinstance(connection, psycopg.Connection)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError(
            'connection failed: connection to server on socket "/home/ada/s/.s.PGSQL.5432" failed:'
            ' FATAL:  password authentication failed for user "ada"'
        ),
        psycopg.OperationalError(
            'connection failed: connection to server on socket "/home/ada/s/.s.PGSQL.5432" failed:'
            " No such file or directory"
        ),
        psycopg.OperationalError('FATAL:  no pg_hba.conf entry for host "::1", user "ada"'),
    ],
)
def test_no_error_of_a_login_tells_who_and_where(error: psycopg.Error) -> None:
    """Neither the user nor the directory of the socket stands in what is said of a login."""
    told = str(state_error(error, Address("postgresql://ada:pw@/clawstate?host=/home/ada/s")))

    assert "ada" not in told
    assert "PGSQL" not in told


def test_an_error_without_a_code_is_told_as_what_it_is(database) -> None:
    """Text that no table keeps is a wrong value, and a wrong call of the driver is a defect."""
    with pytest.raises(InvalidError, match="NUL"):
        database.attempt(lambda each: each.execute("SELECT %s::text", ("\0",)))
    with pytest.raises(psycopg.ProgrammingError):
        database.attempt(lambda each: each.execute("SELECT %s, %s", (1,)))


def test_a_server_that_starts_is_no_wrong_address(postgres) -> None:
    """Nobody at an address is waited for shortly; once a server answers that it starts, as long."""
    database = Database(postgres.address, patience=lambda: 30.0)
    attempts = database.attempts()

    assert attempts.may_retry(psycopg.OperationalError("connection refused"))
    assert attempts.deadline - attempts.begun < 10.0
    assert attempts.may_retry(psycopg.errors.CannotConnectNow("the database system is starting up"))
    assert attempts.deadline - attempts.begun == 30.0
