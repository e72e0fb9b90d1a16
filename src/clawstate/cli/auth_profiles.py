"""Profiles as programs and people want to see them, without their secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from clawstate.cli.printing import one_line, style
from clawstate.clock import from_ms
from clawstate.stores.auth.availability import STATES, USABLE
from clawstate.stores.auth.names import normalise_provider
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.stores.auth import AuthProfiles
    from clawstate.stores.auth.credentials import Profile

_COLOURS = {"good": "green", "will-refresh": "green", "cooldown": "yellow", "expired": "yellow"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def profile_document(store: AuthProfiles, profile: Profile) -> dict[str, Any]:
    """Return *profile* as programs want it, with how it stands in *store*."""
    found: dict[str, Any] = to_wire(profile, standing=store.standing(profile))
    return found


def profile_lines(documents: Sequence[dict[str, Any]], *, now: float) -> Iterator[str]:
    """Yield a line for each profile."""
    names = ("id", "type", "secret")
    shown = [{name: one_line(each[name]) for name in names} for each in documents]
    widths = {name: max((len(each[name]) for each in shown), default=0) for name in names}
    for each, row in zip(documents, shown, strict=True):
        columns = [
            style(row["id"].ljust(widths["id"]), bold=True),
            row["type"].ljust(widths["type"]),
            style(row["secret"].ljust(widths["secret"]), dim=True),
            _state_text(each, now=now),
        ]
        origin = "" if each["origin"] == "own" else f"  ({each['origin']})"
        yield "  ".join(columns) + style(origin, dim=True)


def status_document(store: AuthProfiles) -> dict[str, Any]:
    """Return the effective order of each provider, and what cannot be used."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in store.profiles():
        document = profile_document(store, each)
        found.setdefault(normalise_provider(each.provider), []).append(document)
    return {
        "providers": [
            {
                "provider": provider,
                "order": (order := list(store.order(provider))),
                "profiles": len(documents),
                "unusable": [
                    {"id": each["id"], "state": _why(each, order), "until": each["until"]}
                    for each in documents
                    if each["state"] not in USABLE or each["id"] not in order
                ],
            }
            for provider, documents in sorted(found.items())
        ]
    }


def status_lines(document: dict[str, Any], *, now: float) -> Iterator[str]:
    """Yield the status for people."""
    if not document["providers"]:
        yield "no credentials yet"
    for provider in document["providers"]:
        order = ", then ".join(provider["order"]) or style("nothing to try", fg="red")
        yield f"{style(provider['provider'], bold=True)}  {order}"
        for each in provider["unusable"]:
            yield f"    {one_line(each['id'])}: {_state_text(each, now=now)}"


def _why(document: dict[str, Any], order: Sequence[str]) -> str:
    if document["state"] in USABLE and document["id"] not in order:
        return "left-out"
    return str(document["state"])


def _state_text(document: dict[str, Any], *, now: float) -> str:
    state, until = document["state"], document["until"]
    text = STATES.get(state, state.replace("-", " "))
    if document.get("reason"):
        text += f" ({document['reason']})"
    if until is not None:
        text += f", {_span(from_ms(until) - now)} left"
    return style(text, fg=_COLOURS.get(state, "red"))


def _span(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{max(1, round(seconds))} s"
