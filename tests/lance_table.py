"""What another program does to a Lance table, as a process of its own; and what lies in it."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# One process for all tests: the library takes seconds to load.
_TABLE = """
import json, sys, warnings
from datetime import timedelta
warnings.simplefilter("ignore")
import lancedb, pyarrow as pa
def table(database): return database.open_table("memories")
def work_on(folder, work):
    database = lancedb.connect(folder)
    for each in work:
        if each["do"] == "make":
            schema = pa.schema([("id", pa.utf8()), ("text", pa.utf8()),
                ("vector", pa.list_(pa.float32(), each["dimensions"])),
                ("importance", pa.float64()), ("category", pa.utf8()), ("createdAt", pa.float64())])
            database.create_table("memories", schema=schema)
        elif each["do"] == "foreign":
            database.create_table("memories", [{"sum": 1}])
            return {}
        elif each["do"] == "add":
            schema = table(database).schema
            fields = [field for field in schema if field.name in each["rows"][0]]
            rows = pa.Table.from_pylist(each["rows"], schema=pa.schema(fields))
            table(database).add(rows)
        elif each["do"] == "delete":
            table(database).delete(each["where"])
        elif each["do"] == "update":
            table(database).update(where=each["where"], values=each.get("values"),
                values_sql=each.get("values_sql"))
    found = table(database)
    return {"rows": found.to_arrow().to_pylist(), "columns": found.schema.names,
        "fragments": found.stats()["fragment_stats"]["num_fragments"],
        "indices": [each.index_type for each in found.list_indices()],
        "vectors": found.schema.field("vector").type.list_size}
for line in sys.stdin:
    folder, work = json.loads(line)
    print(json.dumps(work_on(folder, work)), flush=True)
"""

_processes: list[subprocess.Popen[str]] = []


def _process() -> subprocess.Popen[str]:
    if not _processes:
        command = [sys.executable, "-c", _TABLE]
        pipe = subprocess.PIPE
        _processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        atexit.register(_end)
    return _processes[0]


def _end() -> None:
    process = _processes.pop()
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=30)


def in_table(folder: Path, *work: dict[str, Any]) -> dict[str, Any]:
    """Do *work* on the table in *folder*, and return what is in it then."""
    process = _process()
    process.stdin.write(json.dumps([str(folder), work]) + "\n")
    process.stdin.flush()
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def texts_in_table(folder: Path) -> dict[str, str]:
    """Return the texts of the table in *folder*, by id; an id that is there twice fails."""
    rows = in_table(folder)["rows"]
    found = {row["id"]: row["text"] for row in rows}
    assert len(found) == len(rows)
    return found


def plugin_row(key: str, text: str, vector: list[float] | None, **more: Any) -> dict[str, Any]:
    """Return a row as OpenClaw's plugin writes it."""
    row = {"id": key, "text": text, "vector": vector, "importance": 0.5, "category": "fact"}
    return {**row, "createdAt": 1_700_000_000_000.0, **more}
