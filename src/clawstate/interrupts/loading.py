"""Importing of what cannot be imported twice, such as numpy, where no interrupt can cut it off."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from importlib import import_module

from clawstate.errors import UnavailableError
from clawstate.interrupts.import_locks import Forgotten, release_abandoned

_LOOK = 0.1  # seconds of waiting, after which what an interrupt left is given back once more


def load_modules(*names: str) -> None:
    """
    Import the modules *names*; where a signal may come, in a thread that none reaches.

    Many modules in C can be begun only once in a process: one that an exception cut off would be
    missing until its end. Whoever is interrupted leaves the thread to finish. Raises
    `UnavailableError` for a module of ours that the disk does not give.
    """
    missing = [name for name in names if name not in _loaded]
    if not missing:
        return
    try:
        _load(missing)
    except ModuleNotFoundError as error:
        name = str(error.name)
        if name.partition(".")[0] != __package__.partition(".")[0]:
            raise
        hint = "check the disk that the program is on, or install it again"
        raise UnavailableError(name, "cannot be loaded", hint) from error
    _loaded.update(missing)


def _load(missing: list[str]) -> None:
    release_abandoned()
    if threading.get_ident() != threading.main_thread().ident:
        for name in missing:
            import_module(name)
    elif not all(_is_whole(name) for name in missing):
        _load_aside(missing)


_loaded: set[str] = set()


def _is_whole(name: str) -> bool:
    found = sys.modules.get(name)
    return found is not None and not getattr(found.__spec__, "_initializing", False)


def _load_aside(names: list[str]) -> None:
    errors: list[BaseException] = []
    done = _thread.allocate_lock()
    done.acquire()
    forgotten = Forgotten()

    def work() -> None:
        try:
            for name in names:
                import_module(name)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)
        finally:
            done.release()
        while forgotten.look():  # such as the one who began this, and imports something by himself
            time.sleep(_LOOK)

    try:
        _thread.start_new_thread(work, ())
    except RuntimeError:  # no more threads
        work()
    waited = Forgotten()
    # What is collected as garbage in here takes a lock of the import system as well, and an
    # interrupt there is told to nobody.
    while not done.acquire(timeout=_LOOK):
        release_abandoned()
        waited.look()
    if errors:
        raise errors[0]
