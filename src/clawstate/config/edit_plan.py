"""
From what shall change to the texts that say it: which files, and what each holds then.

What the OpenClaw that a directory belongs to does not accept is kept in the overlay,
`clawstate.json` (decision 24), all else in `openclaw.json`. A value that was in one of them and
belongs into the other is moved by the change that touches it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clawstate.arguments import require_whole
from clawstate.config.dotted_names import resolve_steps_for_edit
from clawstate.config.draft import Draft, Made, require_part
from clawstate.config.loading import Loaded
from clawstate.config.merging import override
from clawstate.config.openclaw_split import OpenClawRefusals, move_apart, split_value
from clawstate.config.rewrite import EditPlan
from clawstate.errors import ConfigError, InvalidError, NotFoundError, StateError
from clawstate.json5.key_path import KeyPath, format_key_path, get_at, set_at, unset_at
from clawstate.json5.path_grammar import WrittenPath
from clawstate.json5.plain_value import is_same, require_plain

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
    require_whole(format_key_path(path) or "configuration", value)
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
    moved = [key for key in keys if loaded.templates.get(key, absent) != templates.get(key, absent)]
    return tuple(format_key_path((key,)) for key in moved)
