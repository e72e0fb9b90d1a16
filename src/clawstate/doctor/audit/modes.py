"""Who may read a state: modes, owners, and links that lead out of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from clawstate.config.trust import OTHERS_WRITE
from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.doctor.audit.tree import Entry
from clawstate.doctor.config import is_ours, open_parents, open_settings, parent_remedy
from clawstate.health import Severity
from clawstate.quantities import number_of

_OTHERS = 0o077
# What lies in these is no state: other programs put it there, with the modes they like.
_FOREIGN = ("workspace", "extensions", "node_modules")
_SECRET_FOLDERS = ("credentials", "identity", "state", "agent", ".lastgood", ".quarantine")
_SECRET_FILES = (".env", "auth-profiles.json", "auth.json", "oauth.json", "keys.json")


def survey_modes(survey: Survey, entries: Sequence[Entry]) -> None:
    """Look at modes, owners and links; after the secrets, which say what must be private."""
    if os.name != "posix":
        survey.note("modes and owners were not looked at: this system has others")
        return
    if not entries:
        return
    for path, mode in open_parents(survey.state):
        message = f"others may write it (mode {mode:04o}), and put another state there"
        survey.add("WIDE_MODE", "error", Spot(path), f"{message}; {parent_remedy(path, mode)}")
    open_ones = dict(open_settings(survey.state))
    looking = _Looking(survey, entries[0], set(map(os.path.realpath, open_ones)))
    for entry in entries:
        if not _is_foreign(entry):
            looking.at(entry)
    for path, mode in open_ones.items():
        if os.path.realpath(path) not in looking.told:
            mends = f"chmod {mode & ~OTHERS_WRITE:o} mends it"
            if not is_ours(survey.state, path):
                mends = parent_remedy(path, mode)
            message = f"others may write it (mode {mode:04o}); {mends}"
            survey.add("WIDE_MODE", "error", Spot(path), message)
    for name, count in sorted(looking.wide.items()):
        told = number_of(count, "file or directory", "files and directories")
        message = f"others may read {told} here; chmod -R go= mends it"
        survey.add("WIDE_MODE", "warning", Spot(survey.root / name), message)


class _Looking:
    """What is compared with: the owner and the mode of the state, and where secrets are."""

    def __init__(self, survey: Survey, root: Entry, writable: set[str]) -> None:
        self.wide: Counter[str] = Counter()
        self.told: set[str] = set()
        self._writable = writable
        self._survey = survey
        self._is_open = bool(root.mode & _OTHERS)
        self._owners = {os.geteuid(), root.status.st_uid} if os.geteuid() == 0 else {os.geteuid()}
        self._secret = {home for each in survey.known for home in each.homes}

    def at(self, entry: Entry) -> None:
        """Judge one entry."""
        if entry.is_link:
            _link(self._survey, entry)
            return
        if entry.status.st_uid not in self._owners:
            message = f"belongs to user {entry.status.st_uid}, who can change and read it"
            self._survey.add("FOREIGN_OWNER", "error", Spot(entry.path), message)
        if not entry.mode & _OTHERS:
            return
        is_outer = not entry.path.is_relative_to(self._survey.root)
        real = os.path.realpath(entry.path)
        is_private = not entry.place or entry.path in self._secret or is_secret_place(entry)
        if is_private or is_outer or (self._is_open and real in self._writable):
            self.told.add(real)
            _wide(
                self._survey,
                entry,
                is_reached=self._is_open or is_outer,
                is_writable=real in self._writable,
            )
        elif self._is_open and entry.path != self._survey.state.config.path:
            self.wide[entry.place.partition("/")[0]] += 1


def _is_foreign(entry: Entry) -> bool:
    return any(part.startswith(_FOREIGN) for part in entry.place.split("/"))


def is_secret_place(entry: Entry) -> bool:
    """Tell whether *entry* by its name holds secrets, whatever is in it now."""
    name = entry.place.rpartition("/")[2]
    return not _is_foreign(entry) and name in (
        _SECRET_FOLDERS if entry.is_folder else _SECRET_FILES
    )


def _wide(survey: Survey, entry: Entry, *, is_reached: bool, is_writable: bool) -> None:
    """Report a mode once: the narrower remedy also takes away the right to write."""
    narrow = entry.mode & ~_OTHERS
    what = "read and write" if is_writable else "read"
    message = f"others may {what} it (mode {entry.mode:04o}); chmod {narrow:o} mends it"
    is_bad = is_writable or (is_reached and entry.is_file)
    severity: Severity = "error" if is_bad else "warning"
    survey.add("WIDE_MODE", severity, Spot(entry.path), message)


def _link(survey: Survey, entry: Entry) -> None:
    target = os.path.realpath(entry.path)
    if os.path.commonpath([target, os.path.realpath(survey.root)]) != os.path.realpath(survey.root):
        message = f"a link that leads out of the state, to {target}; it was not followed"
        survey.add("LINK_FOUND", "warning", Spot(entry.path), message)
