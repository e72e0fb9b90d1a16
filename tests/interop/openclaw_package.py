"""Find or install the OpenClaws that the interop tests run beside ours, each with its Node."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HOW = "python tests/interop/openclaw_package.py"

_NOTHING = "npm:is-number@7.0.0"  # some tiny package, put in the place of one that is not wanted
_DONE = "installed.json"
_LOG = "npm.log"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_NPM = ["install", "--ignore-scripts", "--no-audit", "--no-fund"]
_NPM += ["--prefer-offline", "--fetch-retries=1", "--loglevel=error"]


class AbsentError(Exception):
    """OpenClaw is not installed; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Release:
    """One version of a package: what npm is asked for, and what its environment must have."""

    version: str
    node: str
    size: str
    place: str = ""
    """What is put behind the name of the folder it is installed in."""
    package: str = "openclaw"
    overrides: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


FILES = Release(
    "2026.2.26",
    node="24",
    size="500 packages, 740 MB",
    # The first comes from a git repository, and a stub takes its part; the second, a runtime
    # for local language models, would be half of what is to be fetched.
    overrides={
        "@whiskeysockets/baileys": {"libsignal": _NOTHING},
        "node-llama-cpp": _NOTHING,
    },
    environment={"NODE_OPTIONS": f"--import {(HERE / 'libsignal_hook.mjs').as_uri()}"},
)
"""The last release looked at that keeps its state in files."""

SQLITE = Release(
    "2026.9.6",
    node="26",
    size="330 packages, 650 MB",
    place="-2026.9.6",
    # Without it the command line starts a second node, which outlives the first when it is killed.
    environment={"OPENCLAW_NO_RESPAWN": "1"},
)
"""The newest release looked at; it keeps its state in SQLite databases."""

RELEASES = (FILES, SQLITE)

LANCEDB = Release(
    "0.26.2",
    node="24",
    size="30 packages, 250 MB",
    place="-lancedb",
    package="@lancedb/lancedb",
)
"""What the plugin `memory-lancedb` of the file era asks for, which comes without it."""

CONFORMANCE = Release(
    "0.2.0-alpha.12",
    node="26",
    size="110 packages, 60 MB",
    place="-mcp-conformance",
    package="@modelcontextprotocol/conformance",
)
"""The suite that the protocol MCP is checked with, for its revision of 2026-07-28."""

CONFORMANCE_OLD = Release(
    "0.1.16",
    node="26",
    size="120 packages, 60 MB",
    place="-mcp-conformance-0.1.16",
    package="@modelcontextprotocol/conformance",
)
"""The same for the revisions before."""

INSPECTOR = Release(
    "0.15.0",
    node="26",
    size="260 packages, 130 MB",
    place="-mcp-inspector",
    package="@modelcontextprotocol/inspector",
)
"""A client of MCP for those who write servers."""

MCP_CLIENTS = (CONFORMANCE, CONFORMANCE_OLD, INSPECTOR)

MATRIX_SDK = Release(
    "0.7.0",
    node="24",
    size="190 packages, 220 MB",
    place="-matrix",
    package="@vector-im/matrix-bot-sdk",
    environment={"NODE_OPTIONS": f"--require {HERE / 'matrix_crypto_stub.cjs'}"},
)
"""The SDK with which OpenClaw of the file era talks to Matrix."""


@dataclass(frozen=True)
class OpenClaw:
    """An installed OpenClaw, and the Node that runs it."""

    root: Path
    release: Release = FILES

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
            "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            **self.release.environment,
        }


def place(release: Release = FILES) -> Path:
    """Return where it lies: `CLAWSTATE_INTEROP_DIR`, or the user's cache; new ones beside it."""
    given = os.environ.get("CLAWSTATE_INTEROP_DIR")
    if given:
        first = Path(given).expanduser().absolute()
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        first = Path(cache) / "clawstate-interop"
    # Beside and not below it: a Node looks for packages in the folders above as well.
    return first.with_name(first.name + release.place)


def find(release: Release = FILES) -> OpenClaw:
    """Return the installed package; raises `AbsentError` if it is absent or not complete."""
    found = OpenClaw(place(release), release)
    if _read(found.root / _DONE) != _wanted(release) or not os.access(found.node, os.X_OK):
        raise AbsentError(
            f"{release.package} {release.version} is not installed in {found.root}; run '{HOW}'"
        )
    return found


def install(say: Callable[[str], None], release: Release = FILES) -> OpenClaw:
    """
    Return the installed package, after installing what is missing of it.

    May be broken off and repeated, and run in several processes at once. Raises `AbsentError` if
    npm is not there, or cannot reach its registry.
    """
    root = place(release)
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root) as lock:
        try:
            found = find(release)
        except AbsentError:
            _run_npm(release, lock, say)
            found = find(release)
    say(f"{release.package} {release.version} is installed in {root}")
    return found


def _wanted(release: Release) -> dict[str, Any]:
    return {
        "name": "clawstate-interop",
        "private": True,
        "dependencies": {_node_package(): release.node, release.package: release.version},
        **({"overrides": release.overrides} if release.overrides else {}),
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


def _run_npm(release: Release, lock: int, say: Callable[[str], None]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise AbsentError(f"npm is not on PATH; install Node.js with npm, then run '{HOW}'")
    found = OpenClaw(place(release), release)
    wanted = _wanted(release)
    named = f"{release.package} {release.version}"
    say(f"installing {named} in {found.root}: {release.size}, about a minute")
    (found.root / _LOG).write_bytes(b"")
    # The Node comes first, and npm runs on it: npm leaves out the optional packages that the Node
    # it runs on is too old for, and a doctor that misses one of them cannot move a key pair.
    only_node = {_node_package(): release.node}
    for manifest in ({**wanted, "dependencies": only_node, "overrides": {}}, wanted):
        (found.root / "package.json").write_text(json.dumps(manifest, indent=2))
        with (found.root / _LOG).open("ab") as log:
            # An npm that outlives this program keeps the lock until it is done.
            process = subprocess.Popen(
                [npm, *_NPM],
                cwd=found.root,
                env={**os.environ, "PATH": found.environment(found.root)["PATH"]},
                stdout=log,
                stderr=log,
                pass_fds=[lock],
            )
            _wait(process, found.root, say)
        if process.returncode != 0:
            raise AbsentError(_complaint(release, found.root))
    shutil.copyfile(found.root / "package.json", found.root / _DONE)


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


def _complaint(release: Release, root: Path) -> str:
    lines = (root / _LOG).read_text(errors="replace").splitlines()
    last = "; ".join(lines[:4]) or "it said nothing"
    return (
        f"npm could not install {release.package} {release.version}: {last} (see {root / _LOG});"
        f" run '{HOW}' again"
    )


def main() -> None:
    """Install the packages, and say where."""
    try:
        for release in (*RELEASES, LANCEDB, *MCP_CLIENTS, MATRIX_SDK):
            install(_print, release)
    except AbsentError as error:
        sys.exit(str(error))


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
