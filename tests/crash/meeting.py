from __future__ import annotations

import secrets
import select
import socket
from contextlib import contextmanager

from faults import strace
from faults.victim import overdue

NOWHERE = "-"


class Meeting:
    """The victim's end of a line to its checker; its system calls are nobody else's."""

    def __init__(self, line):
        self._line = line

    def wait(self):
        """Tell the checker that the time has come, and wait until it has looked."""
        self._line.sendmsg([b"?"])
        self._line.recvmsg(1)


def meet(place):
    """Return the line to the checker that waits at *place*."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(f"\0{place}")
    return Meeting(line)


class Checker:
    """The checker's end, which the victim finds at *place*."""

    def __init__(self, server, timeout):
        self.place = f"clawstate-{secrets.token_hex(8)}"
        self._server = server
        self._line = None
        self._timeout = timeout
        server.bind(f"\0{self.place}")
        server.listen(1)
        server.settimeout(timeout)

    def line(self):
        """Return the line to the victim, once that has called."""
        try:
            if self._line is None:
                self._line = self._server.accept()[0]
                self._line.settimeout(self._timeout)
        except TimeoutError as error:
            raise overdue(self._timeout) from error
        return self._line

    def met(self):
        """Wait for the victim; tell whether it came, and did not end before."""
        try:
            return bool(self.line().recv(1))
        except TimeoutError as error:
            raise overdue(self._timeout) from error

    def part(self):
        """Let the victim go on, and wait for its end."""
        self._line.send(b"!")
        if not select.select([self._line], [], [], self._timeout)[0]:
            raise overdue(self._timeout)

    def close(self):
        if self._line is not None:
            self._line.close()


@contextmanager
def checker(timeout):
    with socket.socket(socket.AF_UNIX) as server:
        made = Checker(server, timeout)
        try:
            yield made
        finally:
            made.close()


def run_healed(victim, fault, *arguments, meanwhile):
    """
    Run *victim* under *fault* until it meets us, call *meanwhile*, and let it end unharmed.

    Its last argument is the place to meet at. The outcome has no status.
    """
    options = ("-e", f"trace={fault.call}", "-e", f"inject={fault}")
    with (
        checker(victim.timeout) as other,
        victim.scratch("log") as (log,),
        victim.fork(*arguments, other.place) as run,
    ):
        with strace._attached(run, log, *options) as tracer:
            assert b" attached" in tracer.stderr.readline()
            run.go()
            if other.met():
                meanwhile(run)
                tracer.terminate()
                tracer.wait(victim.timeout)
                other.part()
        injected = log.read_text(encoding="utf-8", errors="replace").count("(INJECTED)")
        return run.outcome(None, injected=injected)
