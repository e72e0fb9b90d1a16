"""
Finds plugins: folders that settings name, those in the state, installed packages, our own.

Nothing of a plugin runs before it is loaded, but of an installed one the module that defines it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path
from typing import Any

from clawstate.config.trust import writable_by_others
from clawstate.errors import InvalidError, StateError, UnavailableError
from clawstate.plugins.contract import Plugin
from clawstate.plugins.manifest import (
    MANIFEST,
    OPENCLAW_MANIFEST,
    Manifest,
    read_manifest,
    require_id,
)

INCLUDED = "included"
"""The origin of the plugins that come with clawstate."""

GROUP = "clawstate.plugins"
"""The group of entry points by which installed packages bring plugins."""

_MOST_FILES = 1_000  # of a plugin, that are looked at

FOLDER = "extensions"
"""Where plugins lie in a state directory, a folder each."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A plugin that was found at *place*, by *origin*.

    *plugin* imports and returns it; *problem* says why it cannot be one that runs.
    """

    id: str
    origin: str
    place: str
    plugin: Callable[[], Plugin]
    kind: str | None = None
    name: str = ""
    version: str = ""
    description: str = ""
    problem: str = ""


def find_plugins(
    root: Path, paths: tuple[str, ...], included: tuple[Plugin, ...]
) -> dict[str, Candidate]:
    """
    Return the plugins by id; of two with one id the first counts: *paths*, *root*, packages, ours.

    *paths* are folders of a plugin, or folders that hold such.
    """
    found: dict[str, Candidate] = {}
    for each in _found(root, paths, included):
        found.setdefault(each.id, each)
    return found


def _found(root: Path, paths: tuple[str, ...], included: tuple[Plugin, ...]) -> Iterator[Candidate]:
    for path in paths:
        folder = root / Path(path).expanduser()
        if not folder.is_dir():
            problem = f"{folder} is no folder; mend plugins.load.paths"
            yield _unusable(folder.name, "config", str(folder), problem)
        yield from _in_folder(folder, "config")
    yield from _below(root / FOLDER, "state")
    for entry in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        yield _from_entry_point(entry)
    yield from map(_from_ours, included)


def _in_folder(folder: Path, origin: str) -> Iterator[Candidate]:
    if (folder / MANIFEST).exists() or (folder / OPENCLAW_MANIFEST).exists():
        yield _of_folder(folder, origin)
    else:
        yield from _below(folder, origin)


def _below(folder: Path, origin: str) -> Iterator[Candidate]:
    try:
        inner = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:  # none there, or not for us
        return
    for each in inner:
        if (each / MANIFEST).exists() or (each / OPENCLAW_MANIFEST).exists():
            yield _of_folder(each, origin)


def _of_folder(folder: Path, origin: str) -> Candidate:
    if not (folder / MANIFEST).exists():
        problem = "a plugin of OpenClaw, which is a program of Node: only OpenClaw runs it"
        return _unusable(folder.name, origin, str(folder), problem)
    try:
        manifest = read_manifest(folder / MANIFEST)
        _require_trusted(folder, manifest)
    except StateError as error:
        return _unusable(folder.name, origin, str(folder), str(error))
    return Candidate(
        manifest.id,
        origin,
        str(folder),
        lambda: _import_folder(folder, manifest),
        manifest.kind,
        manifest.name or manifest.id,
        manifest.version,
        manifest.description,
    )


def _from_entry_point(entry: EntryPoint) -> Candidate:
    package = "a package" if entry.dist is None else entry.dist.name
    version = "" if entry.dist is None else entry.dist.version
    try:
        require_id("name of the entry point", entry.name)
    except InvalidError as error:
        return _unusable(entry.name, "installed", package, str(error))
    return Candidate(
        entry.name,
        "installed",
        package,
        lambda: _plugin_of(entry.load(), entry.name, package),
        name=entry.name,
        version=version,
    )


def _from_ours(plugin: Plugin) -> Candidate:
    return Candidate(
        plugin.id,
        INCLUDED,
        "clawstate",
        lambda: plugin,
        plugin.kind,
        plugin.name,
        plugin.version,
        plugin.description,
    )


def _unusable(name: str, origin: str, place: str, problem: str) -> Candidate:
    def refuse() -> Plugin:
        raise UnavailableError(f"plugin {name}", problem)

    return Candidate(name, origin, place, refuse, name=name, problem=problem)


def _require_trusted(folder: Path, manifest: Manifest) -> None:
    """Raise `InvalidError` where somebody else could change what is run as the user."""
    entry = folder / manifest.entry
    if not entry.is_file():
        raise InvalidError(f"{folder / MANIFEST}: entry", f"{manifest.entry!r} is no file there")
    if not hasattr(os, "getuid"):
        return
    # All that it may import from there runs as the user, too.
    files = [entry, folder / MANIFEST, *islice(folder.rglob("*.py"), _MOST_FILES)]
    for path in (folder, *files):
        owner = path.stat().st_uid
        if owner not in {0, os.getuid()}:
            hint = f"its owner is user {owner}; copy the plugin, so that it is yours"
            raise InvalidError(str(path), "belongs to another user", hint)
    for path, mode in writable_by_others(files):
        hint = f"run 'chmod go-w {path}' once you have looked at it"
        raise InvalidError(str(path), f"can be changed by others (mode {mode:04o})", hint)


def _import_folder(folder: Path, manifest: Manifest) -> Plugin:
    name = f"clawstate_plugin_{manifest.id.replace('-', '_').replace('.', '_')}"
    path = folder / manifest.entry
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(folder)]
    )
    assert spec is not None  # noqa: S101 - a path that ends in .py has one
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    found = getattr(module, "plugin", None) or getattr(module, "register", None)
    if found is None:
        raise InvalidError(str(path), "has neither 'plugin' nor 'register'", "define one of them")
    plugin = _plugin_of(found, manifest.id, str(path), manifest)
    if plugin.id != manifest.id:
        problem = f"is the plugin {plugin.id!r}, but its manifest says {manifest.id!r}"
        raise InvalidError(str(path), problem, "make the two the same")
    return plugin


def _plugin_of(found: Any, name: str, place: str, manifest: Manifest | None = None) -> Plugin:
    """Return what was *found* as a `Plugin`: one, or a function `register`."""
    schema = None if manifest is None else manifest.config_schema
    if isinstance(found, Plugin):
        return found
    if not callable(found):
        problem = f"is {type(found).__name__}, neither a Plugin nor a function"
        raise InvalidError(place, problem, "define 'plugin = clawstate.Plugin(...)'")
    kind = None if manifest is None else manifest.kind
    return Plugin(name, found, name=name, kind=kind, config_schema=schema)
