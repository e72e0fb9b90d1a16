"""What tries every verb and method beside a real OpenClaw knows all of them."""

from __future__ import annotations

import library_calls
import verbs

import clawstate


def test_every_verb_is_known() -> None:
    """A new verb is tried beside OpenClaw, or is noted as one that only reads."""
    missing = verbs.unknown()

    assert not missing, f"add to tests/interop/verbs.py what these are run with: {missing}"


def test_every_method_is_known(tmp_path) -> None:
    """A new method of a store is tried beside OpenClaw, or is noted as one that only reads."""
    with clawstate.open(tmp_path / "state") as state:
        missing = library_calls.unknown(state)

    assert not missing, f"add to tests/interop/library_calls.py how to call these: {missing}"
