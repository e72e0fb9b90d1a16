"""What people install: the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Programs, devices and libraries that the fault tools drive.
TRACED = re.compile(
    rb"\b(strace|fusermount3?|mfusepy|loop-control|unshare|faketime|mkfs|umount2)\b"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel as a release does, without a network, and open it."""
    made = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(made.glob("*.whl"))) as opened:
        yield opened


def test_the_wheel_holds_the_package_and_its_suites(wheel) -> None:
    """Every file of the package is in the wheel, its types and public suites included."""
    there = {each.filename for each in wheel.infolist()}
    source = {each.relative_to(ROOT / "src").as_posix() for each in ROOT.glob("src/**/*.py")}

    assert source | {"clawstate/py.typed"} <= there
    assert "clawstate/testing/collection_suite.py" in there


def test_the_wheel_holds_the_pages_as_they_are(wheel) -> None:
    """The web UI is in the wheel byte by byte, with the licences of what others made."""
    pages = ROOT / "src" / "clawstate" / "gateway" / "ui" / "static"
    files = [each for each in pages.rglob("*") if each.is_file()]

    shipped = {each: wheel.read(each.relative_to(ROOT / "src").as_posix()) for each in files}

    assert {each: each.read_bytes() for each in files} == shipped
    assert len([each for each in files if each.name.startswith("LICENSE.")]) == 5


def test_the_wheel_holds_no_fault_tool(wheel) -> None:
    """Nothing that is installed mounts, traces, or makes a file system fail."""
    names = [each for each in wheel.namelist() if each.endswith(".py")]
    assert names
    assert [each for each in names if TRACED.search(wheel.read(each))] == []
    assert not [each for each in names if "faults/" in each]
