"""Changes of one file of the configuration: that of all agents, OpenClaw's, or one agent's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.arguments import require_whole
from clawstate.config.dotted_names import resolve_steps_for_edit
from clawstate.config.draft import Draft, Made, require_part
from clawstate.config.history import Change, FileChange, History, diff_texts
from clawstate.config.loading import Loaded
from clawstate.config.merging import override
from clawstate.config.openclaw_split import OpenClawRefusals, move_apart, split_value
from clawstate.config.rewrite import EditPlan
from clawstate.config.view import parse_path
from clawstate.errors import ConfigError, ConflictError, InvalidError, NotFoundError, StateError
from clawstate.json5.key_path import KeyPath, format_key_path, get_at, set_at, unset_at
from clawstate.json5.parse import parse_json5
from clawstate.json5.path_grammar import WrittenPath, parse_key_path
from clawstate.json5.plain_value import is_same, require_plain
from clawstate.moments import Moment, end_seconds
from clawstate.secrets.redaction import SENTINEL

_NOTHING = "{}\n"

Check = Callable[[Loaded], object]
"""Is given what a change is made to, and raises a `StateError` where that must not be."""


@dataclass(frozen=True, slots=True)
class Editor:
    """
    Changes the configuration *path*, which has one history for all files that belong to it.

    *load* reads it, *mend* also one that is broken; *write* carries a plan out. *refused* is what
    the OpenClaw of the directory does not accept, where there is one.
    """

    path: Path
    load: Callable[[], Loaded]
    mend: Callable[[], Loaded]
    refused: OpenClawRefusals | None
    write: Callable[..., Change | None]

    def set(self, path: str, value: Any, *, same: Check, force: bool) -> Change | None:
        """Put *value* at *path*, if *same* has nothing against it."""
        wanted = parse_path(path)

        def plan(loaded: Loaded) -> EditPlan | None:
            same(loaded)
            return plan_set(loaded, resolve_target(loaded, wanted), value, refused=self.refused)

        return self.write(plan, force=force, load=self.load)

    def unset(self, path: str, *, same: Check, force: bool) -> Change | None:
        """Remove what is at *path*, and objects left empty that were only made to hold it."""
        wanted = parse_path(path)
        # An empty object may mean something where a person wrote it, so only those go with the key
        # that an earlier change made for one (decision 11).
        made = MadeObjects(History(self.path))

        def plan(loaded: Loaded) -> EditPlan:
            same(loaded)
            return plan_unset(loaded, resolve_target(loaded, wanted), made=made.holds)

        return self.write(plan, force=force, load=self.load)

    def text(self, file: Path) -> str:
        """Return the text of *file*, empty if there is none."""
        return _text_of(self.load(), file)

    def text_at(self, file: Path, moment: Moment) -> str:
        """Return the text of *file* as it was at *moment*."""
        return History(self.path).text_at(file, end_seconds("as_of", moment))

    def value_at(self, path: str, above: Sequence[Path], moment: Moment) -> Any:
        """Return what was at *path* at *moment*, in the first file of those *above* and this."""
        steps = resolve_target(self.load(), parse_path(path))
        for file in (*above, self.path):
            text = self.text_at(file, moment)
            value = parse_json5(text.encode(), path=file) if text.strip() else {}
            if _has(value, steps):
                return get_at(value, steps)
        hint = "'clawstate config show --as-of' shows what there was"
        raise NotFoundError("configuration value of that moment", path, hint)

    def replace(self, text: str, *, file: Path, expected: str | None, force: bool) -> Change | None:
        """Make *text* the whole text of *file*, which is *expected* to hold another one."""

        def plan(loaded: Loaded) -> EditPlan | None:
            if expected is not None and expected != _text_of(loaded, file):
                raise ConflictError("configuration", str(file))
            return plan_texts(loaded, {file: text}, refused=None if force else self.refused)

        return self.write(plan, force=force, load=self.mend)

    def diff(self, number: int | None) -> str:
        """Return change *number*, by default the last one, as a unified diff without secrets."""
        history = History(self.path)
        change = history.require(number)
        parts = []
        for each in change.files:
            before = None if each.before is None else history.text(each.before)
            name = history.name_of(each.file)
            names = {"old": f"{name} before {change.number}", "new": f"{name} after"}
            parts.append(diff_texts(before, history.text(each.after), **names))
        return "".join(parts)

    def undo(self, *, number: int | None, force: bool) -> Change:
        """Put back the texts before change *number*, by default the last one that stands."""
        history = History(self.path)
        change = history.require(number) if number is not None else history.last_standing()
        texts = {
            Path(each.file): _NOTHING if each.before is None else history.text(each.before).decode()
            for each in reversed(change.files)
        }
        # A text is put back as a whole, so what others changed in it since would be lost unseen.
        if not force:
            history.require_last(change)
        # Texts that belong together are put back as they were: somebody asked for just that.
        refused = None if force or change.also else self.refused

        def plan(loaded: Loaded) -> EditPlan | None:
            return plan_texts(loaded, texts, refused=refused, undoes=change.number)

        # What was written here is no accident, but what it would hide or break may be.
        undone = self.write(plan, force=True, load=self.mend, sure=force)
        if undone is None:
            raise NotFoundError("change", str(change.number), "it is undone already")
        return undone

    def set_apart(self) -> Change | None:
        """Move our own settings out of the configuration of an OpenClaw."""
        refused = self.refused
        if refused is None:
            return None
        return self.write(lambda loaded: plan_apart(loaded, refused), force=True, load=self.load)


def _holds_sentinel(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_sentinel, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_sentinel, value))
    return bool(value == SENTINEL)


def _text_of(loaded: Loaded, file: Path) -> str:
    layers = (layer for layer in loaded.layers if layer.path == file)
    source = next((layer.source for layer in layers), None)
    return "" if source is None else source.text


class MadeObjects:
    """Knows from *history* which objects came into being as the parents of a key that was set."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._changes: tuple[Change, ...] | None = None

    def holds(self, file: Path, local: KeyPath, path: KeyPath) -> bool:
        """
        Tell whether the object at *local* in *file* was made by a change of a key below *path*.

        *path* is what the whole configuration calls it. An object that was there before every
        change that is remembered, that was written by hand, or that was itself set, was not.
        """
        name = os.path.normpath(file.absolute())
        for change in reversed(self._history_changes()):
            if change.undoes is not None or not _is_below(change, path):
                continue
            for each in change.files:
                if each.file == name and self._appears_in(each, local):
                    return True
        return False

    def _history_changes(self) -> tuple[Change, ...]:
        if self._changes is None:
            try:
                self._changes = self._history.changes()
            except StateError:
                self._changes = ()  # whoever made it is not known, so it stays
        return self._changes

    def _appears_in(self, change: FileChange, local: KeyPath) -> bool:
        try:
            before = {} if change.before is None else self._value(change.before)
            after = self._value(change.after)
        except StateError:
            return False
        return not _has(before, local) and _has(after, local)

    def _value(self, name: str) -> Any:
        text = self._history.text(name)
        return parse_json5(text, path=Path(name)) if text.strip() else {}


def _is_below(change: Change, path: KeyPath) -> bool:
    for name in change.paths:
        try:
            changed = parse_key_path(name)
        except StateError:  # the name of a file
            continue
        if len(changed) > len(path) and changed[: len(path)] == path:
            return True
    return False


def _has(value: Any, path: KeyPath) -> bool:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


Move = Callable[[Draft, Draft], None]
"""Changes the two drafts, of `openclaw.json` and of the overlay."""


def resolve_target(loaded: Loaded, written: WrittenPath) -> KeyPath:
    """Return the key path that *written* means for an edit; raises `InvalidError` for several."""
    from clawstate.config.schema.root import Config  # noqa: PLC0415 - slow
    from clawstate.config.schema.shape import is_named  # noqa: PLC0415 - loaded with it

    if not written.dotted:
        return written.steps
    is_known = is_named(written.steps, Config)
    return resolve_steps_for_edit(loaded.templates, written, is_known=is_known)


def plan_set(
    loaded: Loaded, path: KeyPath, value: Any, *, refused: OpenClawRefusals | None = None
) -> EditPlan | None:
    """
    Return how to put *value* at *path*, or `None` if it is there already.

    *refused* knows what the OpenClaw of the directory does not accept.
    """
    require_plain(value, above=len(path))
    name = format_key_path(path) or "configuration"
    require_whole(name, value)
    if _holds_sentinel(value):
        problem = "holds what stands where a secret was left out"
        raise InvalidError(name, problem, "set the values below it that change, one by one")
    wanted = set_at(loaded.templates, path, value)
    shares = split_value(loaded, path, value, refused)
    return _plan(loaded, shares.moves(), wanted, path)


def plan_unset(loaded: Loaded, path: KeyPath, *, made: Made | None = None) -> EditPlan:
    """
    Return how to remove what is at *path*; raises `NotFoundError` if nothing is.

    Objects that it leaves empty and that were *made* for it go too.
    """
    require_part(path)
    try:
        wanted = unset_at(loaded.templates, path)
    except NotFoundError:
        hint = "'clawstate config show' shows what there is"
        raise NotFoundError("configuration value", format_key_path(path), hint) from None
    planned = _plan(loaded, _removals(loaded, path, made), wanted, path)
    if planned is None:
        raise NotFoundError("configuration value", format_key_path(path), "it is not written")
    return planned


def plan_texts(
    loaded: Loaded,
    texts: Mapping[Path, str],
    *,
    refused: OpenClawRefusals | None = None,
    undoes: int | None = None,
) -> EditPlan | None:
    """
    Return how to make *texts* those of files of the configuration, in this order.

    What OpenClaw refuses of them is kept apart; of texts that were there before only what is ours.
    """
    main, over = _drafts(loaded)
    for file, text in texts.items():
        (over if over.holds(file) else main).put(file, text)
    if refused is not None:
        find = refused.new if undoes is None else refused.own
        move_apart(main, over, find(loaded, main.value))
    files = tuple(str(each) for each in texts if each not in {main.file, over.file})
    rewrites = _order(main, over, first=[*texts])
    if not rewrites:
        return None
    templates = override(main.value, over.value) if over.value else main.value
    return EditPlan(rewrites, templates, files or _changed_keys(loaded, templates), undoes)


def plan_apart(loaded: Loaded, refused: OpenClawRefusals) -> EditPlan | None:
    """Return how to move what OpenClaw refuses and only we know out of its configuration."""
    main, over = _drafts(loaded)
    paths = refused.own(loaded, main.value)
    move_apart(main, over, paths)
    rewrites = _order(main, over, first=[over.file])
    if not rewrites:
        return None
    templates = override(main.value, over.value)
    return EditPlan(rewrites, templates, tuple(format_key_path(each) for each in paths))


def _plan(loaded: Loaded, moves: list[Move], wanted: Any, path: KeyPath) -> EditPlan | None:
    """Return the plan of the first of *moves* after which the two files mean what is *wanted*."""
    problem: StateError | None = None
    for move in moves:
        main, over = _drafts(loaded)
        try:
            move(main, over)
        except (InvalidError, NotFoundError) as error:
            problem = problem or error
            continue
        merged = override(main.value, over.value) if over.value else main.value
        is_alone = not over.value and not loaded.overlay.value
        if is_alone or is_same(merged, _prune(wanted, merged, path), ordered=False):
            rewrites = _order(main, over, first=[])
            return EditPlan(rewrites, merged, (format_key_path(path),)) if rewrites else None
    if problem is not None:
        raise problem
    name, where = format_key_path(path), f"{loaded.path.name} and {loaded.overlay.path.name}"
    hint = "change it with 'clawstate config edit'"
    raise ConfigError(name, f"cannot be changed in {where} at once", hint)


def _prune(wanted: Any, merged: Any, path: KeyPath) -> Any:
    """Return *wanted* without the empty objects above *path* that *merged* has no more."""
    for size in range(len(path) - 1, 0, -1):
        above = path[:size]
        if _at(merged, above) is not None or _at(wanted, above) != {}:
            break
        wanted = unset_at(wanted, above)
    return wanted


def _at(tree: Any, path: KeyPath) -> Any:
    try:
        return get_at(tree, path)
    except NotFoundError:
        return None


def _removals(loaded: Loaded, path: KeyPath, made: Made | None) -> list[Move]:
    def below(main: Draft, over: Draft) -> None:  # noqa: ARG001 - of its kind
        main.unset(path, made=made)

    def above(main: Draft, over: Draft) -> None:  # noqa: ARG001 - of its kind
        over.unset(path, made=made)

    def both(main: Draft, over: Draft) -> None:
        over.unset(path, made=made)
        main.unset(path, made=made)

    return [above, both] if Draft(loaded.overlay).has(path) else [below]


def _drafts(loaded: Loaded) -> tuple[Draft, Draft]:
    return Draft(loaded.config), Draft(loaded.overlay)


def _order(main: Draft, over: Draft, *, first: list[Path]) -> tuple[Any, ...]:
    """
    Return the rewrites of both, so that a kill between two of them loses nothing.

    What is added comes before what is taken away; an overlay that only loses something comes last,
    because until then it hides what is below.
    """
    order = (over, main) if over.is_added else (main, over)
    rewrites = [rewrite for draft in order for rewrite in draft.rewrites()]
    ranks = {file: rank for rank, file in enumerate(first)}
    return tuple(sorted(rewrites, key=lambda each: ranks.get(each.file, len(ranks))))


def _changed_keys(loaded: Loaded, templates: Any) -> tuple[str, ...]:
    if not isinstance(templates, dict):
        return ()
    keys = dict.fromkeys([*loaded.templates, *templates])
    absent = object()
    moved = [
        key
        for key in keys
        if not is_same(loaded.templates.get(key, absent), templates.get(key, absent), ordered=False)
    ]
    return tuple(format_key_path((key,)) for key in moved)
