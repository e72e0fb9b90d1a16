"""
A configuration, read: from the text of its files to what its settings mean.

The steps are OpenClaw's (2026.2.26), in its order: `.env` files, JSON5, `$include`, the overrides
of an agent, the `env` block, `${VAR}`, defaults, paths. Validation is not among them: `issues` does
it, on `Loaded.resolved`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.config.agents import resolve_agent
from clawstate.config.defaults import apply_defaults, normalise_paths
from clawstate.config.environment import with_config, with_dotenv
from clawstate.config.includes import Layer
from clawstate.config.layers import MAX_CONFIG_BYTES, Stacked, layers_of, read_layer, read_own
from clawstate.config.merging import override
from clawstate.config.provenance import Provenance
from clawstate.config.sources import FileRead, Notice, Source, read_file
from clawstate.config.substitution import Missing, Substitution, Unresolved, substitute
from clawstate.config.trust import require_closed
from clawstate.errors import ConfigError, CorruptError
from clawstate.files.paths import StatePaths, effective_home, expand_path, resolve_state_dir
from clawstate.json5.parse import parse_document
from clawstate.json5.path_grammar import KeyPath

if TYPE_CHECKING:
    from clawstate.secrets.references import SecretRef


_PATH_VARIABLES = ("OPENCLAW_CONFIG_PATH", "CLAWDBOT_CONFIG_PATH")
_STATE_VARIABLES = ("OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR")
_NAMES = ("openclaw.json", "clawdbot.json", "moldbot.json", "moltbot.json")
_OVERLAY = "clawstate.json"
_DIRECTORIES = (".openclaw", ".clawdbot", ".moldbot", ".moltbot")


def find_config(paths: StatePaths, env: Mapping[str, str] | None = None) -> Path:
    """
    Return the absolute path of the configuration; *env* defaults to the process environment.

    `OPENCLAW_CONFIG_PATH` wins, then `CLAWDBOT_CONFIG_PATH`; both may start with `~`. Otherwise it
    is the first that exists of `openclaw.json` and its older names in the state directory, and, if
    nobody chose that directory, in the usual ones of the home. Without any, it is `openclaw.json`
    in the state directory. A link to nothing counts as existing, so that reading it fails instead
    of passing it over.
    """
    variables = os.environ if env is None else env
    for name in _PATH_VARIABLES:
        if chosen := variables.get(name, "").strip():
            return expand_path(chosen, env=variables)
    return next(filter(os.path.lexists, _candidates(paths, variables)), paths.config)


def overlay_of(config: Path) -> Path:
    """
    Return where the settings lie that OpenClaw does not know, beside *config* (decision 24).

    A configuration of another name has an overlay of its own: several may lie in one directory.
    """
    name = _OVERLAY if config.name in _NAMES else f"{config.stem}.{_OVERLAY}"
    return config.with_name(name)


def _candidates(paths: StatePaths, env: Mapping[str, str]) -> Iterator[Path]:
    directories = [paths.root]
    # Whoever chose the directory must not be given the configuration, and the secrets, of another
    # state. OpenClaw's strict path helper stops there too; only its loader goes on to the home.
    if not _is_chosen(paths, env):
        directories += [effective_home(env) / name for name in _DIRECTORIES]
    for directory in directories:
        yield from (directory / name for name in _NAMES)


def _is_chosen(paths: StatePaths, env: Mapping[str, str]) -> bool:
    by_variable = any(env.get(name, "").strip() for name in _STATE_VARIABLES)
    return by_variable or paths.root != resolve_state_dir(env)


def agents_with_files(root: Path) -> tuple[str, ...]:
    """Return the agents of the state *root* that have a configuration, a link to nothing too."""
    homes = root.glob("agents/*/agent")
    found = (each for each in homes if os.path.lexists(each / "config.json"))
    return tuple(sorted(each.parent.name for each in found))


_MOST_NAMED = 5  # missing variables in one error; the place of each costs a look at the text


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """
    A configuration as it was read; it shows no value, and what it holds is never changed in place.

    *config* is the layer of the configuration itself, *overlay* that of the settings that OpenClaw
    does not know, laid over it, *own* that of the agent's file. *templates* is the tree of all with
    its `${VAR}`; *resolved* is the same without, as people mean it and
    what is to be validated; *value* is what counts, with defaults and absolute paths. Without an
    agent, key paths in *templates* are those of `provenance`; those of *missing* always belong to
    the file that they name, those of *unresolved* to *value*. *fallen* says what is wrong with an
    agent's file that another text stands in for.
    """

    path: Path
    agent: str | None
    config: Layer = field(repr=False)
    overlay: Layer = field(repr=False)
    own: Layer | None = field(repr=False)
    templates: dict[str, Any] = field(repr=False)
    resolved: dict[str, Any] = field(repr=False)
    value: dict[str, Any] = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    substitutions: tuple[Substitution, ...]
    missing: tuple[Missing, ...]
    unresolved: Unresolved
    files: tuple[FileRead, ...]
    notices: tuple[Notice, ...]
    fallen: str = ""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The files with all that they include, the strongest last."""
        return layers_of(self.config, self.overlay, self.own)

    @property
    def provenance(self) -> Stacked:
        """Where each value of the configuration stands, the agent's own file left aside."""
        return Stacked((self.config, self.overlay))

    def is_current(self) -> bool:
        """
        Tell whether no file has changed, appeared or vanished since it was read.

        Costs one look at each file. A change that left no trace is possible only within 25 ms of
        the one before it; `False` is the answer then.
        """
        return all(file.is_current() for file in self.files)

    def require_provider(self, ref: SecretRef) -> None:
        """
        Raise `ConfigError` if the provider of *ref* waits for a variable.

        `InvalidError` if it may start a program, and others may write what says which.
        """
        path: KeyPath = ("secrets", "providers", ref.provider)
        self.unresolved.require_below(path)
        if ref.source in {"exec", "keyring"}:
            is_made = any(each.path[: len(path)] == path for each in self.substitutions)
            deciding = [each.path for each in self.files if is_made or each.path.name != ".env"]
            require_closed(deciding, to="to a program")


@dataclass(frozen=True, slots=True)
class Loader:
    """
    Reads the configuration of the state *paths*, and the files of its agents.

    *require_place* is called before each read, and raises where the place of the state is gone.
    """

    paths: StatePaths
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    require_place: Callable[[], object] = lambda: None

    @property
    def path(self) -> Path:
        """The file in use, which need not exist."""
        return find_config(self.paths, self.env)

    def path_of(self, agent: str | None) -> Path:
        """Return the file in use, or the one of *agent*."""
        self.require_place()
        return self.path if agent is None else self.paths.agent_config(agent)

    def agents(self) -> tuple[str, ...]:
        """Return the agents that have a file of their own."""
        return agents_with_files(self.paths.root)

    def load(self, agent: str | None = None) -> Loaded:
        """Return the configuration as all agents or *agent* see it; see `load`."""
        self.require_place()
        paths, env, cwd = self.paths, self.env, self.cwd
        return load(self.path, paths=paths, env=env, agent=agent, cwd=cwd, strict=False)

    def load_or_recover(self) -> Loaded:
        """Return the configuration, or an empty one over a text that cannot be read."""
        try:
            return self.load()
        except (CorruptError, ConfigError):
            return recover_broken(self.path, paths=self.paths, env=self.env, cwd=self.cwd)

    def load_agent(self, agent: str, *, is_recovery: bool = False) -> Loaded:
        """Return the file of *agent* as a configuration of itself; see `load_agent_file`."""
        self.require_place()
        paths, env, cwd = self.paths, self.env, self.cwd
        return load_agent_file(
            agent, self.path, paths=paths, env=env, cwd=cwd, is_recovery=is_recovery
        )


def load(
    path: Path,
    *,
    paths: StatePaths,
    env: Mapping[str, str] | None = None,
    agent: str | None = None,
    cwd: Path | None = None,
    strict: bool = True,
) -> Loaded:
    """
    Return the configuration *path* of the state *paths*, as all agents or only *agent* see it.

    Variables come from *env* (default: the process environment), then from `.env` in *cwd*
    (default: the working directory) and in the state. A file that is missing is empty. Raises
    `CorruptError` for what is not JSON5 outside of the agent's own file, `UnavailableError`, and
    `ConfigError` for all else that is
    wrong, with the place; for missing variables only if *strict*, all at once, otherwise they are
    listed and their templates stay.
    """
    given = os.environ if env is None else env
    dotenv = with_dotenv(given, ((cwd or _here()) / ".env", paths.root / ".env"))
    config, overlay = read_layer(path), read_layer(overlay_of(path))
    shared = override(config.value, overlay.value) if overlay.value else config.value
    own, fallen = (None, "") if agent is None else read_own(paths.agent_config(agent))
    layers = layers_of(config, overlay, own)
    templates = shared
    if agent is not None and own is not None:
        templates = resolve_agent(shared, agent, own.value)
    # Behind the overrides, for an agent may bring variables, and before any is put in.
    environment = with_config(dotenv, templates, path)
    variables = environment.variables
    below = substitute(shared, variables, provenance=Stacked((config, overlay)))
    found = [below]
    if own is not None:
        found.append(substitute(own.value, variables, provenance=own.provenance))
    missing = tuple(each for layer in found for each in layer.missing)
    if strict and missing:
        raise _missing_error(path, missing, paths)
    substituted = below if own is None else substitute(templates, variables)
    # Defaults come last, so that none is mistaken for what somebody wrote: a check of types, and
    # whoever asks what is written, looks at `resolved`.
    value = normalise_paths(apply_defaults(substituted.value, paths=paths), env=given)
    return Loaded(
        path=path,
        agent=agent,
        config=config,
        overlay=overlay,
        own=own,
        templates=templates,
        resolved=substituted.value,
        value=value,
        variables=variables,
        substitutions=substituted.substitutions,
        missing=missing,
        unresolved=Unresolved(value, substituted.missing),
        files=(*(file for layer in layers for file in layer.files), *environment.files),
        notices=(*(each for layer in layers for each in layer.notices), *environment.notices),
        fallen=fallen,
    )


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path(os.devnull)  # somebody removed it: it has no files


def _missing_error(path: Path, missing: tuple[Missing, ...], paths: StatePaths) -> ConfigError:
    named = [str(each) for each in missing[:_MOST_NAMED]]
    if len(missing) > _MOST_NAMED:
        named.append(f"and {len(missing) - _MOST_NAMED} more")
    hint = f"set it in the environment or in {paths.root / '.env'}"
    return ConfigError(str(path), "; ".join(named), hint)


def recover_broken(
    path: Path, *, paths: StatePaths, env: Mapping[str, str] | None, cwd: Path | None
) -> Loaded:
    """
    Return the configuration *path*, of which a file that is broken says nothing and has its text.

    Raises `CorruptError` for a text that is not UTF-8, and what `load` raises for a file.
    """
    # All but the broken file is read as ever: its variables decide what the new text means.
    nothing = load(path.with_name(f"{path.name}.absent"), paths=paths, env=env, cwd=cwd)
    config, overlay = broken_layer(path), broken_layer(overlay_of(path))
    shared = override(config.value, overlay.value)
    return replace(
        nothing,
        path=path,
        config=config,
        overlay=overlay,
        templates=shared,
        resolved=substitute(shared, nothing.variables).value,
        files=(*config.files, *overlay.files, *nothing.files),
    )


def broken_layer(path: Path) -> Layer:
    """Return the file *path*; one that cannot be understood says nothing, and has its text."""
    try:
        return read_layer(path)
    except (CorruptError, ConfigError):
        raw, file = read_file(path, limit=MAX_CONFIG_BYTES)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise CorruptError(str(path), "is not UTF-8", "move it away, and write it anew")
    source = Source(file, text, parse_document("{}", path=path))
    return Layer(path, source, {}, Provenance(None), (file,))


def load_agent_file(
    agent: str,
    path: Path,
    *,
    paths: StatePaths,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    is_recovery: bool = False,
) -> Loaded:
    """
    Return the file of *agent*, with the variables that the configuration *path* gives it.

    Raises `CorruptError` and `ConfigError` for a broken file, unless *is_recovery*; a broken
    configuration only lacks its variables.
    """
    try:
        base = load(path, paths=paths, env=env, agent=agent, cwd=cwd, strict=False)
    except (CorruptError, ConfigError):
        absent = path.with_name(f"{path.name}.absent")
        base = load(absent, paths=paths, env=env, agent=agent, cwd=cwd, strict=False)
    file = paths.agent_config(agent)
    own = broken_layer(file) if is_recovery else read_layer(file)
    found = substitute(own.value, base.variables, provenance=own.provenance)
    return replace(
        base,
        path=own.path,
        config=own,
        overlay=Layer(own.path.with_name("none"), None, {}, Provenance(None), ()),
        own=None,
        templates=own.value,
        resolved=found.value,
        value=found.value,
        substitutions=found.substitutions,
        missing=found.missing,
        unresolved=Unresolved(found.value, found.missing),
        files=(*own.files, *base.files),
        notices=own.notices,
        fallen="",
    )
