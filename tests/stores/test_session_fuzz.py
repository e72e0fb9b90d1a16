from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import clawstate

MEMORY = Path("/dev/shm")  # many times as many inputs as on a disk
FUZZ = Path(__file__).with_name("fuzz_sessions.py")
SECONDS = 300 if os.environ.get("CLAWSTATE_FULL") == "1" else 20


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_bytes_in_the_place_of_sessions_surprise(tmp_path) -> None:
    """Whatever lies in the place of index and profile, only a StateError is ever raised."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, FUZZ, str(SECONDS)],
            env={**os.environ, "PYTHONPATH": str(Path(clawstate.__file__).parents[1])},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr[-4000:]
