"""What is wrong with the profiles of an agent."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.errors import StateError
from clawstate.health import Finding
from clawstate.stores.auth.codec import is_in_seconds
from clawstate.stores.auth.credentials import TYPES, OAuth
from clawstate.stores.auth.pending import failure_of
from clawstate.stores.auth.rows import Rows


def findings_of(rows: Rows, path: str) -> Iterator[Finding]:
    """Look at what is kept and not used, at odd times, and at logins that are over."""
    for each in rows.problems:
        message = f"{each.place}: {each.key} {each.reason}"
        yield Finding("profile", "warning", path, message, "store it again, or remove it")
    for name, credential in rows.credentials.items():
        end = TYPES[credential.type].expiry
        if end is not None and is_in_seconds(rows.profiles[name].record.get(end.name)):
            message = f"{name}: {end.name} is in seconds, which other programs take for 1970"
            yield Finding("seconds", "info", path, message, "goes with the next change of it")
        failed = failure_of(credential.extra) if isinstance(credential, OAuth) else None
        if failed is None or not failed.final:
            continue
        try:
            is_refused = isinstance(credential, OAuth) and failed.bars(credential.refresh)
        except StateError as error:
            yield Finding(error.code, "error", path, f"{name}: {error}", "see the message")
            continue
        if is_refused:
            message = f"{name} needs a login: {failed.problem}"
            yield Finding("needs-login", "warning", path, message, "log in again")
