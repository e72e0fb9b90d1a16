"""`LocalServer`: a PostgreSQL server of our own in one directory, for its owner alone."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from clawstate.errors import UnavailableError
from clawstate.files.atomic import write_atomic
from clawstate.postgres.binaries import find_binaries

USER: Final = "clawstate"
DATABASE: Final = "clawstate"

_LONGEST_SOCKET = 100  # bytes of a path, of the 107 that a socket may have
_PATIENCE = 60.0  # seconds for a start or stop
_LOOK = 0.05  # seconds
_AGAIN = 3.0  # seconds within which a server that was started has its process
_SERVANTS = ("postgres", "nobody")  # users that a server may run as, where we are root
_SETTINGS = """
listen_addresses = '{listen}'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
password_encryption = scram-sha-256
max_connections = 100
idle_in_transaction_session_timeout = 10min
"""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """
    A server whose data, socket, log and password lie in *home*, a directory for its owner alone.

    It listens on a Unix socket there, and on loopback only where the path of a socket would be too
    long; either way with a password (scram-sha-256), which lies in a file of mode 0600. As root it
    runs as another user, who owns *home* then: PostgreSQL refuses to be root.
    """

    home: Path

    @property
    def data(self) -> Path:
        """The directory of its data."""
        return self.home / "data"

    @property
    def password_file(self) -> Path:
        """The file with the password of `USER`."""
        return self.home / "password"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.home / "server.log"

    @property
    def is_made(self) -> bool:
        """Whether it was started once."""
        return (self.data / "PG_VERSION").exists() and self.password_file.exists()

    def url(self, database: str = DATABASE) -> str:
        """Return the address of *database*; it names the file with the password."""
        lines = self._postmaster()
        port = lines[3] if len(lines) > 3 else self._setting("port")
        if self._has_socket:
            place = f"/{database}?host={quote(str(self.home), safe='/')}&port={port}"
        else:
            place = f"127.0.0.1:{port}/{database}?"
        # Psql and all else that stands on libpq finds the password there as well.
        file = quote(str(self.password_file), safe="/")
        return f"postgresql://{USER}@{place}&passfile={file}".replace("?&", "?")

    def password(self) -> str:
        """Return the password of `USER`."""
        return self.password_file.read_text().strip().rpartition(":")[2]

    def pid(self) -> int | None:
        """Return the process of the server, `None` if it does not run."""
        lines = self._postmaster()
        if not lines or not lines[0].strip().isdecimal():
            return None
        pid = int(lines[0])
        # Another process may have the number by now; the server's works in its own directory.
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").samefile(self.data):
                return pid
        return None

    def start(self, settings: Mapping[str, Any] | None = None) -> None:
        """
        Start the server if it does not run, and make its data the first time.

        *settings* are some of `postgresql.conf`, for its whole life. Raises `UnavailableError`,
        which names the log.
        """
        if not self.is_made:
            self._make(settings or {})
        if self.pid() is not None and self._is_ready():
            return
        if not self._has_socket and self.pid() is None:
            self._take_port()
        self._await_ready()

    def stop(self) -> bool:
        """Stop the server, its clients are sent away; False if it did not run."""
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)
        end = time.monotonic() + _PATIENCE
        while self.pid() is not None:
            if time.monotonic() > end:
                raise UnavailableError(str(self.home), "the server does not stop", self._look_there)
            time.sleep(_LOOK)
        return True

    def kill(self) -> None:
        """Kill the server at once, as a power cut would, without a word to its clients."""
        pid = self.pid()
        if pid is None:
            return
        # The other processes of the server end by themselves without the first.
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + _PATIENCE
        while self.pid() is not None and time.monotonic() < end:
            time.sleep(_LOOK)

    def make_database(self, name: str) -> None:
        """Make the database *name* if it is not there."""
        import psycopg  # noqa: PLC0415 - a server is started without it

        address, password = self.url("postgres"), self.password()
        with psycopg.connect(address, password=password, autocommit=True) as connection:
            sql = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(sql, (name,)).fetchone() is None:
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')

    @property
    def _has_socket(self) -> bool:
        return len(os.fsencode(self.home)) <= _LONGEST_SOCKET

    @property
    def _look_there(self) -> str:
        return f"see {self.log}"

    def _make(self, settings: Mapping[str, Any]) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self._own(self.home)
        if not self.password_file.exists():
            line = f"*:*:*:{USER}:{secrets.token_urlsafe(24)}\n"
            write_atomic(self.password_file, line.encode())
        # Under another name until it is whole: a start that was cut off begins again.
        made = self.home / "data.new"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        self._own(made)
        bare = self.home / "password.new"
        write_atomic(bare, f"{self.password()}\n".encode())
        self._own(bare)
        told = self._run(
            *("initdb", "-D", str(made), "-U", USER, "-E", "UTF8", "--locale=C.UTF-8"),
            *("--auth=scram-sha-256", "--data-checksums", f"--pwfile={bare}"),
        )
        bare.unlink()
        if told.returncode:
            words = (told.stdout.strip().splitlines() or ["initdb failed"])[-1]
            raise UnavailableError(str(self.home), f"no database could be made: {words}")
        port = 5432 if self._has_socket else _free_port()
        sockets, listen = (self.home, "") if self._has_socket else ("", "127.0.0.1")
        text = _SETTINGS.format(listen=listen, port=port, sockets=sockets)
        text += "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        with (made / "postgresql.conf").open("a") as file:
            file.write(text)
        made.rename(self.data)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        servant = _servant()
        identity: dict[str, Any] = {}
        if servant is not None:
            identity = {"user": servant.pw_uid, "group": servant.pw_gid, "extra_groups": []}
        # Its output goes to a file: the server inherits that, and a pipe would stay open with it.
        with tempfile.TemporaryFile("w+") as said:
            told = subprocess.run(  # noqa: S603 - our own program
                [self._programs() / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
                cwd=self.home,
                env=_environment(),
                umask=0o077,
                **identity,
            )
            said.seek(0)
            return subprocess.CompletedProcess(told.args, told.returncode, said.read())

    def _programs(self) -> Path:
        """Return where the programs are, for the user that runs them."""
        found = find_binaries()
        ways = (found, *found.parents)
        if _servant() is None or all(each.stat().st_mode & 0o001 for each in ways):
            return found
        # Below a directory of root's own, as its environments may be: that user has a copy.
        package = found.parents[1]
        copied = self.home / "programs"
        if not copied.exists():
            made = self.home / "programs.new"
            shutil.rmtree(made, ignore_errors=True)
            # With the libraries that a wheel keeps beside its package.
            for each in package.parent.glob(f"{package.name}*"):
                if each.is_dir() and not each.name.endswith(".dist-info"):
                    shutil.copytree(each, made / each.name, symlinks=True)
            for each in (made, *made.rglob("*")):
                self._own(each)
            made.rename(copied)
        return copied / found.relative_to(package.parent)

    def _take_port(self) -> None:
        # Somebody else may listen by now at the port of the last time.
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"port = {_free_port()}\n")

    def _setting(self, name: str) -> str:
        with suppress(OSError):
            for line in reversed((self.data / "postgresql.conf").read_text().splitlines()):
                key, separator, value = line.partition("=")
                if separator and key.strip() == name:
                    return value.strip().strip("'")
        return "5432"

    def _postmaster(self) -> list[str]:
        with suppress(OSError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []

    def _is_ready(self) -> bool:
        lines = self._postmaster()
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _await_ready(self) -> None:
        end = time.monotonic() + _PATIENCE
        begun = time.monotonic() - 2 * _AGAIN
        while not (self.pid() is not None and self._is_ready()):
            now = time.monotonic()
            if now > end:
                raise UnavailableError(str(self.home), "the server did not start", self._look_there)
            # Again and again: after a kill the processes that it left keep the new one out.
            if self.pid() is None and now - begun > _AGAIN:
                begun = now
                self._run("pg_ctl", "-D", str(self.data), "-l", str(self.log), "-W", "start")
            time.sleep(_LOOK)
        self.make_database(DATABASE)

    def _own(self, path: Path) -> None:
        if (servant := _servant()) is not None:
            os.chown(path, servant.pw_uid, servant.pw_gid, follow_symlinks=False)


def _servant() -> pwd.struct_passwd | None:
    """Return the user that a server runs as, `None` for our own."""
    if os.geteuid() != 0:
        return None
    for name in _SERVANTS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    problem = "PostgreSQL does not run as root, and there is no other user for it"
    raise UnavailableError("PostgreSQL", problem, f"make a user {_SERVANTS[0]!r}")


def _environment() -> dict[str, str]:
    # Not the caller's: PGHOST, PGDATA and the like are for clients of other servers, and a
    # password in there would be seen by whoever lists processes.
    kept = {"PATH", "LD_LIBRARY_PATH", "TZ"}
    return {"LC_ALL": "C.UTF-8", **{key: os.environ[key] for key in kept & os.environ.keys()}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
