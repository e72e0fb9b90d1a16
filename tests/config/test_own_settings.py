"""The table of our own settings, compared with the schema and with what each OpenClaw accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from setting_samples import samples

from clawstate.config.own_settings import DIFFERENT, OWN, is_own
from clawstate.json5.key_path import format_key_path, get_at, set_at
from clawstate.openclaw.accepted import VERSIONS, Problem, read_accepted

every_version = pytest.mark.parametrize("version", VERSIONS.values())


def refused(version: str) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield what that release refuses of what our schema allows: path, and value there."""
    for path, value in samples():
        tree = set_at({}, path, value)
        for refusal in read_accepted(version).refusals(tree):
            if refusal.problem is not Problem.MISSING:
                yield refusal.path, get_at(tree, refusal.path)


@every_version
def test_what_is_refused_is_in_the_tables(version: str) -> None:
    """Whatever of our schema a release refuses is ours alone, or told as different there."""
    different = DIFFERENT[version]

    unknown = {
        format_key_path(path)
        for path, value in refused(version)
        if not is_own(path, value) and not any(_text(path).startswith(each) for each in different)
    }

    assert unknown == set()


@every_version
def test_the_table_of_differences_holds_nothing_else(version: str) -> None:
    """Each entry is refused in some form by that release."""
    found = {_text(path) for path, _ in refused(version)}

    assert [each for each in DIFFERENT[version] if not any(f.startswith(each) for f in found)] == []


def test_our_own_settings_are_refused_everywhere() -> None:
    """Each entry of the table of our own is refused by every release, and says why it is there."""
    for version in VERSIONS.values():
        found = [path for path, value in refused(version) if is_own(path, value)]
        assert [own for own in OWN if not any(p[: len(own)] == own for p in found)] == []
    assert all(OWN.values())


def _text(path: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in path if isinstance(step, str))
