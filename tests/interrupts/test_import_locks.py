from __future__ import annotations

import subprocess
import sys

import pytest

# Cuts off the import of a module at each instruction where CPython lets a signal handler run, and
# has a thread import it then: the one that loads modules ("load"), or any other one ("hold").
# Where a second argument says so, a thread imports it already as the main thread begins to.
CUT_OFF = """
import dis, faulthandler, sys, threading
from importlib import _bootstrap

from clawstate.interrupts import discard_own, hold, load_modules
from clawstate.interrupts.import_locks import release_abandoned

faulthandler.dump_traceback_later(60, exit=True)
folder, way, contested = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
sys.path.insert(0, folder)
BREAKS = {"RESUME", "CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD", "CALL_KW"}
IMPORTING = vars(_bootstrap)


class Cut(BaseException):
    pass


class Interruption:
    def __init__(self, place):
        self.left, self.came, self.after = place, False, {}

    def __enter__(self):
        sys.settrace(self.called)

    def __exit__(self, *_):
        sys.settrace(None)

    def called(self, frame, _event, _argument):
        if frame.f_globals is not IMPORTING:
            return None
        frame.f_trace_opcodes = True
        return self.traced

    def traced(self, frame, event, _argument):
        if event != "opcode" or self.came:
            return self.traced
        before = self.after.get(frame)
        self.after[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if before is None or before in BREAKS:
            self.left -= 1
            if not self.left:
                self.came = True
                sys.settrace(None)
                raise Cut
        return self.traced


def thread_imports(name):
    imported = threading.Event()

    def work():
        __import__(name)
        imported.set()

    threading.Thread(target=work, daemon=True).start()
    if not imported.wait(30):
        raise SystemExit(f"{name} could not be imported")


class Nothing:
    thread = threading.get_ident()

    def is_over(self):
        return False

    def discard(self):
        pass


begun, go_on = threading.Event(), threading.Event()
kept, cuts, place = [], 0, 0
while True:
    place += 1
    name = f"cut_{place}"
    with open(f"{folder}/{name}.py", "w") as file:
        if contested:
            file.write("import __main__\\n__main__.begun.set()\\n__main__.go_on.wait()\\n")
    if contested:
        begun.clear()
        go_on.clear()
        threading.Thread(target=__import__, args=(name,), daemon=True).start()
        begun.wait()
        threading.Timer(0.01, go_on.set).start()  # while the main thread waits for the other
    interruption = Interruption(place)
    try:
        with interruption:
            __import__(name)
    except Cut as error:
        kept.append(error)  # as a shell does, and with it the stack
    if way == "load":
        load_modules(name)
    else:
        if way == "hold":
            hold(Nothing())
        thread_imports(name)
    if not interruption.came:
        break
    cuts += 1
print(cuts)
"""


def cut_off(folder, way, *, contested=False):
    return subprocess.run(
        [sys.executable, "-c", CUT_OFF, str(folder), way, str(contested)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("way", ["load", "hold"])
def test_an_import_that_was_cut_off_keeps_no_thread_waiting(tmp_path, way) -> None:
    """Wherever an import was interrupted: after the next operation, any thread can import."""
    ended = cut_off(tmp_path, way)

    assert ended.returncode == 0, ended.stderr[-2000:]
    assert int(ended.stdout) > 50


def test_waiting_for_the_import_of_another_thread_can_be_cut_off(tmp_path) -> None:
    """Whoever is interrupted as he waits for another thread's import leaves nobody unwoken."""
    ended = cut_off(tmp_path, "load", contested=True)

    assert ended.returncode == 0, ended.stderr[-2000:]
    assert int(ended.stdout) > 10
