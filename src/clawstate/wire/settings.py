"""The JSON form of changes of the configuration, and of what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clawstate.clock import to_iso
from clawstate.config.history import Change, FileChange
from clawstate.config.issues import Issue
from clawstate.config.written import WrittenSetting
from clawstate.wire.members import Members, times


def write_change(change: Change, *, root: Path | None = None) -> dict[str, Any]:
    """Return *change*, with paths relative to *root* if they are below it."""
    also = [
        {"file": _relative(each.file, root), "before": each.before, "after": each.after}
        for each in change.also
    ]
    return {
        "number": change.number,
        "at": to_iso(change.at),
        **times(at=change.at),
        "file": _relative(change.file, root),
        "paths": list(change.paths),
        "by": change.by,
        "undoes": change.undoes,
        "before": change.before,
        "after": change.after,
        "also": also,
    }


def read_change(document: Any) -> Change:
    """Return the change of *document*."""
    told = Members(document, "change")
    return Change(
        told.integer("number"),
        told.moment("at"),
        told.maybe_text("before"),
        told.text("after"),
        told.texts("paths"),
        told.text("by"),
        told.text("file"),
        told.maybe_integer("undoes"),
        tuple(map(_read_file_change, told.items("also"))),
    )


def write_issue(issue: Issue, *, file: Path | None = None) -> dict[str, Any]:
    """Return *issue*; its place names the file unless it is *file*."""
    from clawstate.json5.path_grammar import format_key_path  # noqa: PLC0415 - only if there is one

    return {
        "path": format_key_path(issue.path),
        "message": issue.message,
        "line": issue.line,
        "column": issue.column,
        "hint": issue.hint,
        **({} if issue.file in {None, file} else {"file": str(issue.file)}),
    }


def write_setting(setting: WrittenSetting, *, root: Path | None = None) -> dict[str, Any]:
    """Return *setting*, its file relative to *root* if it is below it."""
    from clawstate.json5.path_grammar import format_key_path  # noqa: PLC0415 - as above

    return {
        "path": format_key_path(setting.path),
        "value": setting.value,
        "template": setting.template,
        "isSecret": setting.is_secret,
        "file": _relative(str(setting.file), root),
        "line": setting.line,
        "column": setting.column,
    }


def _read_file_change(document: Any) -> FileChange:
    told = Members(document, "change")
    return FileChange(told.text("file"), told.maybe_text("before"), told.text("after"))


def _relative(file: str, root: Path | None) -> str:
    path = Path(file)
    # Relative, so that the output is the same wherever a state lies.
    is_below = root is not None and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if root is not None and is_below else file
