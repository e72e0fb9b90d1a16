"""The noun `version`: which clawstate this is, and what it stands on."""

from __future__ import annotations

import platform

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.session import Session
from clawstate.version import __version__


@click.command(cls=Command, examples=("clawstate version --json",))
@pass_session
def version(session: Session) -> None:
    """Print the version of clawstate, of Python and of SQLite."""
    import apsw  # noqa: PLC0415 - see `NOUNS`

    document = {
        "version": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
    }
    line = "clawstate {version} (Python {python}, SQLite {sqlite})".format(**document)
    session.output.emit(document, line)
