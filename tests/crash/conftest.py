from __future__ import annotations

import sys

import pytest
from harm import SEED, need, prepared

from faults import strace
from faults.victim import Victim


@pytest.fixture(autouse=True)
def shown_seed():
    """Print the seed by which a run can be repeated."""
    sys.stdout.write(f"seed {SEED}\n")


@pytest.fixture(scope="module")
def victim(request):
    """Run the `SCRIPT` of the module again and again, to be harmed."""
    need(strace.available())
    with Victim(request.module.SCRIPT, timeout=60) as made:
        yield made


@pytest.fixture
def template(victim, tmp_path, case):
    """Return a directory as it is before the operation."""
    made = tmp_path / "template"
    made.mkdir()
    return prepared(victim, made, case)
