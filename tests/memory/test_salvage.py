"""What a damaged `memory.db` keeps of its records and messages, by a repair of the doctor."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import clawstate
from clawstate.doctor import Finding, examine, salvage

NAMESPACES = ("a", "b")
DOCTOR = "import sys, clawstate; from clawstate.doctor import examine\n"
DOCTOR += "with clawstate.open(sys.argv[1]) as state: examine(state, fix=True)"


def fill(root: Path) -> None:
    notes = [
        {
            "id": f"n{number:04}",
            "text": f"note {number} about topic {number % 37} and {number * number} other things",
            "tags": [f"t{number % 5}", "all"],
            "namespace": NAMESPACES[number % 2],
            "metadata": {"number": number},
        }
        for number in range(1500)
    ]
    with clawstate.open(root) as state:
        state.memory.add_many(notes)
        for session in ("one", "two"):
            state.transcripts.append(
                session, [{"role": "user", "content": f"word{n} " * (n % 90)} for n in range(200)]
            )


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "state"
    fill(root)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "state"
    subprocess.run(["cp", "-a", str(whole), str(copy)], check=True)
    return copy


def records(root: Path) -> dict[str, object]:
    with clawstate.open(root) as state:
        every = (state.memory.records(namespace=each, limit=5000) for each in NAMESPACES)
        return {record.id: record for found in every for record in found}


def messages(root: Path) -> dict[str, object]:
    with clawstate.open(root) as state:
        every = [info.session_id for info in state.transcripts.sessions()]
        found = (each for name in every for each in state.transcripts.messages(name))
        return {each.id: each.entry for each in found}


def pages(root: Path, table: str, kind: str = "leaf") -> list[tuple[int, int]]:
    """Return the pages of *table*, and how many rows each has."""
    connection = apsw.Connection(str(root / "memory" / "memory.db"))
    sql = "SELECT pageno, ncell FROM dbstat WHERE name = ? AND pagetype = ?"
    found = connection.execute(sql, (table, kind)).fetchall()
    connection.close()
    return found


def overwrite(root: Path, numbers: list[int], content: bytes = bytes(4096)) -> None:
    with (root / "memory" / "memory.db").open("r+b") as file:
        for number in numbers:
            file.seek((number - 1) * 4096)
            file.write(content)


def repair(root: Path) -> list[Finding]:
    with clawstate.open(root) as state:
        return examine(state, fix=True)


def complaints(root: Path) -> list[str]:
    with clawstate.open(root) as state:
        return [each.message for each in examine(state) if each.severity == "error"]


@pytest.mark.parametrize("seed", range(4))
def test_only_what_lay_on_damaged_pages_is_lost(root: Path, seed: int) -> None:
    """Of a table with damaged pages every row of the others is kept, as it was."""
    chance = random.Random(seed)
    before = records(root)
    hit = chance.sample(pages(root, "memories"), 5)
    overwrite(root, [number for number, _ in hit], chance.choice([bytes(4096), os.urandom(4096)]))
    lost = sum(rows for _, rows in hit)

    found = repair(root)

    after = records(root)
    assert complaints(root) == []
    assert len(after) == len(before) - lost
    assert {name: before[name] for name in after} == after
    told = [each.fix for each in found if "saved" in each.fix]
    assert f"saved {len(after):,} of {len(before):,} records" in told[0]


@pytest.mark.parametrize(
    "table",
    ["tags", "tags_tag", "word_blocks", "word_totals", "vector_blocks", "subword_counts"],
)
def test_what_lies_twice_or_derives_is_not_lost(root: Path, table: str) -> None:
    """A table that an index holds too, and all that is derived from records, comes back whole."""
    before = records(root)
    overwrite(root, [number for number, _ in pages(root, table)][:1])

    repair(root)

    assert complaints(root) == []
    assert records(root) == before
    with clawstate.open(root) as state:
        assert state.memory.search("note 77 about topic", namespace="b")[0].record.id == "n0077"


def test_a_lost_root_of_messages_loses_nothing(root: Path) -> None:
    """Where SQLite cannot read a table at all, its rows are found by their pages."""
    before, said = records(root), messages(root)
    overwrite(root, [number for number, _ in pages(root, "messages", "internal")])

    repair(root)

    assert complaints(root) == []
    assert records(root) == before
    assert messages(root) == said
    with clawstate.open(root) as state:
        state.transcripts.append("one", [{"role": "user", "content": "again"}])
        assert state.transcripts.messages("one")[-1].entry["message"]["content"] == "again"


def test_records_and_messages_without_a_name_get_one(root: Path) -> None:
    """Where the names of namespaces and sessions are lost, what they hold has a name anew."""
    before = messages(root)
    overwrite(
        root, [number for table in ("scopes", "transcripts") for number, _ in pages(root, table)]
    )

    repair(root)

    assert complaints(root) == []
    assert messages(root) == before
    with clawstate.open(root) as state:
        assert set(state.memory.stats()["namespaces"]) == {"recovered-1", "recovered-2"}


def test_a_memory_of_one_namespace_needs_no_name(tmp_path: Path) -> None:
    """Where the name of the only namespace is lost, its records are found as ever."""
    with clawstate.open(tmp_path) as state:
        state.memory.add("a walrus")
    overwrite(tmp_path, [number for number, _ in pages(tmp_path, "scopes")])

    found = repair(tmp_path)

    assert any("they are called default now" in each.fix for each in found)
    with clawstate.open(tmp_path) as state:
        assert state.memory.search("walrus")


@pytest.mark.parametrize("table", ["forgotten", "imported", "imports", "meta"])
def test_lost_marks_are_told(root: Path, table: str) -> None:
    """Who loses what keeps imports from bringing texts back is told, and nobody else."""
    before = next(each.fix for each in repair_of(root, [pages(root, "memories")[2][0]]))
    told = next(each.fix for each in repair_of(root, [pages(root, table)[0][0]]))

    assert "are lost" not in before
    assert ("marks of what was forgotten are lost" in told) == (table in {"forgotten", "meta"})
    assert ("notes of imports are lost" in told) == table.startswith("import")


def repair_of(root: Path, numbers: list[int]) -> list[Finding]:
    overwrite(root, numbers, b"\xa5" * 4096)
    return [each for each in repair(root) if "saved" in each.fix]


def test_what_is_whole_is_not_saved_again(root: Path) -> None:
    """Of two who found the damage, the second leaves alone what the first has saved."""
    overwrite(root, [pages(root, "memories")[3][0]])
    with clawstate.open(root) as first, clawstate.open(root) as second:
        found = list(first.health.check("memory")), list(second.health.check("memory"))

        done = [next(each.repaired().fix for each in every if each.repair) for every in found]

    assert done[0].startswith("saved")
    assert done[1] == "it was saved meanwhile"
    assert len(list((root / "memory" / ".quarantine").iterdir())) == 1


def test_the_damaged_file_is_kept(root: Path) -> None:
    """What was there is kept page by page, for the owner alone, and never overwritten."""
    hit = pages(root, "memories")[1][0]
    overwrite(root, [hit], b"\xa5" * 4096)

    repair(root)
    overwrite(root, [hit], b"\x5a" * 4096)
    repair(root)

    kept = sorted((root / "memory" / ".quarantine").iterdir())
    assert [each.name for each in kept] == ["memory.db.1", "memory.db.2"]
    assert {each.stat().st_mode & 0o777 for each in kept} == {0o600}
    assert b"\xa5" * 4096 in kept[0].read_bytes()


def test_a_receipt_tells_of_damaged_copies(root: Path) -> None:
    """While a damaged copy is kept, no receipt says that no byte is left; without it, it does."""
    overwrite(root, [pages(root, "memories")[1][0]])
    repair(root)
    folder = root / "memory" / ".quarantine"
    with clawstate.open(root) as state:
        kept = state.memory.records(namespace="a", limit=5)

        early = state.memory.forget([kept[0].id])
        next(folder.iterdir()).unlink()
        late = state.memory.forget([kept[1].id])

    assert (early.gone, late.gone) == (False, True)
    assert str(folder) in str(early.waits_for)


def test_others_who_have_it_open_go_on(root: Path) -> None:
    """A process that has the database open sees what was saved, and what it writes is kept."""
    hit = pages(root, "memories")[3]
    with clawstate.open(root) as other:
        assert other.memory.search("note 11 about", namespace="b")
        overwrite(root, [hit[0]])
        subprocess.run([sys.executable, "-c", DOCTOR, str(root)], check=True, timeout=120)
        other.memory.add_many([{"text": "by the other", "id": "late", "namespace": "a"}])
        found = {each.record.id for each in other.memory.search("note", namespace="a", k=1000)}

    after = records(root)
    assert "late" in after
    assert found <= set(after)
    assert len(after) == 1500 - hit[1] + 1


def test_killed_at_any_moment_it_can_be_done_again(root: Path) -> None:
    """After kills in the midst of a repair, the next one saves as much as the first would have."""
    chance = random.Random(5)
    hit = chance.sample(pages(root, "memories"), 3)
    overwrite(root, [number for number, _ in hit])
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", DOCTOR, str(root)])
        try:
            child.wait(chance.uniform(0.3, 1.5))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.wait()

    repair(root)

    assert complaints(root) == []
    assert len(records(root)) == 1500 - sum(rows for _, rows in hit)


def lose_list(path: Path, way: str) -> None:
    """Damage the first page, which has the header and where the list of tables begins."""
    whole = path.read_bytes()
    first = {
        "zeros": bytes(4096),
        "noise": random.Random(1).randbytes(4096),
        "header": bytes(100) + whole[100:4096],
        "cut": whole[100:4096],
        "list": whole[:100] + random.Random(2).randbytes(3996),
    }
    path.write_bytes(first[way] + whole[4096:])


SLOW = [pytest.param(each, marks=pytest.mark.slow) for each in ("noise", "header")]


@pytest.mark.parametrize("way", ["zeros", "cut", "list", *SLOW])
def test_a_lost_list_of_tables_loses_no_row(root: Path, way: str) -> None:
    """Where the header or the list of tables is lost, all rows are found by their pages."""
    before, said = records(root), messages(root)
    lose_list(root / "memory" / "memory.db", way)

    with clawstate.open(root) as state:
        found, left = salvage(state)

    assert [each for each in left if each.severity == "error"] == []
    assert records(root) == before
    assert messages(root) == said
    assert any("saved 1,500 of 1,500 records and 400 of 400 messages" in each.fix for each in found)
    with clawstate.open(root) as state:
        assert state.memory.search("note 77 about topic", namespace="b")[0].record.id == "n0077"


def test_a_lost_list_and_lost_pages_lose_these_pages_alone(root: Path) -> None:
    """With the first page and some of records lost, every row of all other pages is kept."""
    before = records(root)
    hit = random.Random(3).sample(pages(root, "memories"), 4)
    overwrite(root, [1, *(number for number, _ in hit)])

    repair(root)

    after = records(root)
    assert complaints(root) == []
    assert len(after) == len(before) - sum(rows for _, rows in hit)
    assert {name: before[name] for name in after} == after


def test_pages_that_led_to_others_are_not_missed(root: Path) -> None:
    """Where a page of records that leads to others is lost, those others are found."""
    before = records(root)
    overwrite(root, [number for number, _ in pages(root, "memories", "internal")])

    repair(root)

    assert complaints(root) == []
    assert records(root) == before


@pytest.mark.parametrize("way", ["zeros", pytest.param("list", marks=pytest.mark.slow)])
def test_what_was_forgotten_stays_forgotten(root: Path, way: str) -> None:
    """Pages that were freed hold rows as they were; none of them comes back."""
    with clawstate.open(root) as state:
        gone = [each.id for each in state.memory.records(namespace="a", limit=600)]
        for each in gone:
            state.memory.delete(each)
    kept = records(root)
    lose_list(root / "memory" / "memory.db", way)

    repair(root)

    assert len(kept) == 900
    assert records(root) == kept


def test_what_lies_in_the_log_alone_is_saved(root: Path, tmp_path: Path) -> None:
    """Changes of which the log alone knows are saved with the pages of the file."""
    copy = tmp_path / "copy"
    with clawstate.open(root) as state:
        walrus = {"text": "only the log knows of the walrus", "namespace": "a", "id": "late"}
        state.memory.add_many([walrus])
        kept = records(root)
        subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    assert (copy / "memory" / "memory.db-wal").stat().st_size > 4096
    overwrite(copy, [1, *(number for number, _ in pages(root, "scopes"))])

    repair(copy)

    assert "late" in kept
    assert records(copy) == kept


def test_a_new_file_is_seen_by_others_who_have_it_open(root: Path) -> None:
    """Where a new file takes the place of a damaged one, others go on with the new one."""
    with clawstate.open(root) as other:
        assert other.memory.search("note 11 about", namespace="b")
        lose_list(root / "memory" / "memory.db", "zeros")
        subprocess.run([sys.executable, "-c", DOCTOR, str(root)], check=True, timeout=300)
        other.memory.add_many([{"text": "by the other", "id": "late", "namespace": "a"}])

    after = records(root)
    assert "late" in after
    assert len(after) == 1501


@pytest.mark.slow
def test_killed_at_any_moment_a_lost_list_can_be_saved_again(root: Path) -> None:
    """After kills while rows are looked for by their pages, the next repair saves all of them."""
    before = records(root)
    lose_list(root / "memory" / "memory.db", "zeros")
    chance = random.Random(6)
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", DOCTOR, str(root)])
        try:
            child.wait(chance.uniform(0.5, 3))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.wait()

    repair(root)

    assert complaints(root) == []
    assert records(root) == before


def test_where_nothing_can_be_read_nothing_is_changed(root: Path) -> None:
    """A file of which no page is left stays as it is, and the finding says what was tried."""
    path = root / "memory" / "memory.db"
    path.write_bytes(random.Random(4).randbytes(path.stat().st_size))
    before = path.read_bytes()

    found = repair(root)

    assert path.read_bytes() == before
    assert any("it was tried" in each.fix and "newest backup" in each.fix for each in found)


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A file that clawstate did not make is never repaired."""
    path = tmp_path / "memory" / "memory.db"
    path.parent.mkdir(mode=0o700)
    apsw.Connection(str(path)).execute("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
    path.chmod(0o600)
    before = path.read_bytes()

    repair(tmp_path)

    assert path.read_bytes() == before
    assert not (path.parent / ".quarantine").exists()
