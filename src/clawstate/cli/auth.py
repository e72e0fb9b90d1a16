"""The noun `auth`: keep credentials, and find secrets in the clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clawstate.cli.command import CONTEXT, Group, SecretCommand, pass_session
from clawstate.cli.options import Moment, next_page, page_options
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.cli.suggestions import PROFILES, PROVIDERS

if TYPE_CHECKING:
    from clawstate.stores.auth import AuthProfiles


class TypeName(click.Choice[str]):
    """The types of credentials; their table is loaded when this is asked for, not with the noun."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of all types."""
        from clawstate.stores.auth.credentials import TYPES  # noqa: PLC0415 - see `NOUNS`

        return tuple(sorted(TYPES))

    @choices.setter
    def choices(self, _none: object) -> None:
        """Leave them to the table, whatever `click.Choice` sets."""


PROFILE = click.argument("profile_id", metavar="ID", shell_complete=PROFILES)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate auth add openai:default < key.txt",
        "clawstate auth list",
        "clawstate auth audit || true    # 1 when there are findings",
    ),
)
def auth() -> None:
    """
    Keep credentials, and find secrets in the clear.

    Those of the agent main, or of the one that --agent names.
    """


@auth.command(name="list")
@page_options
@pass_session
def list_(session: Session, *, limit: int, after: str | None) -> None:
    """Print a page of the profiles, and whether they can be used; of secrets only the ends."""
    from clawstate.cli.auth_profiles import profile_document, profile_lines  # noqa: PLC0415
    from clawstate.cli.openclaw_entries import their_credentials  # noqa: PLC0415
    from clawstate.wire import to_wire  # noqa: PLC0415

    store, now = store_of(session), session.state.clock()
    page = store.page(limit, after)
    more, told = next_page(page.after)
    found = [profile_document(store, each) for each in page]
    if page.after is None:  # those of OpenClaw, of which there are few, stand behind all of ours
        ours = [profile_document(store, each) for each in store.profiles()] if after else found
        found = [*found, *their_credentials(session, ours)]
    problems = to_wire(store.problems())
    for each in problems:
        session.output.warn(f"{each['place']}: {each['id']} {each['problem']}")
    hint = f"no credentials yet; try 'clawstate{_agent(session)} auth add openai:default'"
    lines = list(profile_lines(found, now=now)) or [hint]
    session.output.emit({"profiles": found, "problems": problems, **more}, *lines, *told)


@auth.command()
@PROFILE
@pass_session
def show(session: Session, /, profile_id: str) -> None:
    """Print the profile ID; of its secrets only the ends."""
    from clawstate.cli.auth_profiles import profile_document  # noqa: PLC0415 - see `NOUNS`
    from clawstate.cli.openclaw_entries import their_credentials  # noqa: PLC0415
    from clawstate.cli.printing import table_lines  # noqa: PLC0415
    from clawstate.errors import NotFoundError  # noqa: PLC0415

    store = store_of(session)
    theirs = [each for each in their_credentials(session) if each["id"] == profile_id]
    if theirs and all(each.id != profile_id for each in store.profiles()):
        session.output.emit(theirs[0], *table_lines(_readable(theirs[0])))
        return
    store.require(profile_id)
    found = next((each for each in store.profiles() if each.id == profile_id), None)
    if found is None:
        raise NotFoundError("profile", profile_id, "see 'clawstate auth list'")
    document = profile_document(store, found)
    session.output.emit(document, *table_lines(_readable(document)))


@auth.command(
    cls=SecretCommand,
    examples=(
        "clawstate auth add openai:default < key.txt",
        "clawstate auth add openai:ci --ref env:default:OPENAI_API_KEY",
    ),
    absent_ok=True,
)
@PROFILE
@click.option("--provider", metavar="P", help="Whom it is for [the first part of ID].")
@click.option(
    "--type",
    "kind",
    type=TypeName(),
    default="api_key",
    show_default=True,
    help="What it is.",
)
@click.option("--ref", metavar="REF", help="Where the secret is kept: env:default:OPENAI_API_KEY.")
@click.option("--email", metavar="ADDRESS", help="Whose account it is.")
@click.option(
    "--expires",
    type=Moment(ahead=True),
    metavar="TIME",
    help="Until when a token is good: 30d, or a date.",
)
@pass_session
def add(
    session: Session,
    /,
    profile_id: str,
    *,
    provider: str | None,
    kind: str,
    ref: str | None,
    email: str | None,
    expires: float | None,
) -> None:
    """
    Keep a credential as ID, such as openai:default; what is there under ID is replaced.

    The secret is read from standard input, or asked for on a terminal. For --type oauth it is a
    JSON object with access, refresh and expires (milliseconds).
    """
    from clawstate.cli.auth_input import ask_credential  # noqa: PLC0415 - see `NOUNS`
    from clawstate.clock import to_iso, to_ms  # noqa: PLC0415
    from clawstate.stores.auth.codec import is_in_seconds  # noqa: PLC0415
    from clawstate.stores.auth.credentials import TYPES, expiry_of  # noqa: PLC0415
    from clawstate.stores.auth.names import require_profile_id  # noqa: PLC0415

    require_profile_id(profile_id)
    store = store_of(session)
    end = TYPES[kind].expiry
    end_name = "expires" if end is None else end.name
    given = ask_credential(kind, profile_id, ref=ref)
    wanted = {
        "type": kind,
        "provider": provider or profile_id.partition(":")[0],
        **({} if email is None else {"email": email}),
        **({} if expires is None else {end_name: to_ms(expires)}),
        **given,
    }
    known = any(each.id == profile_id and each.origin == "own" for each in store.profiles())
    made = store.upsert(profile_id, wanted)
    moment = expiry_of(made)
    if moment is not None and is_in_seconds(wanted.get(end_name)):
        session.output.warn(f"{end_name} is in seconds; it is kept as {to_iso(moment)}")
    done = "replaced" if known else "added"
    document = {"id": profile_id, "provider": made.provider, "type": made.type, "replaced": known}
    session.output.emit(document, f"{done} {profile_id}")


@auth.command()
@PROFILE
@pass_session
def remove(session: Session, /, profile_id: str) -> None:
    """Forget the profile ID and how it fared."""
    from clawstate.cli.openclaw_entries import refuse_credential  # noqa: PLC0415
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    if not store_of(session).remove(profile_id):
        refuse_credential(session, profile_id)
        raise NotFoundError("profile", profile_id, "see 'clawstate auth list'")
    session.output.emit({"id": profile_id, "removed": True}, f"removed {profile_id}")


@auth.command()
@click.argument("provider", shell_complete=PROVIDERS)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=PROFILES)
@click.option("--clear", is_flag=True, help="Leave the order to the configuration.")
@pass_session
def order(session: Session, /, provider: str, ids: tuple[str, ...], *, clear: bool) -> None:
    """Print in which order the profiles of PROVIDER are tried, or set it to these IDs."""
    if clear and ids:
        raise click.UsageError("give IDs or --clear, not both")
    store = store_of(session)
    if clear or ids:
        store.set_order(provider, ids)
    found, stored = store.order(provider), store.stored_order(provider)
    document = {
        "provider": provider,
        "order": list(found),
        "stored": None if stored is None else list(stored),
    }
    lines = [f"{number}. {each}" for number, each in enumerate(found, 1)]
    session.output.emit(document, *(lines or [f"no profile of {provider!r} can be used"]))


@auth.command()
@pass_session
def status(session: Session) -> None:
    """Print for each provider which profiles are tried, and why others are not."""
    from clawstate.cli.auth_profiles import status_document, status_lines  # noqa: PLC0415

    now = session.state.clock()
    document = status_document(store_of(session))
    encryption = session.state.encryption
    source = encryption.source()
    key = None if source is None else str(source)
    problem = encryption.problem()
    more = {} if problem is None else {"problem": problem}
    document["encryption"] = {"on": encryption.is_on, "key": key, **more}
    told = "secrets are kept in the clear, in private files (0600)"
    if encryption.is_on:
        told = f"secrets are encrypted; the key comes from the {key}" if key else "there is no key"
    if problem is not None:
        told = f"the key is missing, and nothing that is encrypted can be used: {problem}"
    lines = [*status_lines(document, now=now), style(told, dim=True)]
    session.output.emit(document, *lines)


@auth.command(name="import", absent_ok=True)
@pass_session
def import_(session: Session) -> None:
    """Take over credentials in files of older releases, which stay as they are."""
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    made = store_of(session).import_legacy()
    document = to_wire(made)
    line = f"imported {made.imported}; {made.present} were there, {made.invalid} cannot be used"
    session.output.emit(document, line if any(document.values()) else "there is nothing to import")


def store_of(session: Session) -> AuthProfiles:
    """Return the credentials of the agent that was asked for."""
    return session.state.auth("main" if session.agent is None else session.agent)


def _agent(session: Session) -> str:
    return "" if session.agent is None else f" --agent {session.agent}"


def _readable(document: dict[str, Any]) -> dict[str, Any]:
    from clawstate.clock import from_ms, to_iso  # noqa: PLC0415 - see `NOUNS`
    from clawstate.stores.auth.availability import STATES  # noqa: PLC0415
    from clawstate.stores.auth.codec import FIRST_DATE  # noqa: PLC0415

    def readable(name: str, value: Any) -> Any:
        if name == "state":
            return STATES.get(value, value)
        if name not in {"until", "expires", "lastUsed"}:
            return value
        moment = from_ms(value)
        is_real = name != "expires" or moment >= FIRST_DATE
        return to_iso(moment) if is_real else "no moment that a token can have"

    names = {"lastUsed": "last used", "errorCount": "failures"}
    return {
        names.get(name, name): readable(name, value)
        for name, value in document.items()
        if value is not None
    }
