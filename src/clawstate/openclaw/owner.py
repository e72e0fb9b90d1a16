"""`Owner`: whose a state directory is, judged by its files, and where its databases are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clawstate.files.paths import normalise_agent_id
from clawstate.files.unchanged import Unchanged

STATE_DATABASE = "state/openclaw.sqlite"
AGENT_DATABASE = "agent/openclaw-agent.sqlite"
"""Below the directory of an agent."""

# Names that OpenClaw of the file era makes and nothing of ours does. The directory of an agent's
# sessions is none of them, because we may keep ours there as well: see `_sessions`.
_MARKS = (
    *("identity/device-auth.json", "devices", "cron", "canvas", "update-check.json"),
    *("exec-approvals.json", "completions", "subagents", "delivery-queue"),
    *("clawdbot.json", "moldbot.json", "moltbot.json"),
)
# In folders that people make for our sake as well: notes to import, and plugins of ours.
_SEEDS = ("AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md", "USER.md", "HEARTBEAT.md")
_OUR_PLUGIN = "clawstate.plugin.json"
_ITS_PLUGIN = ("openclaw.plugin.json", "package.json", "index.ts", "index.js")
# Our own databases have these beside them, wherever `memory.store.path` puts them.
_OUR_GATES = (".gate", ".turn")
_CONFIG = "openclaw.json"
_IDENTITY = "identity/device.json"
# Beside any of these a key pair says nothing: both programs make one.
_OURS = ("identity/.lastgood", "state", "sessions", "dedupe", "memory/memory.db", "locks")
_FOLDERS = ("state", "identity", "memory", "agents", "workspace", "extensions")
_STAMPS = (b"lastTouchedVersion", b"lastRunVersion")  # OpenClaw sets these when it writes
_MOST = 1 << 20  # bytes that are looked through for a stamp
# One transcript with messages is enough; thousands of files must not slow down each opening.
_MOST_FILES = 32


class Era(Enum):
    """How the program that owns a state directory keeps its records."""

    NOBODY = "nobody"
    FILES = "files"
    SQLITE = "sqlite"


@dataclass(frozen=True, slots=True)
class Owner:
    """
    Whose the state directory *root* is (decision 27).

    *mark* is the path, relative to *root*, that shows it; empty for a directory of nobody's.
    """

    root: Path
    era: Era
    mark: str = ""

    @property
    def is_openclaw(self) -> bool:
        """Whether a real OpenClaw uses this directory, or did."""
        return self.era is not Era.NOBODY


class Ownership:
    """
    Whose the directory *root* is, for a program that has it open.

    Looked up once; from then on only the database is looked for, with which OpenClaw takes over a
    directory that other programs have open.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._database = os.fspath(root / STATE_DATABASE)
        self._known: Owner | None = None
        self._evidence: Unchanged | None = None

    def now(self) -> Owner:
        """Return the owner, by one look at a name."""
        known = self._known
        if known is None or (known.era is not Era.SQLITE and os.path.lexists(self._database)):
            known = self._known = find_owner(self._root)
        return known

    def again(self) -> Owner:
        """
        Return the owner as everything in the directory tells now.

        Looks only at whether the directories have changed that could tell something else.
        """
        known, evidence = self._known, self._evidence
        if known is not None and evidence is not None and evidence.is_certain():
            return known
        evidence = Unchanged(_evidence(self._root))  # first: what changes meanwhile is looked at
        known = self._known = find_owner(self._root)
        self._evidence = evidence
        return known


def find_owner(root: Path) -> Owner:
    """
    Return whose the directory *root* is; it may be absent.

    Costs a few looks at names, and one at the configuration; no database is opened.
    """
    # Before all else: files of the older era may still lie beside the database.
    if _exists(root / STATE_DATABASE):
        return Owner(root, Era.SQLITE, STATE_DATABASE)
    found = next(filter(None, (_agent_database(root), _mark(root), _stamped_config(root))), None)
    if found is None:
        return Owner(root, Era.NOBODY)
    return Owner(root, Era.SQLITE if found.endswith(AGENT_DATABASE) else Era.FILES, found)


def _evidence(root: Path) -> Iterator[str]:
    """Yield the directories and files of which `find_owner` looks at the names or the content."""
    yield os.fspath(root)  # while it is absent nothing is certain
    folders = [root / each for each in _FOLDERS]
    with suppress(OSError):
        folders += (root / "extensions").iterdir()
    for each in _agents(root):
        sessions = root / each / "sessions"
        folders += (root / each, root / each / "agent", sessions)
        folders += (sessions / name for name in _transcripts(sessions))
    # A link to nothing is among them: what it leads to may appear.
    yield from filter(os.path.lexists, map(os.fspath, (*folders, root / _CONFIG)))


def _agent_database(root: Path) -> str | None:
    return _of_agents(root, AGENT_DATABASE)


def _mark(root: Path) -> str | None:
    # As texts, and in a workspace only where there is one: each opening of a state looks.
    base = os.fspath(root)
    marks: tuple[str, ...] = _MARKS
    if os.path.lexists(f"{base}/workspace"):
        marks += tuple(f"workspace/{each}" for each in (*_SEEDS, "BOOTSTRAP.md"))
    mark = next((each for each in marks if os.path.lexists(f"{base}/{each}")), None)
    mark = mark or _extension(root)
    return (
        mark or _of_agents(root, "agent/models.json") or _sessions(root) or _after_first_start(root)
    )


def _extension(root: Path) -> str | None:
    """Return a plugin of OpenClaw in the folder in which ours lie as well."""
    with suppress(OSError):
        for each in sorted((root / "extensions").iterdir()):
            is_its = any(_exists(each / name) for name in _ITS_PLUGIN)
            if each.suffix in {".ts", ".js", ".mjs", ".cjs"} or (
                is_its and not _exists(each / _OUR_PLUGIN)
            ):
                return f"extensions/{each.name}"
    return None


def _of_agents(root: Path, name: str) -> str | None:
    return next((f"{each}/{name}" for each in _agents(root) if _exists(root / each / name)), None)


def _sessions(root: Path) -> str | None:
    for each in _agents(root):
        folder = root / each / "sessions"
        with suppress(OSError):
            # Our own index at this place has its last good copy beside it. Then only messages tell
            # that an OpenClaw uses the directory.
            is_ours = ".lastgood" in os.listdir(folder)  # noqa: PTH208 - names are all it takes
            if not is_ours or any(_holds_messages(folder / name) for name in _transcripts(folder)):
                return f"{each}/sessions"
    return None


def _transcripts(folder: Path) -> list[str]:
    """Return the names of the transcripts in *folder* that are looked into."""
    with suppress(OSError):
        return sorted(name for name in os.listdir(folder) if ".jsonl" in name)[:_MOST_FILES]  # noqa: PTH208
    return []


def _holds_messages(path: Path) -> bool:
    """Tell whether a transcript has more than the header, with which we begin one as well."""
    if not path.name.endswith(".jsonl"):
        return True  # what was deleted or reset
    with suppress(OSError), path.open("rb") as stream:
        stream.readline(_MOST)
        return bool(stream.read(1))
    return False


def _after_first_start(root: Path) -> str | None:
    """Return what a single look by a fresh OpenClaw leaves: an index of memories, a key pair."""
    with suppress(OSError):
        names = sorted(each.name for each in (root / "memory").iterdir())
        for index in (each for each in names if each.endswith(".sqlite")):
            if not any(f"{index}{gate}" in names for gate in _OUR_GATES):
                return f"memory/{index}"
    is_alone = not any(_exists(root / each) for each in _OURS)
    return _IDENTITY if is_alone and _exists(root / _IDENTITY) else None


def _agents(root: Path) -> list[str]:
    with suppress(OSError):
        return sorted(f"agents/{each.name}" for each in (root / "agents").iterdir())
    return []


def _stamped_config(root: Path) -> str | None:
    with suppress(OSError), (root / _CONFIG).open("rb") as stream:
        # Searched and not parsed: also a configuration that somebody broke tells whose it is.
        text = stream.read(_MOST)
        if any(stamp in text for stamp in _STAMPS):
            return _CONFIG
    return None


def _exists(path: Path) -> bool:
    with suppress(OSError, ValueError):
        path.lstat()
        return True
    return False


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """The database *path* of an *agent*; *is_inside* tells whether it is in the state directory."""

    agent: str
    path: Path
    is_inside: bool


def state_database(root: Path) -> Path:
    """Return where the database of the whole state *root* lies."""
    return root / STATE_DATABASE


def agent_places(root: Path, registered: Iterable[tuple[str, str]] = ()) -> tuple[AgentPlace, ...]:
    """
    Return the databases of agents that exist: those *registered*, then those at the usual place.

    An agent may have several; the one that was seen last comes first.
    """
    found: dict[Path, AgentPlace] = {}
    for agent, path in (*registered, *_usual(root)):
        with suppress(OSError, ValueError):
            place = root / path
            # By the file behind links: an agent that is registered lies at its usual place as well.
            real = Path(os.path.realpath(place))
            if real.is_file() and real not in found:
                is_inside = real.is_relative_to(os.path.realpath(root))
                found[real] = AgentPlace(normalise_agent_id(agent), place, is_inside)
    return tuple(found.values())


def _usual(root: Path) -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        for folder in sorted((root / "agents").iterdir()):
            yield folder.name, f"agents/{folder.name}/{AGENT_DATABASE}"
