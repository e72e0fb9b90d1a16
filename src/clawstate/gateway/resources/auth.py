"""The operations of the noun `auth`: credentials, of whose secrets only the ends are ever sent."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from typing_extensions import TypedDict

from clawstate.errors import NotFoundError
from clawstate.gateway.answers import require_match
from clawstate.gateway.bodies import PAGE_SIZE, After, AgentName, Body, Limit
from clawstate.gateway.routing import IfMatch, Opened, Routes
from clawstate.stores.auth import AuthProfiles
from clawstate.stores.auth.credentials import Credential, Profile
from clawstate.wire import to_wire
from clawstate.wire.schemas import records as forms

routes = Routes("auth")

Id = Annotated[str, Path(description="The id of a profile, such as `openai:default`.")]
Provider = Annotated[str, Path(description="Such as `openai`.", max_length=512)]
_KIND = "profile"


class Order(Body):
    """In which order profiles are tried; none leaves it to the configuration."""

    ids: tuple[str, ...]


class Profiles(TypedDict):
    """A page of profiles, what cannot be used, and the cursor of the next page."""

    profiles: list[forms.Profile]
    problems: list[forms.AuthProblem]
    next: str | None


class Kept(TypedDict):
    """Which profile was kept."""

    id: str
    provider: str
    type: str
    replaced: bool


class RemovedProfile(TypedDict):
    """Which profile was removed."""

    id: str
    removed: bool


class OrderOf(TypedDict):
    """The order in which profiles are tried, and the one that is stored."""

    provider: str
    order: list[str]
    stored: list[str] | None


@routes.read("/profiles", Profiles)
def profiles(
    state: Opened, *, agent: AgentName = "main", limit: Limit = PAGE_SIZE, after: After = None
) -> Any:
    """Return a page of the profiles, and whether they can be used."""
    store = state.auth(agent)
    page = store.page(limit, after)
    found = [to_wire(each, standing=store.standing(each)) for each in page]
    return {"profiles": found, "problems": store.problems(), "next": page.after}


@routes.read("/profiles/{profile_id:path}", forms.Profile)
def get(state: Opened, profile_id: Id, *, agent: AgentName = "main") -> Any:
    """Return one profile."""
    return _form_of(state.auth(agent), profile_id)


@routes.write("/profiles/{profile_id:path}", Kept, method="PUT", scope="admin")
def put(
    state: Opened,
    profile_id: Id,
    body: dict[str, Any],
    *,
    agent: AgentName = "main",
    if_match: IfMatch = None,
) -> Any:
    """Keep a credential with its secret, as `type`, `provider` and `key`, `token` or OAuth's."""
    store = state.auth(agent)
    expect = _match(store, profile_id, if_match)
    known = any(each.id == profile_id and each.origin == "own" for each in store.profiles())
    wish = {"provider": profile_id.partition(":")[0], **body}
    made = store.upsert(profile_id, wish, expect=expect)
    return {"id": profile_id, "provider": made.provider, "type": made.type, "replaced": known}


@routes.write("/profiles/{profile_id:path}", RemovedProfile, method="DELETE", scope="admin")
def remove(
    state: Opened, profile_id: Id, *, agent: AgentName = "main", if_match: IfMatch = None
) -> Any:
    """Forget a profile, and how it fared."""
    store = state.auth(agent)
    if not store.remove(profile_id, expect=_match(store, profile_id, if_match)):
        raise NotFoundError(_KIND, profile_id)
    return {"id": profile_id, "removed": True}


@routes.write("/reset/{profile_id:path}", forms.Profile, scope="admin")
def reset(state: Opened, profile_id: Id, *, agent: AgentName = "main") -> Any:
    """Let a profile rest no longer, as after its account was mended."""
    store = state.auth(agent)
    store.end_rest(profile_id)
    return _form_of(store, profile_id)


@routes.read("/order/{provider:path}", OrderOf)
def order(state: Opened, provider: Provider, *, agent: AgentName = "main") -> Any:
    """Return in which order the profiles of a provider are tried."""
    return _order(state.auth(agent), provider)


@routes.write("/order/{provider:path}", OrderOf, method="PUT", scope="admin")
def set_order(
    state: Opened,
    provider: Provider,
    body: Order,
    *,
    agent: AgentName = "main",
    if_match: IfMatch = None,
) -> Any:
    """Set in which order the profiles of a provider are tried."""
    store = state.auth(agent)
    expect = None
    if if_match is not None:
        shown = _order(store, provider)
        require_match(if_match, shown, "order", provider)
        expect = shown["stored"] or ()
    store.set_order(provider, body.ids, expect=expect)
    return _order(store, provider)


def _order(store: AuthProfiles, provider: str) -> dict[str, Any]:
    stored = store.stored_order(provider)
    return {
        "provider": provider,
        "order": list(store.order(provider)),
        "stored": None if stored is None else list(stored),
    }


def _form_of(store: AuthProfiles, profile_id: str) -> Any:
    found = _require(store, profile_id)
    return to_wire(found, standing=store.standing(found))


def _match(store: AuthProfiles, profile_id: str, if_match: str | None) -> Credential | None:
    """Return the credential that `If-Match` is about; the step that writes looks at it again."""
    if if_match is None:
        return None
    found = _require(store, profile_id)
    form = to_wire(found, standing=store.standing(found))
    require_match(if_match, form, _KIND, profile_id)
    # One that is inherited lies elsewhere: here it is made anew, and there is nothing to expect.
    return found.credential if found.origin == "own" else None


def _require(store: AuthProfiles, profile_id: str) -> Profile:
    for each in store.profiles():
        if each.id == profile_id:
            return each
    raise NotFoundError(_KIND, profile_id)
