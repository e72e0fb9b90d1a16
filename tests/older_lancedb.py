"""
An older release of LanceDB, in a virtual environment of its own, beside the one that is installed.

`python tests/older_lancedb.py` makes the environment, with pip alone; `make test-full` does that
first. What works on a table there is our own process, so both sides are what people run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RELEASE = "0.34.0"
ROOT = Path(__file__).parents[1]
HOME = Path(
    os.environ.get("CLAWSTATE_OLDER_LANCEDB_DIR")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clawstate-older-lancedb"
)
PYTHON = HOME / "bin" / "python"
_PATH = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})"
WORKER = (
    *(str(PYTHON), "-P", "-c"),
    f"{_PATH}; from clawstate.memory.backends.lancedb.worker import main; main()",
)
"""The command of the process that works on tables with that release."""


def install() -> None:
    """Make the environment, if it is not there; pip alone, from the index that pip uses."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", HOME], check=True)
    probe = [PYTHON, "-c", f"import lancedb; assert lancedb.__version__ == {RELEASE!r}"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        # What clawstate needs comes along; the tests run the code of this tree.
        pip = [sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet"]
        subprocess.run([*pip, f"lancedb=={RELEASE}", ROOT], check=True)


def reason_to_skip() -> str | None:
    """Return why there is no older release, or `None`."""
    if PYTHON.exists():
        return None
    return f"no LanceDB {RELEASE} in {HOME}: run 'python tests/older_lancedb.py'"


if __name__ == "__main__":
    install()
