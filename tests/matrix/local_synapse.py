"""
A real homeserver on loopback: Synapse from PyPI, in a virtual environment of its own.

Its pins would fight with ours. `python tests/matrix/local_synapse.py` makes the environment, with
pip alone (60 packages); `make test-full` and `make interop` run that first.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

PACKAGE = "matrix-synapse>=1.150"
HOME = Path(
    os.environ.get("CLAWSTATE_SYNAPSE_DIR")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clawstate-synapse"
)
PYTHON = HOME / "bin" / "python"
SETTINGS = """
listeners:
  - port: {port}
    bind_addresses: ['127.0.0.1']
    type: http
    tls: false
    resources: [{{names: [client]}}]
federation_domain_whitelist: []
trusted_key_servers: []
suppress_key_server_warning: true
presence: {{enabled: false}}
caches: {{global_factor: 0.1}}
rc_login: {{address: {fast}, account: {fast}, failed_attempts: {fast}}}
rc_message: {fast}
rc_registration: {fast}
rc_joins: {{local: {fast}, remote: {fast}}}
rc_invites: {{per_room: {fast}, per_user: {fast}, per_issuer: {fast}}}
enable_registration: false
"""
FAST = "{per_second: 10000, burst_count: 10000}"


def install() -> None:
    """Make the environment, if it is not there; pip alone, from the index that pip uses."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
    probe = [PYTHON, "-c", "import synapse"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", PACKAGE], check=True)


def reason_to_skip() -> str | None:
    """Return why no homeserver can be started, or `None`."""
    if PYTHON.exists():
        return None
    how = "run 'python tests/matrix/local_synapse.py', as 'make test-full' does"
    return f"no Synapse in {HOME}: {how}"


class Synapse:
    """A homeserver called `localhost`, with its data in *folder*; to be used with `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self) -> Self:
        config = self._folder / "hs.yaml"
        generate = ("--server-name", "localhost", "--generate-config", "--report-stats=no")
        base = [PYTHON, "-m", "synapse.app.homeserver", "--config-path", config]
        data = ("--data-directory", str(self._folder))
        # Where it is run, it would leave its log.
        subprocess.run([*base, *generate, *data], cwd=self._folder, check=True, capture_output=True)
        extra = self._folder / "extra.yaml"
        extra.write_text(SETTINGS.format(port=self.url.rpartition(":")[2], fast=FAST))
        command = [*base, "--config-path", extra]
        with (self._folder / "synapse.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def register(self, name: str, password: str) -> str:
        """Make the user *name*, and return its id."""
        register = PYTHON.with_name("register_new_matrix_user")
        told = ("-u", name, "-p", password, "--no-admin", self.url)
        config = ("-c", str(self._folder / "hs.yaml"))
        subprocess.run([register, *config, *told], check=True, capture_output=True)
        return f"@{name}:localhost"

    def ask(self, method: str, path: str, token: str = "", body: Any = None) -> Any:
        """Return what the server answers to a request, as JSON."""
        request = urllib.request.Request(
            f"{self.url}/_matrix/client/v3/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def _wait(self) -> None:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(f"{self.url}/_matrix/client/versions", timeout=5).close()
                return
            assert self._process is not None
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError((self._folder / "synapse.log").read_text()[-4000:])


if __name__ == "__main__":
    install()
