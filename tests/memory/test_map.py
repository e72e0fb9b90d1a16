"""The map of a memory: who lies near whom, how it is labelled, and what is left of what went."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from vectors_at_hand import clustered, units

import clawstate
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.map import index as map_index
from clawstate.memory.map import laying
from clawstate.memory.map.cached_places import CachedPlaces
from clawstate.memory.map.computing import Projection, place_all
from clawstate.memory.map.laying import StoppedError, lay_out
from clawstate.memory.map.words import labels, words_of
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder

SUBJECTS = {
    "tea": "green tea kettle leaves cup",
    "bikes": "bicycle wheel chain saddle brakes",
    "stars": "telescope planet orbit comet night",
}
NOWHERE = np.full((2, 2), np.nan, np.float32)


def kept_share(vectors, places, count=10):
    """Return which share of the nearest in space are the nearest on the plane."""
    far = np.linalg.norm(places[:, None] - places[None], axis=2)
    near = vectors @ vectors.T
    for matrix, last in ((far, np.inf), (near, -np.inf)):
        np.fill_diagonal(matrix, last)
    wanted = np.argsort(-near, axis=1)[:, :count]
    found = np.argsort(far, axis=1)[:, :count]
    return np.mean([len({*a} & {*b}) / count for a, b in zip(wanted, found, strict=True)])


def nowhere(count):
    return np.full((count, 2), np.nan, np.float32)


def commands_of_children():
    """Return the commands of the processes that this one started and that still run."""
    own = Path("/proc/self/task").glob("*/children")
    numbers = [number for each in own for number in each.read_text().split()]
    return [Path(f"/proc/{each}/cmdline").read_bytes() for each in numbers]


def rows_of(data):
    return [data[start : start + 24] for start in range(32, len(data), 24)]


@pytest.fixture
def memory():
    """Return a memory in this process, of three subjects."""
    made = Memory(InMemoryMemory(), embedder=HashEmbedder())
    made.add_many(
        {"text": f"{words} {number}", "tags": [subject], "id": f"{subject}{number}"}
        for subject, words in SUBJECTS.items()
        for number in range(20)
    )
    yield made
    made.close()


def test_neighbours_stay_neighbours() -> None:
    """Of the ten nearest records four times as many are near on the map as along two directions."""
    vectors = units(clustered(np.random.default_rng(1), 900, themes=40))

    places = place_all(vectors, nowhere(900))

    assert np.abs(places).max() <= 1
    assert kept_share(vectors, places) > 4 * kept_share(
        vectors, Projection(vectors).flatten(vectors)
    )


def test_one_memory_has_one_map() -> None:
    """The same vectors come to lie in the same places."""
    vectors = units(clustered(np.random.default_rng(2), 300))

    assert np.array_equal(place_all(vectors, nowhere(300)), place_all(vectors, nowhere(300)))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_few_or_equal_records_have_places(count: int) -> None:
    """However few or equal the vectors are, each has a place of its own within -1 and 1."""
    vectors = np.ones((count, 8), np.float32)

    places = place_all(vectors, nowhere(count))

    assert np.isfinite(places).all()
    assert np.abs(places).max(initial=0) <= 1
    assert len({*map(tuple, places.tolist())}) == count


def test_a_layout_begins_where_records_lay() -> None:
    """Laid out again among some more, records lie about where they lay."""
    chance = np.random.default_rng(3)
    vectors = units(clustered(chance, 700, themes=8))
    before = place_all(vectors[:600], nowhere(600))

    again = place_all(vectors, np.vstack([before, nowhere(100)]))

    apart = np.corrcoef(before.T.ravel(), again[:600].T.ravel())[0, 1]
    assert apart > 0.8


def test_what_is_new_is_placed_among_its_like_and_moves_nothing(memory: Memory) -> None:
    """A new record lies by those that it is like, and all others where they lay."""
    before = memory.map()

    new = memory.add(f"{SUBJECTS['stars']} 99")
    after = memory.map()

    old = {name: tuple(place) for name, place in zip(before.ids, before.positions, strict=True)}
    now = {name: tuple(place) for name, place in zip(after.ids, after.positions, strict=True)}
    assert {name: now[name] for name in old} == old
    near = sorted(old, key=lambda name: np.hypot(*np.subtract(now[name], now[new])))[:5]
    assert all(name.startswith("stars") for name in near)


def test_a_filter_shows_a_part_of_the_same_map(memory: Memory) -> None:
    """What is demanded leaves records out, and moves none."""
    whole, part = memory.map(), memory.map(tags=["tea"])

    where = dict(zip(whole.ids, whole.positions.tolist(), strict=True))
    assert {*part.ids} == {f"tea{number}" for number in range(20)}
    assert part.positions.tolist() == [where[each] for each in part.ids]
    assert part.tags.names == ("", "tea")


def test_records_without_vectors_lie_below(memory: Memory) -> None:
    """A record that has no meaning yet, or none at all, is on the map, below it."""
    without = Memory(InMemoryMemory(), by_meaning=False)
    without.add("tea")

    found = without.map()
    empty = Memory(InMemoryMemory(), embedder=HashEmbedder()).map()

    assert (len(found), found.has_place.tolist()) == (1, [False])
    assert found.positions[0, 1] < -1
    assert (len(empty), empty.regions, empty.stage) == (0, (), "settled")


def test_labels_tell_regions_apart(memory: Memory) -> None:
    """Regions are named by words that their records have and others lack."""
    words = {word for region in memory.map().regions for word in region.words}

    assert words & {*SUBJECTS["tea"].split()}
    assert words & {*SUBJECTS["stars"].split()}
    assert words <= {word for line in SUBJECTS.values() for word in line.split()}


@pytest.mark.parametrize(
    ("texts", "others", "wanted"),
    [
        (["京都でお茶を飲む", "京都の寺", "京都に行く"], ["東京で働く", "東京の駅"], "京都"),
        (["कश्मीर की चाय", "कश्मीर में बर्फ"], ["दिल्ली की सड़क", "दिल्ली में काम"], "कश्मीर"),
        (["чай в Москве", "чай утром"], ["книга в Москве", "книга вечером"], "чай"),
        (["서울에서 회의", "서울은 크다"], ["부산에서 바다", "부산은 덥다"], "서울"),
        (["شاي أخضر", "شاي أسود"], ["كتاب جديد", "كتاب قديم"], "شاي"),
        (["ชาเขียวร้อน", "ชาเขียวเย็น"], ["หนังสือใหม่", "หนังสือเก่า"], "ชาเขียว"),
    ],
)
def test_labels_speak_all_scripts(texts: list[str], others: list[str], wanted: str) -> None:
    """Words are found in scripts with and without spaces, with their marks."""
    first, _ = labels([[*map(words_of, texts)], [*map(words_of, others)]])

    assert any(wanted in each for each in first)


def test_hostile_texts_give_harmless_labels() -> None:
    """Markup, escapes and marks of direction are in no label; nor is what one text of many says."""
    hostile = "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202egnp.exe\u202c kettle " * 3
    alone = "sk0proj0123 singleton"

    (found,) = labels([[words_of(hostile)] * 4 + [words_of(alone)]])

    assert all(word.isalpha() for word in found)
    assert "singleton" not in found


def test_places_outlast_the_program(tmp_path) -> None:
    """A program that opens the state again has the same map at once; the file is private."""
    with clawstate.open(tmp_path / "s", embedder=HashEmbedder()) as state:
        state.memory.add_many(
            {"text": f"{words} {n}"} for words in SUBJECTS.values() for n in (1, 2, 3)
        )
        first = state.memory.map()

    with clawstate.open(tmp_path / "s", embedder=HashEmbedder()) as state:
        again = state.memory.map(wait=False)

    assert again.stage == "settled"
    assert np.array_equal(first.positions, again.positions)
    mode = (tmp_path / "s" / "memory" / "map.places").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("how", ["delete", "forget", "forget_source", "forget_matching"])
def test_what_is_forgotten_leaves_the_file_at_once(tmp_path, how: str) -> None:
    """However a record is forgotten, its row is zeros, and labels know none of its words."""
    path = tmp_path / "s" / "memory" / "map.places"
    with clawstate.open(tmp_path / "s", embedder=HashEmbedder()) as state:
        memory = state.memory
        memory.add_many({"text": f"{words} {n}"} for words in SUBJECTS.values() for n in (1, 2))
        gone = [memory.add("zyzzyva secret", source="s.md", tags=["x"]) for _ in range(4)]
        assert any("zyzzyva" in each.words for each in memory.map().regions)
        before = path.read_bytes()
        {
            "delete": lambda: memory.delete_many(gone),
            "forget": lambda: memory.forget(gone, compact=False),
            "forget_source": lambda: memory.forget_source("s.md"),
            "forget_matching": lambda: memory.forget_matching(tags=["x"]),
        }[how]()

        after = path.read_bytes()
        regions = memory.map().regions

    assert len(after) == len(before)
    assert [row for row in rows_of(after) if not any(row)] == [bytes(24)] * 4
    assert {*rows_of(after)} - {bytes(24)} < {*rows_of(before)}
    assert not any("zyzzyva" in each.words for each in regions)
    assert b"zyzzyva" not in before + after


def test_damaged_places_are_as_none(tmp_path) -> None:
    """A file that is cut off, or is none of ours, costs the map nothing but its time."""
    places = CachedPlaces(tmp_path / "map.places")
    places.write(["a"], [b"1"], np.zeros((1, 2), np.float32), "e")

    whole = (tmp_path / "map.places").read_bytes()
    for data in (b"", b"nonsense", whole[:20], whole[:40], whole[:32] + b"\xff" * 24):
        (tmp_path / "map.places").write_bytes(data)
        assert places.read({"a": b"1"}, "e") == {}
        places.forget(["a"])
        places.keep_only([])


def test_other_vectors_make_another_layout(tmp_path) -> None:
    """After the embedder was changed the map is laid out anew, beginning where records lay."""
    with clawstate.open(tmp_path / "s", embedder=HashEmbedder()) as state:
        state.memory.add_many(
            {"text": f"{words} {n}"} for words in SUBJECTS.values() for n in (1, 2, 3)
        )
        state.memory.map()
        state.memory.reembed(HashEmbedder(24))

        assert state.memory._map.needs_layout()
        state.memory.map()
        assert not state.memory._map.needs_layout()


def test_who_stops_a_layout_has_the_map_of_before(memory: Memory) -> None:
    """A layout that is cancelled leaves the first view, and the next call lays it out."""
    stopped = memory.map(cancelled=lambda: True)
    told = []

    whole = memory.map(progress=lambda done, of: told.append((done, of)))

    assert (stopped.stage, whole.stage) == ("projected", "settled")
    assert told[-1] == (100, 100)


def test_a_large_map_is_laid_out_by_a_process_that_can_be_ended(monkeypatch) -> None:
    """A process of its own finds as good a map, and is gone at once when nobody wants it."""
    vectors = units(clustered(np.random.default_rng(4), 400, themes=9))
    here = place_all(vectors, nowhere(400))
    monkeypatch.setattr(laying, "SMALL", 100)
    told = []

    there = lay_out(vectors, nowhere(400), is_over=lambda: False, progress=told.append)
    with pytest.raises(StoppedError):
        lay_out(vectors, nowhere(400), is_over=lambda: True, progress=lambda _: None)

    # Not to the bit: it has one thread, and sums are rounded in another order.
    assert abs(kept_share(vectors, here) - kept_share(vectors, there)) < 0.1
    assert told == sorted(told)
    assert told[-1] > 0.9
    assert not [each for each in commands_of_children() if b"map.worker" in each]


def test_many_new_records_are_placed_by_a_sample(memory: Memory, monkeypatch) -> None:
    """Many new records lie among their like as well, and wait for no layout."""
    monkeypatch.setattr(map_index, "_SINGLE", 5)
    memory.map()

    ids = memory.add_many({"text": f"{SUBJECTS['bikes']} new {n}"} for n in range(10))
    found = memory.map(wait=False)

    where = dict(zip(found.ids, found.positions, strict=True))
    for name in ids:
        nearest = min(
            (each for each in found.ids if each not in ids),
            key=lambda each: np.hypot(*(where[each] - where[name])),
        )
        assert nearest.startswith("bikes")


def test_tags_of_many_change_and_all_else_stays(memory: Memory) -> None:
    """Tags are given and taken in one call; records that are gone or have them are left out."""
    found = memory.tag(["tea0", "tea1", "nobody"], add=["hot", "tea"], remove=["cold"])
    again = memory.tag(["tea0", "tea1"], add=["hot"], remove=["tea"])

    assert found == again == ["tea0", "tea1"]
    assert memory.require("tea0").tags == ("hot",)
    assert memory.tag(["tea0"], add=["hot"]) == []
    with pytest.raises(clawstate.InvalidError):
        memory.tag(["tea0"], add="hot")
