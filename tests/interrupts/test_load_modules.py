from __future__ import annotations

import subprocess
import sys

import pytest

from clawstate.errors import UnavailableError
from clawstate.interrupts import load_modules


def test_a_module_of_ours_that_is_not_there_is_a_typed_error() -> None:
    """A part that the disk does not give is told as such, as any other file would be."""
    with pytest.raises(UnavailableError, match="cannot be loaded") as caught:
        load_modules("clawstate.state.no_such_part")

    assert "clawstate.state.no_such_part" in str(caught.value)


def test_a_library_that_is_not_installed_is_no_fault_of_the_disk() -> None:
    """What is missing of others stays what Python says: the caller knows which extra it needs."""
    with pytest.raises(ModuleNotFoundError):
        load_modules("no_such_library_of_anybody")


def test_a_part_that_failed_once_can_be_had_later(tmp_path) -> None:
    """What could not be loaded is tried again the next time."""
    code = (
        "import sys\n"
        "from clawstate.interrupts import load_modules\n"
        "try:\n    load_modules('late_library')\n"
        "except ModuleNotFoundError:\n    pass\n"
        f"open({str(tmp_path / 'late_library.py')!r}, 'w').close()\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "load_modules('late_library')\n"
        "print('late_library' in sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "True\n", done.stderr
