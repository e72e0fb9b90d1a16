"""
A process that has loaded what `clawstate` and programs that use it load, and forks for each call.

Most of what a short command costs is the loading of its modules. What stands in `folder` in place
of the programs hands its arguments, directory, environment and streams to the process, which runs
the very same code, and ends with the same exit code.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pkgutil
import re
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import clawstate

# Started for each call, so it loads next to nothing; what is no file is given to a Python as ever.
_CLIENT = """#!{python} -IS
import _socket, os, sys
name, given = os.path.basename(sys.argv[0]), sys.argv[1:]
if name == "python" and not (given and os.path.isfile(given[0])):
    os.execv({python!r}, [{python!r}, *given])
place = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
place.connect({socket!r})
environment = [f"{{key}}={{value}}" for key, value in os.environ.items()]
parts = [name, os.getcwd(), str(len(given)), *given, *environment]
text = "\\0".join(parts).encode("utf-8", "surrogateescape")
streams = b"".join(each.to_bytes(4, sys.byteorder) for each in (0, 1, 2))
place.sendmsg([len(text).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
place.send(text)
sys.stdout = sys.stderr = None
os._exit(int(place.recv(8) or b"70"))
"""
_NAMES = ("clawstate", "python")
# What few commands load, or what does not bear to be forked (LanceDB).
_COLD = re.compile(r"\.(gateway|mcp|testing|matrix|lancedb|openai|postgres|__main__)(\.|$)")


@contextmanager
def warm_commands() -> Iterator[Path]:
    """Yield a folder with `clawstate` and `python`, for the front of a PATH, while it serves."""
    folder = Path(tempfile.mkdtemp(prefix="clawstate-warm-"))  # sockets have short names
    path = str(folder / "socket")
    client = _CLIENT.format(python=sys.executable, socket=path)
    for name in _NAMES:
        (folder / name).write_text(client)
        (folder / name).chmod(0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(32)
    server = subprocess.Popen(
        [sys.executable, __file__, str(listener.fileno())],
        pass_fds=[listener.fileno()],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        listener.close()
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def serve(listener: socket.socket) -> None:
    """Fork for each who connects, until it is killed."""
    for found in pkgutil.walk_packages(clawstate.__path__, "clawstate.", lambda _: None):
        if not _COLD.search(found.name):
            with suppress(ImportError):  # of an extra
                importlib.import_module(found.name)
    gc.collect()
    gc.freeze()  # or each process would copy all memory as it looks for garbage
    while True:
        place, _ = listener.accept()
        with place:
            # Twice: one of the two runs the program, the other waits for it and tells its code.
            waiter = os.fork()
            if waiter:
                os.waitpid(waiter, 0)
                continue
            if os.fork():
                os._exit(0)
            _answer(listener, place)


def _answer(listener: socket.socket, place: socket.socket) -> None:
    listener.close()
    head, streams, _, _ = socket.recv_fds(place, 8, 3)
    size, text = int.from_bytes(head, "big"), b""
    while len(text) < size:
        text += place.recv(size - len(text))
    program = os.fork()
    if program:
        for each in streams:
            os.close(each)
        _, status = os.waitpid(program, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):  # the one who called is gone
            place.send(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    place.close()
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    # Those of before know that they wrote to no pipe.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - until the end of the process
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os._exit(_ended(text.decode("utf-8", "surrogateescape").split("\0")))


def _ended(parts: list[str]) -> int:
    """Run a program to its end, but for taking apart what this process shares with others."""
    code = 0
    try:
        _become(parts)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as any program that fails
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for each in (sys.stdout, sys.stderr):
        with suppress(OSError):
            each.flush()
    return code


def _become(parts: list[str]) -> None:
    name, folder, count, *rest = parts
    given, environment = rest[: int(count)], rest[int(count) :]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(each.split("=", 1) for each in environment)
    if name == "clawstate":
        sys.argv = [name, *given]
        from clawstate.__main__ import main  # noqa: PLC0415 - loaded by now

        main()
    else:
        sys.argv = given
        sys.path[0] = str(Path(given[0]).parent)
        runpy.run_path(given[0], run_name="__main__")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
