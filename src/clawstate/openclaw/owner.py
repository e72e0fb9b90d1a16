"""`Owner`: whose a state directory is, told by what lies in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

STATE_DATABASE = "state/openclaw.sqlite"
AGENT_DATABASE = "agent/openclaw-agent.sqlite"
"""Below the directory of an agent."""

# What OpenClaw of the file era makes, and nothing of ours does.
_MARKS = (
    *("identity/device-auth.json", "devices", "cron", "workspace", "canvas", "update-check.json"),
    *("exec-approvals.json", "completions", "extensions", "subagents", "delivery-queue"),
    *("clawdbot.json", "moldbot.json", "moltbot.json"),
)
_CONFIG = "openclaw.json"
_STAMPS = (b"lastTouchedVersion", b"lastRunVersion")  # OpenClaw sets these when it writes
_MOST = 1 << 20  # bytes that are looked through for a stamp


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


def find_owner(root: Path) -> Owner:
    """
    Return whose the directory *root* is; it may be absent.

    Costs a few looks at names, and one at the configuration; no database is opened.
    """
    if _exists(root / STATE_DATABASE):
        return Owner(root, Era.SQLITE, STATE_DATABASE)
    found = next(filter(None, (_agent_database(root), _mark(root), _stamped_config(root))), None)
    if found is None:
        return Owner(root, Era.NOBODY)
    return Owner(root, Era.SQLITE if found.endswith(AGENT_DATABASE) else Era.FILES, found)


def _agent_database(root: Path) -> str | None:
    return _of_agents(root, AGENT_DATABASE)


def _mark(root: Path) -> str | None:
    mark = next((each for each in _MARKS if _exists(root / each)), None)
    return mark or _of_agents(root, "sessions")


def _of_agents(root: Path, name: str) -> str | None:
    with suppress(OSError):
        for agent in sorted((root / "agents").iterdir()):
            if _exists(agent / name):
                return f"agents/{agent.name}/{name}"
    return None


def _stamped_config(root: Path) -> str | None:
    with suppress(OSError), (root / _CONFIG).open("rb") as stream:
        text = stream.read(_MOST)
        if any(stamp in text for stamp in _STAMPS):
            return _CONFIG
    return None


def _exists(path: Path) -> bool:
    with suppress(OSError, ValueError):
        path.lstat()
        return True
    return False
