"""The laws of the vector snapshot and of its builder, on real files and real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clawstate.errors import (
    ClosedError,
    DimensionError,
    FallbackWarning,
    InvalidError,
    UnavailableError,  # noqa: F401 - the programs below run in this module's names
)
from clawstate.memory.vector_index.build import STEP, WORTH_KEEPING, build_snapshot
from clawstate.memory.vector_index.manifest import IndexIdentity, snapshot_stamp
from clawstate.memory.vector_index.snapshot import open_snapshot, verify_snapshot

SIZE = 32
IDENTITY = IndexIdentity(database_id="db", scope=1, model="static-256", dimensions=SIZE)


def clustered(count, *, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((40, SIZE))
    rows = centres[rng.integers(0, 40, count)] + 0.5 * rng.standard_normal((count, SIZE))
    return rows.astype(np.float32)


def units(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rows_from(vectors, *, size=500, asked=None):
    """Return a source whose key n is row n - 1 of *vectors*."""

    def source(after):
        if asked is not None:
            asked.append(after)
        for start in range(after, len(vectors), size):
            part = vectors[start : start + size]
            yield np.arange(start + 1, start + 1 + len(part), dtype=np.int64), part

    return source


def build(directory, vectors, *, identity=IDENTITY, asked=None, **settings):
    settings = {"upto": len(vectors), "threads": 1, **settings}
    return build_snapshot(directory, identity, rows_from(vectors, asked=asked), **settings)


def published(directory):
    return json.loads((directory / "manifest.json").read_text())["body"]


def graph_file(directory):
    return directory / published(directory)["file"]


def change_byte(path, position, flip=0xFF):
    data = bytearray(path.read_bytes())
    data[position] ^= flip
    path.write_bytes(data)


def recall(snapshot, vectors, queries, limit=10):
    exact = units(queries) @ units(vectors).T
    bars = np.sort(exact, axis=1)[:, -limit]
    found = [snapshot.nearest(query, limit)[0] - 1 for query in queries]
    right = [
        (row[keys] >= bar - 1e-3).sum() for row, keys, bar in zip(exact, found, bars, strict=True)
    ]
    return sum(right) / (limit * len(queries))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "vectors" / "1"


# --- searching -----------------------------------------------------------------------------


def test_nearest_finds_what_an_exact_search_finds(folder):
    """At least 99 of 100 true neighbours are found, and what was kept is given back."""
    vectors, queries = clustered(4000), clustered(100, seed=1)

    assert build(folder, vectors) == 4000

    with open_snapshot(folder, IDENTITY) as snapshot:
        assert (snapshot.upto, snapshot.count) == (4000, 4000)
        assert recall(snapshot, vectors, queries) >= 0.99
        kept = snapshot.vectors([1, 77, 4000])
        np.testing.assert_allclose(kept, units(vectors)[[0, 76, 3999]], atol=1e-3)


def test_a_machine_with_many_cores_builds_no_worse_a_graph(folder):
    """However many threads may build it, no neighbourhood of a snapshot is out of reach."""
    vectors, queries = clustered(2000), clustered(100, seed=2)

    build(folder, vectors, threads=64)

    with open_snapshot(folder, IDENTITY) as snapshot:
        assert recall(snapshot, vectors, queries) >= 0.99


def test_similarities_are_cosines_best_first(folder):
    """Similarities are cosines whatever the lengths of the vectors and of the query."""
    vectors = clustered(300) * 7
    build(folder, vectors)

    with open_snapshot(folder, IDENTITY) as snapshot:
        keys, similarities = snapshot.nearest(vectors[5] * 3, 20)

    assert keys.dtype == np.int64
    assert similarities.dtype == np.float32
    assert keys[0] == 6
    assert (np.diff(similarities) <= 0).all()
    np.testing.assert_allclose(
        similarities, (units(vectors) @ units(vectors)[5])[keys - 1], atol=2e-3
    )


def test_no_more_is_returned_than_there_is(folder):
    """A limit above the number of vectors gives all of them, a limit below 1 none."""
    vectors = clustered(30)
    build(folder, vectors)

    with open_snapshot(folder, IDENTITY) as snapshot:
        assert sorted(snapshot.nearest(vectors[0], 1000)[0]) == list(range(1, 31))
        assert len(snapshot.nearest(vectors[0], 0)[0]) == 0


def test_an_empty_text_has_no_neighbours_and_is_none(folder):
    """A row of zeros or of NaN is left out, and a query of zeros finds nothing."""
    vectors = clustered(50)
    vectors[7], vectors[8] = 0, np.nan

    assert build(folder, vectors) == 50

    with open_snapshot(folder, IDENTITY) as snapshot:
        assert snapshot.count == 48
        assert not {8, 9} & set(snapshot.nearest(vectors[0], 50)[0].tolist())
        assert np.isnan(snapshot.vectors([8, 9, 51])).all()
        for query in (np.zeros(SIZE, np.float32), np.full(SIZE, np.nan, np.float32)):
            assert len(snapshot.nearest(query, 5)[0]) == 0


def test_a_query_of_another_length_is_refused(folder):
    """A query with the wrong number of dimensions raises `DimensionError`."""
    build(folder, clustered(20))

    with open_snapshot(folder, IDENTITY) as snapshot, pytest.raises(DimensionError):
        snapshot.nearest(np.ones(SIZE + 1, np.float32), 5)


def test_a_closed_snapshot_says_so(folder):
    """After `close` a search raises `ClosedError`."""
    vectors = clustered(20)
    build(folder, vectors)
    snapshot = open_snapshot(folder, IDENTITY)

    snapshot.close()

    with pytest.raises(ClosedError):
        snapshot.nearest(vectors[0], 5)


def test_concurrent_searches_agree_with_single_ones(folder):
    """Four threads that search one snapshot get what one thread gets."""
    vectors, queries = clustered(2000), clustered(400, seed=2)
    build(folder, vectors)
    with open_snapshot(folder, IDENTITY) as snapshot:
        alone = [snapshot.nearest(query, 10)[0].tolist() for query in queries]
        answers = [[] for _ in range(4)]

        def search(part):
            answers[part] += [snapshot.nearest(query, 10)[0].tolist() for query in queries[part::4]]

        threads = [threading.Thread(target=search, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert answers == [alone[part::4] for part in range(4)]


def test_closing_waits_for_the_searches_under_way(folder):
    """A snapshot closed and replaced while threads search it ends in answers or `ClosedError`."""
    vectors = clustered(1000)
    build(folder, vectors)
    snapshot = open_snapshot(folder, IDENTITY)
    endings, begun = [], threading.Barrier(4)

    def search():
        snapshot.nearest(vectors[0], 10)
        begun.wait()
        try:
            while True:
                snapshot.nearest(vectors[0], 10)
        except ClosedError:
            endings.append("closed")

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    snapshot.close()
    build(folder, vectors, extend=False)
    for thread in threads:
        thread.join()

    assert endings == ["closed"] * 3


# --- building ------------------------------------------------------------------------------


def test_an_extension_asks_only_for_the_new_keys(folder):
    """A second build starts above the keys covered, and finds old and new records."""
    vectors = clustered(3000)
    asked = []
    build(folder, vectors[:2000], asked=asked)

    assert build(folder, vectors, asked=asked) == 3000

    assert asked == [0, 2000]
    with open_snapshot(folder, IDENTITY) as snapshot:
        assert snapshot.count == 3000
        assert recall(snapshot, vectors, clustered(100, seed=1)) >= 0.99


def test_nothing_new_keeps_the_graph_file(folder):
    """A build without new vectors moves only the manifest forward."""
    vectors = clustered(100)
    build(folder, vectors)
    before = graph_file(folder)

    assert build(folder, vectors, upto=500) == 500

    assert graph_file(folder) == before
    assert open_snapshot(folder, IDENTITY).upto == 500
    assert verify_snapshot(folder, IDENTITY) == []


def test_an_older_upto_takes_nothing_back(folder):
    """A build that reaches less far than the published snapshot leaves it."""
    vectors = clustered(100)
    build(folder, vectors)

    assert build(folder, vectors, upto=50) == 100

    assert open_snapshot(folder, IDENTITY).upto == 100


@pytest.mark.parametrize(("dead", "starts"), [(100, [0, 1000]), (200, [0, 0])])
def test_many_deleted_keys_make_it_anew(folder, dead, starts):
    """A snapshot is extended while few of its keys are deleted, and built anew when many are."""
    vectors = clustered(1100)
    asked = []
    build(folder, vectors[:1000], asked=asked)

    build(folder, vectors, asked=asked, is_live=lambda keys: keys > dead)

    assert asked == starts


def test_extend_false_builds_anew(folder):
    """Without *extend* every vector is asked for again."""
    vectors = clustered(100)
    asked = []
    build(folder, vectors, asked=asked)

    build(folder, vectors, asked=asked, extend=False)

    assert asked == [0, 0]


def test_a_scope_without_vectors_has_no_snapshot(folder):
    """When all records are gone, so are their vectors on disk."""
    build(folder, clustered(100))

    left = build_snapshot(
        folder, IDENTITY, lambda _: [], upto=100, is_live=lambda keys: np.zeros(len(keys), bool)
    )

    assert left == 0
    assert [path.name for path in folder.iterdir()] == ["build.lock"]
    assert open_snapshot(folder, IDENTITY) is None


@pytest.mark.parametrize("keys", [[3, 2], [2, 2], [0, 1], [9, 11]])
def test_keys_out_of_order_are_refused(folder, keys):
    """Keys that do not increase, or lie outside of what was asked for, publish nothing."""
    batch = np.array(keys, np.int64), clustered(2)

    with pytest.raises(InvalidError):
        build_snapshot(folder, IDENTITY, lambda _: [batch], upto=10)

    assert open_snapshot(folder, IDENTITY) is None


def test_vectors_of_another_length_are_refused(folder):
    """Vectors of another embedder's length raise `DimensionError`."""
    batch = np.array([1], np.int64), np.ones((1, SIZE + 1), np.float32)

    with pytest.raises(DimensionError):
        build_snapshot(folder, IDENTITY, lambda _: [batch], upto=1)


def test_float16_vectors_are_taken(folder):
    """A source may yield float16."""
    vectors = clustered(200).astype(np.float16)
    build(folder, vectors)

    with open_snapshot(folder, IDENTITY) as snapshot:
        assert snapshot.nearest(vectors[3].astype(np.float32), 1)[0].tolist() == [4]


def test_progress_counts_up_to_the_total(folder):
    """Progress rises to the total, step by step."""
    seen = []

    build(folder, clustered(2500), total=2500, progress=lambda done, of: seen.append((done, of)))

    assert seen[-1] == (2500, 2500)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert {of for _, of in seen} == {2500}


def stop_after(steps):
    left = iter([False] * steps)
    return lambda: next(left, True)


def test_a_cancelled_build_publishes_its_prefix(folder):
    """A build that is cancelled after much work publishes exactly the keys that it has."""
    vectors = clustered(3 * STEP)

    reached = build(folder, vectors, cancelled=stop_after(6))

    assert reached == 3000 >= WORTH_KEEPING
    with open_snapshot(folder, IDENTITY) as snapshot:
        assert (snapshot.upto, snapshot.count) == (3000, 3000)
    asked = []
    assert build(folder, vectors, asked=asked) == len(vectors)
    assert asked == [3000]


def test_a_build_cancelled_early_changes_nothing(folder):
    """A build that is cancelled after little work leaves what was published."""
    vectors = clustered(3000)
    build(folder, vectors[:200])
    before = snapshot_stamp(folder)

    assert build(folder, vectors, cancelled=stop_after(2)) == 200

    assert snapshot_stamp(folder) == before


def test_a_part_built_anew_never_replaces_a_whole(folder):
    """A build anew that is cancelled leaves a snapshot of the same identity, however small."""
    vectors = clustered(3500)
    build(folder, vectors)
    before = snapshot_stamp(folder)

    assert build(folder, vectors, extend=False, cancelled=stop_after(6)) == 3500

    assert snapshot_stamp(folder) == before


def test_a_source_that_fails_changes_nothing(folder):
    """An error in the source reaches the caller and leaves the published snapshot alone."""
    build(folder, clustered(100))
    before = sorted(folder.iterdir())

    def source(after):
        yield np.array([after + 1], np.int64), clustered(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_snapshot(folder, IDENTITY, source, upto=200)

    assert sorted(folder.iterdir()) == before


def test_what_dead_builders_left_is_swept(folder):
    """Files that no manifest names go with the next build; foreign files stay."""
    build(folder, clustered(100))
    for name in ("vectors-9-dead.usearch", "manifest-dead.tmp", "notes.txt"):
        (folder / name).write_text("left over")

    build(folder, clustered(200))

    names = {path.name for path in folder.iterdir()}
    assert names == {"build.lock", "manifest.json", "notes.txt", graph_file(folder).name}


def test_one_builder_at_a_time(folder):
    """While one builder works, another gets `None` at once and harms nothing."""
    vectors = clustered(300)
    second = []

    def source(after):
        second.append(build(folder, vectors))
        yield from rows_from(vectors)(after)

    assert build_snapshot(folder, IDENTITY, source, upto=300) == 300

    assert second == [None]
    assert verify_snapshot(folder, IDENTITY) == []


def test_everything_is_private_under_any_umask(folder):
    """Directories are 0700 and files 0600, even when the umask forbids nothing."""
    modes = set()

    def look(_done, _total):
        modes.update(stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir())

    before = os.umask(0)
    try:
        build(folder, clustered(100), progress=look)
        build(folder, clustered(300), progress=look)
        look(0, 0)
    finally:
        os.umask(before)

    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}


def test_a_full_disk_is_reported_and_leaves_the_old_snapshot(folder):
    """When the new file cannot be written whole, the old snapshot stays and no part is left."""
    build(folder, clustered(100))
    before = sorted(folder.iterdir())
    program = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from test_vector_index import *
try:
    build(Path({str(folder)!r}), clustered(3000))
except UnavailableError as error:
    print("refused")
"""

    assert run(program).stdout == "refused\n"

    assert sorted(folder.iterdir()) == before
    assert verify_snapshot(folder, IDENTITY) == []


# --- opening -------------------------------------------------------------------------------


def test_a_missing_snapshot_is_none_in_silence(folder):
    """Nothing published is no damage: `None`, no warning, no complaint."""
    assert open_snapshot(folder, IDENTITY) is None
    assert snapshot_stamp(folder) is None
    assert verify_snapshot(folder, IDENTITY) == []


@pytest.mark.parametrize(
    "change", [{"database_id": "x"}, {"scope": 2}, {"model": "other"}, {"dimensions": SIZE * 2}]
)
def test_another_identity_is_ignored_and_replaced(folder, change):
    """A snapshot of another database, scope, model or length is never searched."""
    other = replace(IDENTITY, **change)
    build(folder, clustered(50))

    assert open_snapshot(folder, other) is None
    assert len(verify_snapshot(folder, other)) == 1

    asked = []
    vectors = np.ones((3, other.dimensions), np.float32)
    build(folder, vectors, identity=other, asked=asked)
    assert asked == [0]
    assert open_snapshot(folder, other).count == 3


def test_a_reader_keeps_its_snapshot_and_can_tell_of_a_newer_one(folder):
    """A reader answers from its file after that was replaced, and sees the new one reopened."""
    vectors = clustered(600)
    build(folder, vectors[:300])
    old = open_snapshot(folder, IDENTITY)
    expected = old.nearest(vectors[0], 10)[0].tolist()
    assert old.is_current()

    build(folder, vectors)

    assert not old.is_current()
    assert old.nearest(vectors[0], 10)[0].tolist() == expected
    new = open_snapshot(folder, IDENTITY)
    assert (old.upto, new.upto) == (300, 600)
    assert new.is_current()


def test_opening_succeeds_while_builders_publish(folder):
    """A reader that opens again and again meets a snapshot each time, never a warning."""
    vectors = clustered(400)
    build(folder, vectors[:10])
    reached = []
    publishing = threading.Thread(
        target=lambda: [build(folder, vectors[:end]) for end in range(20, 400, 5)]
    )

    publishing.start()
    while publishing.is_alive():
        with open_snapshot(folder, IDENTITY) as snapshot:
            reached.append(snapshot.upto)
    publishing.join()

    assert reached == sorted(reached)


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def lose(path):
    path.unlink()


def empty(path):
    os.truncate(path, 0)


def garbage(path):
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def directory_instead(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [truncate, lose, empty, garbage, directory_instead])
def test_a_damaged_graph_file_is_never_searched(folder, damage):
    """A graph file that is cut, missing, empty or garbage gives `None` and one warning."""
    build(folder, clustered(300))
    damage(graph_file(folder))

    with pytest.warns(FallbackWarning, match="rebuild the vector index"):
        assert open_snapshot(folder, IDENTITY) is None

    assert len(verify_snapshot(folder, IDENTITY)) == 1


@pytest.mark.parametrize("damage", [truncate, empty, garbage, directory_instead])
def test_a_damaged_manifest_is_never_believed(folder, damage):
    """A manifest that is cut, empty or garbage gives `None` and one warning."""
    build(folder, clustered(50))
    damage(folder / "manifest.json")

    with pytest.warns(FallbackWarning, match=r"manifest\.json"):
        assert open_snapshot(folder, IDENTITY) is None

    assert len(verify_snapshot(folder, IDENTITY)) == 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_opening_in_vain_touches_no_descriptor(folder):
    """A snapshot that cannot be opened leaves the process's descriptors as they were."""
    from open_files import open_below  # noqa: PLC0415 - the programs below do not find it

    build(folder, clustered(50))
    graph_file(folder).unlink()

    with pytest.warns(FallbackWarning):
        assert open_snapshot(folder, IDENTITY) is None

    assert open_below(folder) == []


def test_any_changed_byte_of_the_manifest_is_noticed(folder):
    """Whatever byte of the manifest changes, the snapshot is the same or is not used."""
    build(folder, clustered(50))
    manifest = folder / "manifest.json"
    whole = manifest.read_bytes()
    expected = published(folder)

    for position in range(len(whole)):
        change_byte(manifest, position, flip=0x01)
        try:
            opened = open_snapshot(folder, IDENTITY)
        except FallbackWarning:  # warnings are errors here
            opened = None
        assert opened is None or (opened.upto, opened.count) == (50, 50)
        manifest.write_bytes(whole)

    assert published(folder) == expected


def test_a_manifest_of_a_newer_format_is_passed_over(folder):
    """A snapshot of a later clawstate is neither used nor called damaged, and is built anew."""
    build(folder, clustered(50))
    program = f"""
from test_vector_index import *
from clawstate.memory.vector_index import manifest
manifest.MANIFEST_FORMAT = 2
build(Path({str(folder)!r}), clustered(60))
"""
    run(program)

    assert open_snapshot(folder, IDENTITY) is None

    assert build(folder, clustered(70)) == 70


def test_a_damaged_snapshot_is_built_anew(folder):
    """The next build repairs a snapshot instead of extending damage."""
    vectors = clustered(300)
    build(folder, vectors)
    change_byte(graph_file(folder), 5000)
    assert len(verify_snapshot(folder, IDENTITY)) == 1
    asked = []

    build(folder, vectors, asked=asked)

    assert asked == [0]
    assert verify_snapshot(folder, IDENTITY) == []


FLIPS = """
import warnings
from test_vector_index import *
warnings.simplefilter("ignore")
folder, seed = Path({folder!r}), {seed}
path = graph_file(folder)
whole = path.read_bytes()
start = 8 + published(folder)["count"] * SIZE * 2
rng = random.Random(seed)
refused = 0
for _ in range(150):
    position = rng.randrange(start, len(whole)) if {links} else rng.randrange(8, start)
    change_byte(path, position, flip=1 << rng.randrange(8))
    snapshot = open_snapshot(folder, IDENTITY)
    refused += snapshot is None
    assert verify_snapshot(folder, IDENTITY)
    if snapshot:
        for query in clustered(10):
            snapshot.nearest(query, 50)
    path.write_bytes(whole)
print(refused)
"""


def test_a_changed_link_never_reaches_a_search(folder):
    """A changed byte outside of the vectors, which could crash a search, closes the file to it."""
    build(folder, clustered(300))

    assert run(FLIPS.format(folder=str(folder), seed=1, links=True)).stdout == "150\n"


def test_a_changed_vector_harms_no_search(folder):
    """A changed byte of a vector may misplace that record, and only `verify_snapshot` tells."""
    build(folder, clustered(300))

    assert run(FLIPS.format(folder=str(folder), seed=2, links=False)).stdout == "0\n"


# --- dying ---------------------------------------------------------------------------------


def environment():
    here = Path(__file__).resolve()
    paths = f"{here.parents[2] / 'src'}:{here.parent}:{here.parents[1]}"
    return {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}


def run(program):
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


ENDLESS = """
from test_vector_index import *
folder = Path({folder!r})
vectors = clustered(1500)
print("ready", flush=True)
while True:
    for end in range(100, 1501, 100):
        build(folder, vectors[:end], extend=end > 100)
        print(end, flush=True)
"""


@pytest.mark.crash
def test_a_killed_builder_leaves_the_old_or_the_new_snapshot(folder):
    """Wherever a builder is killed, what is published is whole, and the next builder goes on."""
    vectors = clustered(1500)
    build(folder, vectors[:100])
    rng = random.Random(5)

    for _ in range(25):
        victim = subprocess.Popen(
            [sys.executable, "-c", ENDLESS.format(folder=str(folder))],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        for _ in range(rng.randrange(1, 8)):
            victim.stdout.readline()
        try:
            victim.wait(rng.random() * 0.05)
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
        victim.communicate()

        assert verify_snapshot(folder, IDENTITY) == []
        with open_snapshot(folder, IDENTITY) as snapshot:
            assert snapshot.count == snapshot.upto
            assert snapshot.nearest(vectors[7], 1)[0].tolist() == [8]

    assert build(folder, vectors) == 1500
    assert len(list(folder.iterdir())) == 3


@pytest.mark.crash
@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="strace is not installed")
@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename", "unlink"])
def test_a_builder_killed_at_a_system_call_leaves_a_whole_snapshot(folder, call):
    """A kill at each of the last calls of a kind leaves the snapshot before or after."""
    vectors = clustered(400)
    script = f"from test_vector_index import *\nbuild(Path({str(folder)!r}), clustered(400))"
    build(folder, vectors[:200])
    command = ["strace", "-f", "-qq", "-c", "-S", "calls", "-e", f"trace={call}"]
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    counted = traced(command, script)
    calls = next((int(row.split()[3]) for row in counted if row.split()[-1:] == [call]), 0)

    assert calls > 0
    for number in range(max(1, calls - 11), calls + 1):
        restore(folder, kept)
        inject = f"inject={call}:signal=KILL:when={number}"
        traced(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject], script
        )
        assert verify_snapshot(folder, IDENTITY) == []
        assert open_snapshot(folder, IDENTITY).upto in {200, 400}
        assert build(folder, vectors) == 400


def traced(command, script):
    done = subprocess.run(
        [*command, sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr.splitlines()


def restore(folder, kept):
    for path in folder.iterdir():
        path.unlink()
    for name, data in kept.items():
        (folder / name).write_bytes(data)
