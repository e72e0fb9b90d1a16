"""The noun `doctor`: find what is wrong, and mend it."""

from __future__ import annotations

import click

from clawstate.cli.command import Command, pass_session
from clawstate.cli.printing import style
from clawstate.cli.session import Session

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@click.command(
    cls=Command,
    examples=("clawstate doctor", "clawstate doctor --fix", "clawstate doctor --salvage"),
    absent_ok=True,
)
@click.option("--fix", is_flag=True, help="Mend what can be mended without loss.")
@click.option(
    "--salvage", is_flag=True, help="Keep what can be read of damaged databases; --fix does so too."
)
@click.option("--quick", is_flag=True, help="Do not read every page.")
@pass_session
def doctor(session: Session, *, fix: bool, salvage: bool, quick: bool) -> None:
    """
    Find what is wrong with the state, and mend it.

    Ends with exit code 1 while there is an error or a warning left.
    """
    from clawstate import doctor as checks  # noqa: PLC0415 - needs an opened state
    from clawstate.wire import to_wire  # noqa: PLC0415

    deep = not quick
    if fix:
        findings, left = checks.mend(session.state, deep=deep)
    elif salvage:
        findings, left = checks.salvage(session.state)
    else:
        findings = left = checks.examine(session.state, deep=deep)
    ok = all(finding.severity == "info" for finding in left)
    lines = []
    for finding in findings:
        mark = style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
        told = [f"{mark}  {finding.path}", f"      {finding.message}", f"      {finding.fix}"]
        lines += [line for line in told if line.strip()]
    document = {"ok": ok, "findings": to_wire(findings)}
    session.output.emit(document, *(lines or [style("all is well", fg="green")]))
    if not ok:
        raise click.exceptions.Exit(1)
