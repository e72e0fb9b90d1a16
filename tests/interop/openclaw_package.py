"""Find or install the OpenClaw that the interop tests run beside ours, with a Node for it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VERSION = "2026.2.26"
NODE = "24"
HERE = Path(__file__).parent
HOW = "python tests/interop/openclaw_package.py"

_NOTHING = "npm:is-number@7.0.0"  # some tiny package, put in the place of one that is not wanted
_DONE = "installed.json"
_LOG = "npm.log"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class AbsentError(Exception):
    """OpenClaw is not installed; the message says what to do."""


@dataclass(frozen=True)
class OpenClaw:
    """An installed OpenClaw, and the Node that runs it."""

    root: Path

    @property
    def package(self) -> Path:
        return self.root / "node_modules" / "openclaw"

    @property
    def dist(self) -> Path:
        return self.package / "dist"

    @property
    def node(self) -> Path:
        return self.root / "node_modules" / _node_package() / "bin" / "node"

    @property
    def cli(self) -> tuple[str, ...]:
        """The command of its command line, which is to be run in `environment`."""
        return (str(self.node), str(self.package / "openclaw.mjs"), "--no-color")

    def environment(self, home: Path) -> dict[str, str]:
        """
        Return an environment in which it touches nothing but *home*.

        Its command line starts a second node, which needs the hook and the path as well.
        """
        return {
            "HOME": str(home),
            "OPENCLAW_STATE_DIR": str(home / ".openclaw"),
            "NODE_OPTIONS": f"--import {(HERE / 'libsignal_hook.mjs').as_uri()}",
            "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }


def place() -> Path:
    """Return where the package lies: `CLAWSTATE_INTEROP_DIR`, or a folder of the user's cache."""
    given = os.environ.get("CLAWSTATE_INTEROP_DIR")
    if given:
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "clawstate-interop"


def find() -> OpenClaw:
    """Return the installed package; raises `AbsentError` if it is absent or not complete."""
    found = OpenClaw(place())
    if _read(found.root / _DONE) != _wanted() or not os.access(found.node, os.X_OK):
        raise AbsentError(f"OpenClaw {VERSION} is not installed in {found.root}; run '{HOW}'")
    return found


def install(say: Callable[[str], None]) -> OpenClaw:
    """
    Return the installed package, after installing what is missing of it.

    May be broken off and repeated, and run in several processes at once. Raises `AbsentError` if
    npm is not there, or cannot reach its registry.
    """
    root = place()
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root) as lock:
        try:
            found = find()
        except AbsentError:
            _run_npm(root, lock, say)
            found = find()
    say(f"OpenClaw {VERSION} is installed in {root}")
    return found


def _wanted() -> dict[str, object]:
    return {
        "name": "clawstate-interop",
        "private": True,
        "dependencies": {_node_package(): NODE, "openclaw": VERSION},
        # The first comes from a git repository, and a stub takes its part; the second, a runtime
        # for local language models, would be half of what is to be fetched.
        "overrides": {
            "@whiskeysockets/baileys": {"libsignal": _NOTHING},
            "node-llama-cpp": _NOTHING,
        },
    }


def _node_package() -> str:
    machine = platform.machine().lower()
    return f"node-{sys.platform}-{_MACHINES.get(machine, machine)}"


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


@contextmanager
def _alone(root: Path) -> Iterator[int]:
    with (root / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _run_npm(root: Path, lock: int, say: Callable[[str], None]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise AbsentError(f"npm is not on PATH; install Node.js with npm, then run '{HOW}'")
    (root / "package.json").write_text(json.dumps(_wanted(), indent=2))
    say(f"installing OpenClaw {VERSION} in {root}: 500 packages, 740 MB, about a minute")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    options = ["--prefer-offline", "--fetch-retries=1", "--loglevel=error"]
    with (root / _LOG).open("wb") as log:
        # An npm that outlives this program keeps the lock until it is done.
        process = subprocess.Popen(
            [*command, *options], cwd=root, stdout=log, stderr=log, pass_fds=[lock]
        )
        _wait(process, root, say)
    if process.returncode != 0:
        raise AbsentError(_complaint(root))
    shutil.copyfile(root / "package.json", root / _DONE)


def _wait(process: subprocess.Popen[bytes], root: Path, say: Callable[[str], None]) -> None:
    try:
        while process.poll() is None:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                say(f"... {len(list(root.glob('node_modules/*')))} folders so far")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _complaint(root: Path) -> str:
    lines = (root / _LOG).read_text(errors="replace").splitlines()
    last = "; ".join(lines[:4]) or "it said nothing"
    return (
        f"npm could not install OpenClaw {VERSION}: {last} (see {root / _LOG}); run '{HOW}' again"
    )


def main() -> None:
    """Install the package, and say where."""
    try:
        install(_print)
    except AbsentError as error:
        sys.exit(str(error))


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
