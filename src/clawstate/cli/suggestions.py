"""Names that are kept, as answers to the Tab key: few, quickly read, and harmless in a shell."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from clawstate.errors import StateError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from clawstate.paging import Page
    from clawstate.state import State

A = TypeVar("A")

_MOST = 200
# The shells insert it as it is, so what an outsider chose must mean nothing to them.
_HARMLESS = re.compile(r"[\w@%+:,./-]+", re.ASCII)

Suggest = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[str]]"]


def suggest_names(names: Callable[[State, str | None], Iterable[str | tuple[str, str]]]) -> Suggest:
    """
    Return the `shell_complete` of a parameter whose values are the *names* in an opened state.

    *names* gets the state and the agent of the command line, and gives names, or names with a word
    of explanation. Nothing is created, warned of or raised.
    """

    def suggest(
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG001 - click's signature
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        given = ctx.find_root().params
        try:
            from clawstate.state import open_state  # noqa: PLC0415 - see `NOUNS`

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with open_state(given.get("state_dir"), store=given.get("store")) as state:
                    return _items(names(state, given.get("agent")), incomplete)
        except (StateError, OSError):
            return []

    return suggest


def directories(
    ctx: click.Context,  # noqa: ARG001 - click's signature
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem[str]]:
    """Let the shell complete a directory."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - most runs complete none

    return [CompletionItem(incomplete, type="dir")]


def _agents(state: State, agent: str | None) -> Iterable[str]:  # noqa: ARG001 - see `suggest_names`
    return state.agents()


def _config_paths(state: State, agent: str | None) -> Iterable[str]:  # noqa: ARG001
    from clawstate.json5.path_grammar import format_key_path  # noqa: PLC0415 - see `NOUNS`

    pending: list[tuple[tuple[str | int, ...], object]] = [((), state.config.redacted())]
    while pending:
        path, value = pending.pop()
        if path:
            yield format_key_path(path)
        if isinstance(value, dict):
            pending += [((*path, str(key)), each) for key, each in reversed(value.items())]


def _sessions(state: State, agent: str | None) -> Iterable[str]:
    return (each.session_key for each in _pages(state.sessions_of(agent).page))


def _profiles(state: State, agent: str | None) -> Iterable[tuple[str, str]]:
    return ((each.id, each.type) for each in state.auth(agent or "main").profiles())


def _providers(state: State, agent: str | None) -> Iterable[str]:
    return sorted({each.provider for each in state.auth(agent or "main").profiles()})


def _devices(state: State, agent: str | None) -> Iterable[tuple[str, str]]:  # noqa: ARG001
    return ((each.device_id, each.name or each.user_id) for each in _pages(state.devices.page))


def _codes(state: State, agent: str | None) -> Iterable[tuple[str, str]]:  # noqa: ARG001
    return ((each.code, f"{each.device_id} of {each.user_id}") for each in state.pairing.pending())


def _namespaces(state: State, agent: str | None) -> Iterable[str]:  # noqa: ARG001
    return state.dedupe.namespaces()


def _pages(page: Callable[[int, str | None], Page[A]]) -> Iterator[A]:
    # The newest first: `_items` takes as many as a person can look through.
    after = None
    while True:
        found = page(_MOST, after)
        yield from found
        if (after := found.after) is None:
            return


def _items(names: Iterable[str | tuple[str, str]], incomplete: str) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - most runs complete none

    found: list[CompletionItem[str]] = []
    for each in names:
        name, explained = (each, None) if isinstance(each, str) else each
        if name.startswith(incomplete) and _HARMLESS.fullmatch(name):
            found.append(CompletionItem(name, help=explained))
        if len(found) == _MOST:
            break
    return found


AGENTS = suggest_names(_agents)
CONFIG_PATHS = suggest_names(_config_paths)
SESSIONS = suggest_names(_sessions)
PROFILES = suggest_names(_profiles)
PROVIDERS = suggest_names(_providers)
DEVICES = suggest_names(_devices)
CODES = suggest_names(_codes)
NAMESPACES = suggest_names(_namespaces)
