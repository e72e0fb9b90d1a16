"""Who wants to know of changes, and the thread that looks for them in long-running programs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from clawstate.arguments import require_seconds
from clawstate.config.view import View
from clawstate.errors import ConfigError, StateError
from clawstate.interrupts import Mutex, Signal
from clawstate.json5.plain_value import is_same

Listener = Callable[[Any, Any], None]
"""Is called with the old value and the new one; `None` where there is none."""

_ABSENT = object()


class Listeners:
    """Calls those whose value is another one. Safe for threads."""

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._listeners: dict[object, tuple[str, Listener]] = {}

    def add(self, path: str, listener: Listener) -> Callable[[], None]:
        """Call *listener* when the value at *path* changes; the answer ends that."""
        token = object()
        with self._mutex:
            self._listeners[token] = (path, listener)

        def end() -> None:
            with self._mutex:
                self._listeners.pop(token, None)

        return end

    def tell(self, before: View, after: View) -> None:
        """Call those whose value differs between the two."""
        with self._mutex:
            listeners = list(self._listeners.values())
        for path, listener in listeners:
            old, new = _value(before, path), _value(after, path)
            if not is_same(old, new, ordered=False):
                listener(_value_or_none(old), _value_or_none(new))


class Watcher:
    """
    Looks for changes every *interval* seconds, from a thread of its own, until `close`.

    An unexpected error of *look* goes to `threading.excepthook`, once as long as it is the same,
    and the next look is taken all the same.
    """

    def __init__(
        self, look: Callable[[], object], *, interval: float, name: str = "config watcher"
    ) -> None:
        self._look = look
        self._interval = min(require_seconds("interval", interval), threading.TIMEOUT_MAX)
        self._signal = Signal()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._closed = True  # nobody will know this, to end a thread that did start
            self._signal.give()
            raise

    def close(self) -> None:
        """Stop looking."""
        self._closed = True
        self._signal.give()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def wake(self) -> None:
        """Look at once, and not only when the time is over."""
        self._signal.give()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        last = ""
        while True:
            self._signal.take(self._interval)
            if self._closed:
                return
            try:
                self._look()
            except StateError:
                pass  # whoever reads is told; a mended file is seen later
            except Exception as error:  # noqa: BLE001 - a dead thread would look like no change
                if (now := repr(error)) != last:
                    report_error(error)
                last = now
            else:
                last = ""


def report_error(error: Exception) -> None:
    """Give *error* to `threading.excepthook`, as the end of a thread does, and go on."""
    threading.excepthook(
        threading.ExceptHookArgs(
            (
                type(error),
                error,
                error.__traceback__,
                threading.current_thread(),
            )
        )
    )


def _value(view: View, path: str) -> Any:
    try:
        return view.get(path, _ABSENT)
    except ConfigError:
        return _ABSENT  # it waits for a variable


def _value_or_none(value: Any) -> Any:
    return None if value is _ABSENT else value
