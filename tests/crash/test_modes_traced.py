from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from harm import Case, copied, need, prepared
from meeting import NOWHERE
from store_victim import DEEDS

from faults import strace
from faults.victim import Victim

pytestmark = [
    pytest.mark.crash,
    pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning"),
]

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
CASES = [
    *[
        Case(engine, operation, before)
        for engine in ("json", "sqlite")
        for operation in ("put", "update", "change_all", "delete")
        for before in ("fresh", "existing")
    ],
    Case("json", "repair", "damaged"),
    *[
        Case("bare", operation, before)
        for operation in ("put", "hold")
        for before in ("fresh", "existing", "locked")
    ],
]
_MADE = re.compile(
    r"(?P<call>open(at)?|creat|mkdir(at)?|mknod(at)?|f?chmod(at2?)?)\("
    r"(?P<rest>.*), (?P<mode>0[0-7]*)(, 0)?\) += [0-9]"
)


@pytest.fixture(scope="module")
def victim():
    need(strace.available())
    with Victim(Path(__file__).with_name("record_victim.py")) as made:
        yield made


def made(points, root):
    """Return each call among *points* that gave a mode to something below *root*, with that."""
    found = []
    for point in points:
        match = _MADE.match(point.text)
        if match and str(root) in point.text:
            found.append((match["call"], match["rest"], int(match["mode"], 8)))
    return found


@pytest.mark.parametrize("umask", ["000", "022", "077"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_public_even_for_an_instant(victim, tmp_path, case, umask) -> None:
    """Each file and directory is born private under any umask, and no later mode is wider."""
    (tmp_path / "template").mkdir()
    template = prepared(victim, tmp_path / "template", case)
    with copied(template, tmp_path / "state") as root:
        points = strace.trace(victim, root, case.engine, case.operation, umask, NOWHERE)

        given = made(points, root)
        for call, rest, mode in given:
            widest = 0o700 if call.startswith("mkdir") else 0o600
            kept = mode if "chmod" in call else mode & ~int(umask, 8)
            assert kept & ~widest == 0, (call, rest, oct(mode))
        born = {(each, stat.S_IMODE(each.lstat().st_mode)) for each in root.rglob("*")}
        assert [each for each, mode in born if mode != (0o700 if each.is_dir() else 0o600)] == []

    # A mode that this test does not see would be no proof.
    assert given or (case.engine, case.operation, case.before) == ("sqlite", "delete", "fresh")


@pytest.fixture(scope="module")
def stores():
    need(strace.available())
    with Victim(Path(__file__).with_name("store_victim.py"), timeout=60) as made:
        yield made


@pytest.mark.parametrize("umask", ["000", "077"] if FULL else ["000"])
@pytest.mark.parametrize("deed", [each.__name__ for each in DEEDS])
@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_no_store_makes_anything_public_even_for_an_instant(
    stores, tmp_path, engine, deed, umask
) -> None:
    """What a store, its keys, locks, spools and databases need is born private, and stays so."""
    given = made(strace.trace(stores, tmp_path, engine, deed, umask), tmp_path)

    public = "/openclaw.json"  # the configuration may be read while it holds no secret (decision 4)
    for call, rest, mode in given:
        widest = 0o700 if call.startswith("mkdir") else 0o600
        kept = mode if "chmod" in call else mode & ~int(umask, 8)
        assert kept & ~widest == 0 or public[1:] in rest, (call, rest, oct(mode))
    born = {each: stat.S_IMODE(each.lstat().st_mode) for each in tmp_path.rglob("*")}
    wide = {
        str(each): oct(mode)
        for each, mode in born.items()
        if mode != (0o700 if each.is_dir() else 0o600) and not str(each).endswith(public)
    }
    assert wide == {}
    assert given


def test_a_wide_mode_is_seen(victim, tmp_path) -> None:
    """A file or directory that is born public, or is made so, is found by what this test reads."""
    script = """
import os, sys
print("WARM")
root = sys.argv[1]
print("READY")
os.mkdir(f"{root}/d", 0o755)
os.close(os.open(f"{root}/f", os.O_CREAT | os.O_WRONLY, 0o644))
os.chmod(f"{root}/f", 0o640)
descriptor = os.open(f"{root}/f", os.O_RDONLY)
os.fchmod(descriptor, 0o604)
"""
    with Victim(script) as public:
        given = made(strace.trace(public, tmp_path), tmp_path)

    assert [mode for _, _, mode in given] == [0o755, 0o644, 0o640, 0o604]
