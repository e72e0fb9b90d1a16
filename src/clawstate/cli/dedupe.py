"""The noun `dedupe`: tell what was handled already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.options import next_page, page_options
from clawstate.cli.session import Session
from clawstate.cli.suggestions import NAMESPACES
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.stores.dedupe import NamespaceStatistics

NAMESPACE = click.option(
    "--namespace",
    "-n",
    metavar="NS",
    shell_complete=NAMESPACES,
    default="global",
    show_default=True,
    help="Such as a channel.",
)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=(
        "clawstate dedupe check update-4711 --namespace telegram",
        "clawstate dedupe stats",
    ),
)
def dedupe() -> None:
    """
    Tell what was handled already.

    A key, such as the id of a message, is new once: until its mark expires (caches.dedupe.ttlMs,
    24 hours), or younger ones take its place (caches.dedupe.fileMaxEntries, 1,000 a namespace).
    """


@dedupe.command(absent_ok=True)
@click.argument("key")
@NAMESPACE
@pass_session
def check(session: Session, /, key: str, *, namespace: str) -> None:
    """
    Mark KEY, and tell whether it is new.

    The exit code is 0 in both cases; --json prints {"new": true} or {"new": false}.
    """
    new = session.state.dedupe.check_and_record(key, namespace)
    place = _quote(_require_namespace(namespace))
    told = f"{_quote(key)} is new in {place}, and is marked now"
    if not new:
        told = f"{_quote(key)} was seen before in {place}"
    session.output.emit({"new": new}, told)


@dedupe.command()
@page_options
@pass_session
def stats(session: Session, *, limit: int, after: str | None) -> None:
    """Print how many marks each namespace of a page has."""
    from clawstate.wire import to_wire  # noqa: PLC0415 - see `NOUNS`

    store = session.state.dedupe
    page = store.page(limit, after)
    more, told = next_page(page.after)
    found = {name: store.stats(name) for name in sorted(page)}
    marks = sum(each.marks for each in found.values())
    document = {"marks": marks, "namespaces": to_wire(found), **more}
    shown = {_quote(name): _statistics_line(each) for name, each in found.items()}
    width = max(map(len, shown), default=0)
    lines = [f"{name.ljust(width)}  {each}" for name, each in shown.items()]
    session.output.emit(document, *(lines or ["nothing is marked yet"]), *told)


@dedupe.command()
@click.option("--namespace", "-n", help="Only this one [all].", shell_complete=NAMESPACES)
@pass_session
def prune(session: Session, /, *, namespace: str | None) -> None:
    """Remove marks that expired, and the oldest of those too many."""
    gone = session.state.dedupe.prune(namespace)
    told = f"removed {number_of(gone, 'mark')}" if gone else "nothing to remove"
    session.output.emit({"pruned": gone}, told)


@dedupe.command()
@click.argument("key")
@NAMESPACE
@pass_session
def forget(session: Session, /, key: str, *, namespace: str) -> None:
    """
    Remove the mark of KEY, which is new again then.

    A running agent that met it may remember it until it expires.
    """
    from clawstate.errors import NotFoundError  # noqa: PLC0415 - see `NOUNS`

    place = _quote(_require_namespace(namespace))
    if not session.state.dedupe.forget(key, namespace):
        hint = "'clawstate dedupe stats' shows the namespaces; --namespace chooses one"
        raise NotFoundError(f"mark in {place} of", key, hint)
    session.output.emit({"forgotten": True}, f"{_quote(key)} is new again in {place}")


def _require_namespace(namespace: str) -> str:
    from clawstate.stores.dedupe.namespaces import require_namespace  # noqa: PLC0415 - see `NOUNS`

    return require_namespace(namespace)


def _quote(text: str) -> str:
    return repr(text.encode(errors="replace").decode())


def _statistics_line(found: NamespaceStatistics) -> str:
    from clawstate.wire.collections import moment_text  # noqa: PLC0415 - see `NOUNS`

    parts = [number_of(found.marks, "mark")]
    parts += [f"the newest {moment_text(found.newest)}"] if found.newest is not None else []
    parts += [f"{found.expired:,} expired"] if found.expired else []
    parts += [f"{found.ignored:,} ignored (no time)"] if found.ignored else []
    return ", ".join(parts)
