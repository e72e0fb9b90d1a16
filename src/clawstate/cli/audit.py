"""The noun `audit`: prove that nobody changed what is kept behind the back of its programs."""

from __future__ import annotations

from pathlib import Path

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.printing import style
from clawstate.cli.session import Session
from clawstate.quantities import number_of

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate audit enable", "clawstate audit verify", "clawstate audit head"),
)
def audit() -> None:
    """
    Chain every change of memory and conversations with a key that lies elsewhere.

    Whoever writes into the database without the key is found, also who puts an older copy back.
    """


@audit.command()
@click.option(
    "--key",
    default="file",
    show_default=True,
    metavar="KEY",
    help="keyring, file, file:/path, or passphrase.",
)
@click.option("--head", type=_FILE, metavar="FILE", help="Where the head is told, outside.")
@pass_session
def enable(session: Session, *, key: str, head: Path | None) -> None:
    """
    Chain all changes from now on, beginning with what is there; every writer needs the key.

    A chain that is there is begun anew, as after a backup was restored.
    """
    number, code = session.state.audit.turn_on(key, head=head)
    line = f"{number:020} {code}"
    session.output.emit({"head": line}, "changes are chained from now on; the head is", line)


@audit.command()
@pass_session
def disable(session: Session) -> None:
    """Chain nothing any more, and remove the chain; the key stays."""
    was_on = session.state.audit.turn_off()
    told = "changes are chained no more" if was_on else "there was no chain"
    session.output.emit({"disabled": was_on}, told)


@audit.command()
@pass_session
def head(session: Session) -> None:
    """Print the head of the chain, to be kept elsewhere."""
    number, code = session.state.audit.head()
    line = f"{number:020} {code}"
    session.output.emit({"head": line}, line)


@audit.command()
@click.option("--head", "given", metavar="HEAD", help="A head that was printed, in quotes.")
@click.option("--head-file", type=_FILE, metavar="FILE", help="The file of the head, if it moved.")
@pass_session
def verify(session: Session, *, given: str | None, head_file: Path | None) -> None:
    """
    Follow the chain, compare every record and message with it, and name what does not hold.

    Ends with exit code 1 if something was changed, removed, put in, moved, or taken back.
    """
    heads = [] if given is None else [given]
    found = session.state.audit.verify(heads=heads, head=head_file)
    links = number_of(found.links, "link")
    broken = found.broken
    document = {
        "holds": found.holds,
        "links": found.links,
        "problem": None if broken is None else broken.problem,
        "link": None if broken is None else broken.link,
    }
    if broken is None:
        session.output.emit(document, style("all holds", fg="green") + f"  {links}")
        return
    session.output.emit(document, style("broken", fg="red", bold=True) + f"  {broken.problem}")
    raise click.exceptions.Exit(1)
