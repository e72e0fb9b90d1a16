"""A configuration that was read, judged as a whole: types, unknown keys, variables, notices."""

from __future__ import annotations

from clawstate.config.issues import Issue, check
from clawstate.config.loading import Loaded
from clawstate.config.notices import Notice
from clawstate.config.substitution import Missing


def judged(loaded: Loaded) -> tuple[Issue, ...]:
    """Return what is wrong with *loaded*, in the order of its text as far as that is known."""
    source = loaded.config.source
    document = None if source is None else source.document
    text = None if source is None else source.text
    waiting = loaded.unresolved.paths()
    found = check(loaded.resolved, document=document, text=text)
    return (
        # A template is no value, so nothing can be said of its type.
        *(each for each in found if each.severity == "warning" or each.path not in waiting),
        *(_missing(each) for each in loaded.missing),
        *(_noticed(each) for each in loaded.notices),
    )


def _missing(missing: Missing) -> Issue:
    line, column = (None, None) if missing.origin is None else missing.origin.place
    message = f"needs the variable {missing.name}, which is not set"
    hint = "it fails where it is used; set it, in .env for example"
    return Issue(missing.path, message, line, column, "error", hint)


def _noticed(notice: Notice) -> Issue:
    line, column = notice.place or (None, None)
    return Issue((), f"{notice.path}: {notice.text}", line, column, "warning", "")
