from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.errors import InvalidError
from clawstate.records.rules import is_key

SECONDS = 300 if os.environ.get("CLAWSTATE_FULL") == "1" else 20
SOURCE = Path(clawstate.__file__).parents[1]
NASTY = st.text(st.sampled_from("aA./\\:%~=\0é\u0301K\u212a \n-_"), max_size=8)
NAMES = NASTY | st.text(max_size=20) | st.sampled_from(["..", "/etc/passwd", "con", "x" * 300])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=6), store=st.sampled_from(["file", "sqlite"]))
def test_no_namespace_meets_another_or_escapes(tmp_path_factory, names, store) -> None:
    """Whatever they are called, namespaces keep their marks apart and inside the state."""
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "state"
    with clawstate.open(root, store=store) as state:
        marked = set()
        for name in names:
            space = name.strip("\t\n\v\f\r \u00a0\ufeff\u2028\u2029") or "global"
            if not is_key(space):
                with pytest.raises(InvalidError):
                    state.dedupe.check_and_record("k", name)
                continue
            told = state.dedupe.check_and_record("k", name)
            # What else JavaScript trims is rare enough to leave to the store.
            marked.add(space)
            assert told or not state.dedupe.check_and_record("k", space)
        found = state.dedupe.namespaces()
        assert all(not state.dedupe.check_and_record("k", each) for each in found)
        assert len(found) <= len(marked)
    assert [each.name for each in outside.iterdir()] in ([], ["state"])
    files = [each for each in root.rglob("*") if each.is_file()]
    assert {each.parent.relative_to(root).parts[:1] for each in files} <= {("dedupe",), ("state",)}


@pytest.mark.slow
@pytest.mark.timeout(3 * SECONDS + 60)
def test_fuzzed_names_never_meet_and_never_escape(tmp_path) -> None:
    """No name that a fuzzer finds leaves the state, or shares the file of another."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")

    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz_names.py"), str(SECONDS)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done" in done.stderr
    sys.stdout.write(done.stderr.splitlines()[-1])
