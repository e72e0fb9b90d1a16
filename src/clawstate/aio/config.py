"""`AsyncConfig`: `Config`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from clawstate.config.history import Change
    from clawstate.config.issues import Issue
    from clawstate.config.service import Config, WriteCheck
    from clawstate.config.view import View
    from clawstate.config.watching import Listener, Watcher
    from clawstate.openclaw.owner import Owner

    _Part = Part[Config]
else:
    _Part = Part


class AsyncConfig(_Part):
    """`Config` in worker threads; each method is the one of that name."""

    @property
    def path(self) -> Path:
        """The file in use, which need not exist."""
        return self._part().path

    @property
    def overlay_path(self) -> Path:
        """The file beside it for settings that OpenClaw does not know (decision 28)."""
        return self._part().overlay_path

    @property
    def owner(self) -> Owner:
        """Whose the configuration is: that of the state, or of the directory that it lies in."""
        return self._part().owner

    async def get(self, path: str, default: Any = None) -> Any:
        """Await `Config.get`."""
        return await self._run(self._part().get, path, default)

    async def require(self, path: str, *, agent_id: str | None = None) -> Any:
        """Return the value at *path*; raises `NotFoundError`, which names near ones."""
        return await self._run(self._part().require, path, agent_id=agent_id)

    async def resolve(self, agent_id: str = "main") -> dict[str, Any]:
        """Return the whole configuration as the agent *agent_id* has it."""
        return await self._run(self._part().resolve, agent_id)

    async def redacted(self, path: str | None = None, *, agent_id: str | None = None) -> Any:
        """Return the value at *path*, by default everything, with its secrets replaced."""
        return await self._run(self._part().redacted, path, agent_id=agent_id)

    async def secret(self, path: str) -> Any:
        """Await `Config.secret`."""
        return await self._run(self._part().secret, path)

    async def view(self) -> View:
        """Return the configuration as it is now, for many quick looks at one state of it."""
        return await self._run(self._part().view)

    async def agent_view(self, agent_id: str) -> View:
        """Return the configuration as the agent *agent_id* has it now; raises as `view`."""
        return await self._run(self._part().agent_view, agent_id)

    async def invalidate(self) -> None:
        """Forget what was read."""
        return await self._run(self._part().invalidate)

    async def changed(self) -> bool:
        """Return True once after somebody else changed the configuration, or an agent's file."""
        return await self._run(self._part().changed)

    async def on_change(
        self, path: str, listener: Listener, *, agent_id: str | None = None
    ) -> Callable[[], None]:
        """Await `Config.on_change`."""
        return await self._run(self._part().on_change, path, listener, agent_id=agent_id)

    async def watch(self, *, interval: float = 0.5) -> Watcher:
        """Await `Config.watch`."""
        return await self._run(self._part().watch, interval=interval)

    async def issues(self, *, agent_id: str | None = None) -> tuple[Issue, ...]:
        """Await `Config.issues`."""
        return await self._run(self._part().issues, agent_id=agent_id)

    async def agents(self) -> tuple[str, ...]:
        """Return the agents that have a file of their own."""
        return await self._run(self._part().agents)

    async def set(
        self, path: str, value: Any, *, force: bool = False, agent_id: str | None = None
    ) -> Change | None:
        """Put *value* at *path* and return the change; `None` if it was there already."""
        return await self._run(self._part().set, path, value, force=force, agent_id=agent_id)

    async def unset(
        self, path: str, *, force: bool = False, agent_id: str | None = None
    ) -> Change | None:
        """Remove what is at *path*; raises `NotFoundError`, and what `set` raises."""
        return await self._run(self._part().unset, path, force=force, agent_id=agent_id)

    async def text(self, *, agent_id: str | None = None, own: bool = False) -> str:
        """Return the text of the file, empty if there is none; raises `CorruptError`."""
        return await self._run(self._part().text, agent_id=agent_id, own=own)

    async def replace(
        self,
        text: str,
        *,
        expected: str | None = None,
        force: bool = False,
        agent_id: str | None = None,
        own: bool = False,
    ) -> Change | None:
        """Await `Config.replace`."""
        return await self._run(
            self._part().replace, text, expected=expected, force=force, agent_id=agent_id, own=own
        )

    async def history(self, *, agent_id: str | None = None) -> tuple[Change, ...]:
        """Return the changes that were made here, the oldest first."""
        return await self._run(self._part().history, agent_id=agent_id)

    async def diff(self, number: int | None = None, *, agent_id: str | None = None) -> str:
        """Return change *number*, by default the last one, as a unified diff without secrets."""
        return await self._run(self._part().diff, number, agent_id=agent_id)

    async def undo(
        self, *, number: int | None = None, force: bool = False, agent_id: str | None = None
    ) -> Change:
        """Put back the text before change *number*, by default the last one that stands."""
        return await self._run(self._part().undo, number=number, force=force, agent_id=agent_id)

    async def misplaced(self) -> tuple[str, ...]:
        """Await `Config.misplaced`."""
        return await self._run(self._part().misplaced)

    async def set_apart(self) -> Change | None:
        """Await `Config.set_apart`."""
        return await self._run(self._part().set_apart)

    async def guard(self, judge: WriteCheck) -> None:
        """Await `Config.guard`."""
        return await self._run(self._part().guard, judge)
