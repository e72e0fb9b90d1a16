"""The clients that we know: where their settings lie, and what an entry is in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.paths import resolve_state_dir
from clawstate.mcp.clients.formats import Format
from clawstate.mcp.clients.json_format import JsonFormat
from clawstate.mcp.clients.toml_format import TomlFormat
from clawstate.mcp.clients.yaml_format import YamlFormat
from clawstate.openclaw.owner import Era, find_owner


@dataclass(frozen=True, slots=True)
class Client:
    """
    A program that starts servers of MCP.

    *place* gives the file of its settings, of a person or of the project in a directory; *table* is
    where servers stand in it, by name. *check* is the command that tells whether it connects.
    """

    name: str
    title: str
    place: Callable[[Path | None], Path]
    table: tuple[str, ...]
    format: Format
    check: str
    typed: bool = False
    locked: bool = False
    """Whether it locks the file as we do."""


def _claude_code(project: Path | None) -> Path:
    if project is not None:
        return project / ".mcp.json"
    moved = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(moved) if moved else Path.home()) / ".claude.json"


def _codex(project: Path | None) -> Path:
    if project is not None:
        return project / ".codex" / "config.toml"
    moved = os.environ.get("CODEX_HOME")
    return (Path(moved) if moved else Path.home() / ".codex") / "config.toml"


def _openclaw(project: Path | None) -> Path:
    _require_no_project("openclaw", project)
    moved = os.environ.get("OPENCLAW_CONFIG_PATH")
    root = resolve_state_dir()
    owner = find_owner(root)
    if owner.era is Era.FILES:
        problem = (
            "belongs to an OpenClaw that knows no servers of MCP, and refuses settings of them"
        )
        raise UnavailableError(str(root), problem, "upgrade OpenClaw first")
    return Path(moved).expanduser() if moved else root / "openclaw.json"


def _hermes(project: Path | None) -> Path:
    _require_no_project("hermes", project)
    moved = os.environ.get("HERMES_HOME")
    return (Path(moved).expanduser() if moved else Path.home() / ".hermes") / "config.yaml"


def _require_no_project(name: str, project: Path | None) -> None:
    if project is not None:
        raise InvalidError("project", f"{name} has no settings of a project", "leave it out")


CLIENTS: Final = {
    each.name: each
    for each in (
        Client(
            "claude-code",
            "Claude Code",
            _claude_code,
            ("mcpServers",),
            JsonFormat(),
            "claude mcp list",
            typed=True,
        ),
        Client("codex", "Codex", _codex, ("mcp_servers",), TomlFormat(), "codex mcp list"),
        Client(
            "openclaw",
            "OpenClaw",
            _openclaw,
            ("mcp", "servers"),
            JsonFormat(),
            "openclaw mcp probe clawstate",
            locked=True,
        ),
        Client(
            "hermes", "Hermes", _hermes, ("mcp_servers",), YamlFormat(), "hermes mcp test clawstate"
        ),
    )
}
"""The clients by name."""
