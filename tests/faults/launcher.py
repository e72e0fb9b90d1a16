"""
The program inside a victim's process: it runs the script, or forks it once for each run.

`launcher.py run KIND SCRIPT [ARGUMENT ...]` runs it; `launcher.py serve:FD KIND SCRIPT` stops as
the script prints `WARM` and then forks a process for each request that the socket FD brings.
KIND is `text` or `file`. Imports little, since each run waits for it.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

WARM = b"WARM\n"
GO = signal.SIGUSR1
_SET_TRACER, _ANYBODY = 0x59616D61, 2**64 - 1  # include/uapi/linux/prctl.h
_CRYPTOGRAPHY = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.serialization",
)
REPORTS = 1  # the descriptor of the victim's lines


class Reports(io.RawIOBase):
    """
    Standard output with a system call of its own, which faults in `write` leave alone.

    What the script prints leaves at once, line by line.
    """

    def __init__(self, server: socket.socket | None) -> None:
        self._server = server
        self.forked = False
        """Whether this is a process of one run, forked from the served one."""

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Send *data*; at the first `WARM` of a served script, return in a forked process only."""
        if bytes(data) == WARM and self._server is not None:
            server, self._server = self._server, None
            _serve(server)
            self.forked = True
            return len(WARM)
        return os.writev(REPORTS, [data])


def main(mode: str, kind: str, script: str, *arguments: str) -> None:
    """Run the script in this process, or in one that is forked from it, and end the process."""
    server = socket.socket(fileno=int(mode[len("serve:") :])) if mode != "run" else None
    reports = Reports(server)
    sys.stdout = io.TextIOWrapper(reports, "utf-8", line_buffering=True)
    sys.argv = [script if kind == "file" else "victim", *arguments]
    status = _status(_module(kind, script), kind, script)
    sys.stdout.flush()
    if reports.forked:
        os._exit(status)  # what the interpreter does at its end is not the script's
    sys.exit(status)


def _module(kind: str, script: str) -> dict[str, Any]:
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    if kind == "file":
        sys.path.insert(0, str(Path(script).parent))
        module.__file__ = script
    return vars(module)


def _status(names: dict[str, Any], kind: str, script: str) -> int:
    text = Path(script).read_text(encoding="utf-8") if kind == "file" else script
    name = script if kind == "file" else "victim"
    try:
        exec(compile(text, name, "exec"), names)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the process ends with it
        traceback.print_exc()
        return 1
    _join_threads()
    return 0


def _join_threads() -> None:
    threading = sys.modules.get("threading")
    if threading is None:
        return
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _load_all_modules() -> None:
    """
    Load what runs would load when they first need it.

    A module that a run itself loads asks the system about many files. How often depends on what
    compiled code lies there, so that the fault of the nth call would hit another call than the
    nth of an earlier run, or the loading of code instead of the state.
    """
    package = importlib.import_module("clawstate")
    for module in pkgutil.walk_packages(package.__path__, "clawstate."):
        # LanceDB has threads, which no fork survives: the program has it in a process of its own.
        if not any(each in module.name for each in ("clawstate.testing", "__main__", "lancedb")):
            with suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    for name in ("concurrent.futures.thread", "ctypes", "tempfile", *_CRYPTOGRAPHY):
        importlib.import_module(name)


def _serve(server: socket.socket) -> None:
    _load_all_modules()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that no ended child waits for us
    signal.pthread_sigmask(signal.SIG_BLOCK, [GO])
    requests = server.makefile("r")
    server.sendall(WARM)
    for line in requests:
        if os.fork() == 0:
            _become(server, **json.loads(line))
            return
    raise SystemExit


def _become(server: socket.socket, arguments: list[str], said: str, complaint: str) -> None:
    os.setsid()
    for descriptor, path in ((1, said), (2, complaint)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv[1:] = arguments
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Yama lets only ancestors trace us otherwise, and the tracer is none.
    ctypes.CDLL(None).prctl(_SET_TRACER, ctypes.c_ulong(_ANYBODY))
    # A tracer comes after this line, and must find nothing to count before the signal.
    server.sendall(f"{os.getpid()}\n".encode())
    signal.sigwait([GO])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [GO])
    os.close(server.detach())


if __name__ == "__main__":
    main(*sys.argv[1:])
