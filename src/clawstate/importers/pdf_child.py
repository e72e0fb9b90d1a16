"""
Reads the PDF on stdin and writes its pages to stdout, a JSON object a line.

It is a program of its own, which loads nothing of clawstate: what a stranger made of a PDF may take
hours or all memory, and only a process can be held within bounds and be ended.
"""

from __future__ import annotations

import io
import json
import logging
import re
import resource
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import Any

_MEMORY = 2 << 30  # bytes
_LONGEST_PAGE = 1 << 20  # characters; a page of a book has 3,000
_LONGEST = 64 << 20
_TOO_LARGE = "takes more memory than 2 GiB"
_MOST_ENTRIES = 10_000
_HALF_PAIR = re.compile("[\0\ud800-\udfff]")


class _TooLongError(Exception):
    """A page takes more time than there is for one."""


def main() -> None:
    """Read the PDF on stdin, and write what it holds; given seconds for a page and for all."""
    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGXCPU, _stop)
    seconds = _Seconds(*map(int, sys.argv[1:3]))
    try:
        for each in _read(seconds):
            _say(each)
    except MemoryError:
        _say({"error": _TOO_LARGE})
    except _TooLongError:
        _say({"error": seconds.message})


class _Seconds:
    """
    How long the process may compute: for *a_page*, and for *everything*.

    Of computing, not of waiting: that the machine is busy changes nothing.
    """

    def __init__(self, a_page: int, everything: int) -> None:
        self._a_page = a_page
        self._everything = everything
        self.message = f"takes longer than {a_page} seconds of computing"

    @property
    def are_over(self) -> bool:
        """Whether there are none left for another page."""
        return self._spent() >= self._everything

    def begin(self) -> None:
        """Begin with the next page."""
        soft = min(self._spent() + self._a_page, self._everything)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, self._everything + 5))

    def _spent(self) -> int:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return int(usage.ru_utime + usage.ru_stime) + 1


def _read(seconds: _Seconds) -> Iterator[dict[str, Any]]:
    from pypdf import PdfReader  # noqa: PLC0415 - its memory and time count as well

    stream = sys.stdin.buffer
    source = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        seconds.begin()
        reader = PdfReader(source)
        if reader.is_encrypted and not reader.decrypt(""):
            yield {"error": "is encrypted; save it without its password"}
            return
        count = len(reader.pages)
    except (MemoryError, _TooLongError):
        raise
    except Exception:  # noqa: BLE001 - of a damaged file anything may be raised
        yield {"error": "is damaged, or no PDF"}
        return
    yield {"pages": count, **_metadata(reader)}
    marks = _outline(reader, seconds)
    left = _LONGEST
    for number in range(1, count + 1):
        page = _page(reader, number, seconds)
        left -= len(page.get("text", ""))
        yield {**page, "headings": _headings(marks, number)}
        if left < 0 or seconds.are_over:
            yield {"error": f"is too large: pages from {number + 1:,} on are left out"}
            return
    yield {"end": True}


def _page(reader: Any, number: int, seconds: _Seconds) -> dict[str, Any]:
    try:
        seconds.begin()
        page = reader.pages[number - 1]
        text = page.extract_text()
        if text.strip():
            return {"page": number, "text": _HALF_PAIR.sub("\ufffd", text[:_LONGEST_PAGE])}
        return {"page": number, "is_picture": _has_picture(page)}
    except _TooLongError:
        why = seconds.message
    except MemoryError:
        why = _TOO_LARGE
    except Exception:  # noqa: BLE001 - of a damaged page anything may be raised
        why = "is damaged"
    return {"page": number, "problem": why}


def _has_picture(page: Any) -> bool:
    objects = (page.get("/Resources") or {}).get("/XObject") or {}
    return any(objects[name].get("/Subtype") == "/Image" for name in objects)


def _metadata(reader: Any) -> dict[str, str]:
    found = {}
    for name in ("title", "author", "creation_date"):
        try:
            value = getattr(reader.metadata, name, None)
            if isinstance(value, datetime):
                value = value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        except (MemoryError, _TooLongError):
            raise
        except Exception:  # noqa: BLE001, S112 - what is damaged here is not needed
            continue
        if isinstance(value, str):
            found[name] = _HALF_PAIR.sub("", value)[:4096]
    return found


def _outline(reader: Any, seconds: _Seconds) -> list[tuple[int, int, str]]:
    """Return the marks of the PDF: on which page each stands, how deep, and what it says."""
    marks: list[tuple[int, int, str]] = []
    try:
        seconds.begin()
        waiting = [(0, iter(reader.outline))]
        while waiting and len(marks) < _MOST_ENTRIES:
            depth, entries = waiting[-1]
            entry = next(entries, None)
            if entry is None:
                waiting.pop()
            elif isinstance(entry, list):
                waiting.append((depth + 1, iter(entry)))
            elif (page := reader.get_destination_page_number(entry)) is not None:
                title = " ".join(_HALF_PAIR.sub("", str(entry.title)).split())
                marks.append((page + 1, depth, title[:200]))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001, S110 - without marks there are no headings, and that is all
        pass
    return marks


def _headings(marks: list[tuple[int, int, str]], page: int) -> list[str]:
    titles: dict[int, str] = {}
    for at, depth, title in marks:
        if at <= page:
            titles = {level: each for level, each in titles.items() if level < depth}
            titles[depth] = title
    return [each for each in titles.values() if each]


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _TooLongError


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
