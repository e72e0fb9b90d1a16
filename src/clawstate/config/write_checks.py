"""What keeps a write from breaking a configuration: new errors, and what looks like an accident."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from clawstate.config.includes import MAX_LEVELS
from clawstate.config.issues import Issue, check, check_agent
from clawstate.config.layers import MAX_CONFIG_BYTES
from clawstate.config.loading import Loaded
from clawstate.config.substitution import Substituted, substitute
from clawstate.config.unsupported import Unsupported, find_unsupported
from clawstate.errors import ConfigError, NotFoundError
from clawstate.json5.key_path import format_key_path, get_at
from clawstate.json5.plain_value import measure

if TYPE_CHECKING:
    from clawstate.config.rewrite import EditPlan
    from clawstate.openclaw.accepted import Accepted

_SHRINKS_FROM = 512  # bytes: smaller ones may halve

_MODE = ("gateway", "mode")


def check_write(
    loaded: Loaded,
    planned: EditPlan,
    *,
    force: bool,
    agent: str | None = None,
    accepted: Accepted | None = None,
) -> None:
    """
    Raise `ConfigError` if what is *planned* brings a new error, or looks like an accident.

    An error that was there before does not keep anybody from changing something else. *force*
    lets through what looks like an accident, what this version cannot follow, and variables that
    are not set; never a wrong type.
    """
    templates = planned.templates
    if not isinstance(templates, dict):
        raise ConfigError(str(loaded.path), "is not an object", "put braces around it")
    for rewrite in planned.rewrites:
        if len(rewrite.after) > MAX_CONFIG_BYTES:
            problem = f"would be larger than {MAX_CONFIG_BYTES:,} bytes"
            raise ConfigError(str(rewrite.file), problem, "move what is no setting out of it")
    if measure(templates)[0] > MAX_LEVELS:
        problem = f"would have more than {MAX_LEVELS:,} levels"
        raise ConfigError(str(loaded.path), problem, "flatten the settings")
    substituted = substitute(templates, loaded.variables)
    _require_valid(loaded, substituted.value, agent, accepted)
    if not force:
        _require_followed(loaded, substituted)
    odd = suspicious_changes(loaded, planned)
    if odd and not force:
        hint = "use --force if it is meant"
        raise ConfigError(str(loaded.path), f"the change looks like an accident: {odd[0]}", hint)


def _require_valid(
    loaded: Loaded, resolved: Any, agent: str | None, accepted: Accepted | None
) -> None:
    find = partial(check if agent is None else check_agent, accepted=accepted)
    # Errors that are there already must not keep anybody from mending them one by one.
    old = {_sign(issue) for issue in find(loaded.resolved) if issue.severity == "error"}
    new = [issue for issue in find(resolved) if issue.severity == "error"]
    for issue in new:
        if _sign(issue) not in old:
            raise ConfigError(format_key_path(issue.path), issue.message, issue.hint)


def _require_followed(loaded: Loaded, substituted: Substituted) -> None:
    """Refuse new settings that this version cannot follow, and new variables that are not set."""
    before = {(each.path, each.problem) for each in _unsupported_errors(loaded.resolved)}
    for each in _unsupported_errors(substituted.value):
        if (each.path, each.problem) not in before:
            hint = f"{each.hint}, or use --force"
            raise ConfigError(format_key_path(each.path), each.problem, hint)
    known = {missing.name for missing in loaded.missing}
    for missing in substituted.missing:
        if missing.name not in known:
            problem = f"needs the variable {missing.name}, which is not set"
            hint = "set it, in .env for example, or use --force"
            raise ConfigError(format_key_path(missing.path), problem, hint)


def suspicious_changes(loaded: Loaded, planned: EditPlan) -> tuple[str, ...]:
    """Return what looks like an accident about a change (decision 11)."""
    found = []
    # What moves from one file to another is not lost.
    before = sum(len(each.before or b"") for each in planned.rewrites)
    after = sum(len(each.after) for each in planned.rewrites)
    if before >= _SHRINKS_FROM and 2 * after < before:
        found.append(f"size-drop:{before}->{after}")
    if _has(loaded.templates, _MODE) and not _has(planned.templates, _MODE):
        found.append("gateway-mode-removed")
    return tuple(found)


def _unsupported_errors(resolved: Any) -> list[Unsupported]:
    return [each for each in find_unsupported(resolved) if each.severity == "error"]


def _sign(issue: Issue) -> tuple[object, str]:
    return issue.path, issue.message


def _has(tree: Any, path: tuple[str, ...]) -> bool:
    try:
        get_at(tree, path)
    except NotFoundError:
        return False
    return True
