"""`Places`: where the parts of a state lie that settings move elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.state import agents, memory_place

if TYPE_CHECKING:
    from clawstate.health import Finding
    from clawstate.state.context import Context


class Places:
    """
    Where things lie, as settings say now; `State.paths` has the usual places.

    Every method raises `ConfigError` for a setting that means nothing.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def memory_db(self) -> Path:
        """Return the database of memory and transcripts."""
        return memory_place.memory_db(self._context)

    def memory(self) -> Path:
        """Return where the records of the memory lie: a file, or a directory of LanceDB."""
        return memory_place.memory_place(self._context).path

    def memories_elsewhere(self) -> tuple[Path, str, str] | None:
        """Return where records lie that the memory does not read, why, and what to do; or None."""
        place = memory_place.memory_place(self._context)
        found = memory_place.find_memories_elsewhere(self._context, place)
        return None if found is None else (found.path, found.problem, found.remedy)

    def memory_left_behind(self) -> Path | None:
        """Return the database at the usual place, if it is there and another place is chosen."""
        return memory_place.find_left_behind(self._context)

    def move_memory(self, old: Path, new: Path) -> Path:
        """Move the database *old* to *new*, where nothing is; return what *old* is called now."""
        return memory_place.move_memory(old, new)

    def with_salvage(self, findings: Iterable[Finding], damage: str) -> Iterator[Finding]:
        """Give *findings*, those of the code *damage* with a repair that saves what can be read."""
        from clawstate.state.salvage import with_salvage  # noqa: PLC0415 - loads both engines

        return with_salvage(findings, self._context, damage)

    def sessions(self) -> str:
        """Return the engine of the sessions, or the path of their index; see `chosen_place`."""
        from clawstate.state.sessions import chosen_place  # noqa: PLC0415 - loads the store

        return chosen_place(self._context)

    def utf16_transcripts(self) -> Iterator[Path]:
        """Give the transcripts in the directories of agents that are UTF-16, which nobody reads."""
        from clawstate.state.openclaw_messages import utf16_transcripts  # noqa: PLC0415 - few ask

        return utf16_transcripts(self._context.paths.root)

    def agent_dir(self, agent_id: str) -> Path:
        """Return the directory of the credentials of an agent."""
        return agents.agent_dir(self._context, agent_id)

    def agent_dirs(self) -> dict[str, Path]:
        """Return the directories of all agents, by name, that are not the usual ones."""
        return agents.agent_dirs(self._context)

    def auth_profiles(self, agent_id: str) -> Path:
        """Return the file of the credentials of an agent."""
        return agents.auth_profiles(self._context, agent_id)

    def auth_cache(self, agent_id: str) -> Path:
        """Return the file of an older release's credentials, which is only read."""
        return agents.auth_cache(self._context, agent_id)

    def refresh_dir(self, agent_id: str) -> Path:
        """Return where the refreshes of an agent keep their locks and answers."""
        return agents.refresh_dir(self._context, agent_id)
