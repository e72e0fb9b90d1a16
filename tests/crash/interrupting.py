"""An agent whose work is interrupted, and another process that looks whether it can go on."""

from __future__ import annotations

import faulthandler
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import clawstate
from clawstate.errors import InvalidError, NotFoundError, StateWarning

SOURCE = Path(clawstate.__file__).parent
PATIENCE = 5.0  # seconds that anybody may wait for another
HANGS = 240  # seconds after which a step hangs, and the stacks of all threads are told
HOLDING = ("files/", "sqlite/", "interrupts/", "records/", "caches/", "state/")
SESSION = "0a7d1b1e-0000-4000-8000-000000000001"


class InterruptedTestError(BaseException):
    """What a signal handler raises here; as `KeyboardInterrupt`, it is no `Exception`."""


class Agent:
    """What an agent does with one state; the number makes each step another one."""

    def __init__(self, root, engine):
        self.state = clawstate.open(root, store=engine, lock_timeout=PATIENCE)
        self.cursor = None

    def config(self, number):
        self.state.config.set("gateway.port", 1024 + number % 60_000)

    def auth(self, number):
        credential = {"type": "token", "provider": "openai", "token": f"t{number}"}
        self.state.auth().upsert("openai:default", credential)
        assert self.state.auth().secret("openai:default") == f"t{number}"

    def sessions(self, number):
        self.state.sessions.resolve("agent:main:main")
        self.state.sessions.update("agent:main:main", {"note": number})

    def dedupe(self, number):
        self.state.dedupe.check_and_record(f"{os.getpid()}:{number}")

    def pairing(self, number):
        self.state.pairing.request(user_id=f"{number % 3}", device_id="d")

    def identity(self, number):
        self.state.identity.sign(f"{number}")

    def memory(self, number):
        self.state.memory.add(f"the number {number} is remembered")

    def supersede(self, number):
        old = self.state.memory.add(f"the number {number} is old")
        new = self.state.memory.supersede(old, f"the number {number} is new")
        assert [each.record.id for each in self.state.memory.history(old)] == [old, new.id]

    def reembed(self, number):
        try:
            self.state.memory.reembed(("static", "wordllama")[number // 2 % 2])
        except InvalidError:  # what was cut off is of the other one
            self.state.memory.reembed()

    def search(self, number):
        self.state.memory.search(f"number {number}", k=2)

    def transcripts(self, number):
        message = {"role": "user", "content": f"message {number}"}
        self.state.transcripts.append(SESSION, [message])
        self.state.transcripts.search("message", limit=2)

    def reading(self, _):
        self.state.sessions.entries()
        self.state.auth().profiles()
        self.state.config.get("gateway.port")
        self.state.transcripts.messages(SESSION, limit=2)
        with suppress(NotFoundError):  # before the first message
            self.state.transcripts.export(SESSION, io.BytesIO())
        self.state.dedupe.seen("a")

    def feed(self, _):
        self.cursor = self.state.changes(self.cursor).cursor

    def do(self, step, number):
        """Do one step."""
        getattr(self, step)(number)


STEPS = (
    "config",
    "auth",
    "sessions",
    "dedupe",
    "pairing",
    "identity",
    "memory",
    "supersede",
    "search",
    "reembed",
    "transcripts",
    "reading",
    "feed",
)


class Interruption:
    """Raises at the *place*-th line (or instruction) of the code *within*, in this thread."""

    def __init__(self, place, *, within, instructions=False):
        self.met = 0
        self.where = ""
        self._place = place
        self._within = tuple(str(SOURCE / each) for each in within)
        self._instructions = instructions

    def __enter__(self):
        sys.settrace(self._called)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    @property
    def came(self):
        """Whether it was raised."""
        return bool(self.where)

    def _called(self, frame, _event, _argument):
        code = frame.f_code
        # What is raised in `__del__` reaches nobody.
        if not code.co_filename.startswith(self._within) or code.co_name == "__del__" or self.came:
            return None
        frame.f_trace_opcodes = self._instructions
        frame.f_trace_lines = not self._instructions
        return self._traced

    def _traced(self, frame, event, _):
        if event in {"line", "opcode"} and not self.came:
            self.met += 1
            if self.met == self._place:
                code = frame.f_code
                self.where = f"{code.co_filename}:{frame.f_lineno} {code.co_name}"
                sys.settrace(None)
                raise InterruptedTestError
        return self._traced


class Alarm:
    """Raises in this thread after some seconds, from a signal handler, if the block still runs."""

    def __init__(self, delay):
        self._delay = delay
        self._armed = False
        self.came = False

    def __enter__(self):
        signal.signal(signal.SIGALRM, self._rang)
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._delay)
        return self

    def __exit__(self, *_):
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _rang(self, *_):
        if self._armed:
            self._armed = False
            self.came = True
            raise InterruptedTestError


class Ledger:
    """What was acknowledged, to be found again by whoever opens the state next."""

    def __init__(self):
        self.session = {0}
        self.dedupe = deque(maxlen=100)  # a namespace keeps the newest thousand
        self.messages, self.texts = set(), set()

    def begun(self, step, number):
        """Note that *step* may have happened."""
        if step == "sessions":
            self.session.add(number)

    def done(self, step, number):
        """Note that *step* has happened."""
        if step == "sessions":
            self.session = {number}
        elif step == "dedupe":
            self.dedupe.append(f"{os.getpid()}:{number}")
        elif step == "transcripts":
            self.messages.add(f"message {number}")
        elif step == "memory":
            self.texts.add(f"the number {number} is remembered")
        elif step == "supersede":
            self.texts.add(f"the number {number} is new")

    def lost(self, root, engine):
        """Return what of it is not there."""
        with clawstate.open(root, store=engine) as state:
            texts = {each.text for each in state.memory.records(limit=10**6)}
            messages = {each.entry["message"]["content"] for each in _messages(state)}
            found = [key for key in self.dedupe if not state.dedupe.seen(key)]
        return found + sorted(self.texts - texts) + sorted(self.messages - messages)


def _messages(state):
    return [each for each in state.transcripts.messages(SESSION) if each.role == "user"]


class Witness:
    """Another process on the same state, which does steps when it is asked to."""

    def __init__(self, root, engine):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "witness", str(root), engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, *steps):
        """Do *steps*, and return what went wrong; each with how long it took."""
        self._process.stdin.write(json.dumps(steps) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def problems_of(agent, steps, number):
    """Return what goes wrong when *agent* does *steps*."""
    found = []
    for step in steps:
        started = time.monotonic()
        try:
            agent.do(step, number)
        except Exception as error:  # noqa: BLE001 - it is told
            took = time.monotonic() - started
            found.append(f"{step} after {took:.1f} s: {type(error).__name__}: {error}")
    return found


@dataclass
class Result:
    """What became of the interrupts of one run."""

    came: int = 0
    problems: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    descriptors: int = 0


class Trial:
    """Interrupts an agent, and has a witness and the agent itself do the same step at once."""

    def __init__(self, root, engine):
        self.result = Result()
        self._root, self._engine = root, engine
        self._agent = Agent(root, engine)
        for step in STEPS:
            self._agent.do(step, 0)
        self._witness = Witness(root, engine)
        self._ledger = Ledger()
        self._number = 0

    def sweep(self, step, first, stride, *, instructions):
        """Interrupt *step* at each *stride*-th place of its code."""
        within = HOLDING if instructions else ("",)
        place = first
        while True:
            interruption = Interruption(place, within=within, instructions=instructions)
            self._try(step, interruption)
            if not interruption.came:
                return
            place += stride

    def at_random(self, seed, interrupts):
        """Interrupt mixed steps at random moments until *interrupts* came."""
        moments = random.Random(seed)
        usual = dict.fromkeys(STEPS, 0.02)
        while self.result.came < interrupts:
            step, began = moments.choice(STEPS), time.monotonic()
            if not self._try(step, Alarm(moments.uniform(5e-5, 1.3 * usual[step]))):
                usual[step] += (time.monotonic() - began - usual[step]) / 5

    def end(self):
        """Return what was found."""
        faulthandler.cancel_dump_traceback_later()
        self._agent.state.close()
        found = self._witness.does(*STEPS)
        self._witness.close()
        self.result.problems += found
        self.result.lost = self._ledger.lost(self._root, self._engine)
        self.result.descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return self.result

    def _try(self, step, interruption):
        self._number += 2
        number, raised = self._number, None
        faulthandler.dump_traceback_later(HANGS, exit=True)
        self._ledger.begun(step, number)
        try:
            with interruption:
                self._agent.do(step, number)
            self._ledger.done(step, number)
        except (Exception, InterruptedTestError) as error:
            if not interruption.came:
                raise
            raised = error  # it keeps the stack alive, as a shell does
        if interruption.came:
            self.result.came += 1
            found = self._witness.does(step) + problems_of(self._agent, [step], number + 1)
            where = getattr(interruption, "where", "")
            self.result.problems += [f"{step} {where} {raised!r}: {each}" for each in found]
            self._ledger.done(step, number + 1)
        return interruption.came


def main():
    warnings.simplefilter("ignore", StateWarning)
    mode, root, engine, *rest = sys.argv[1:]
    if mode == "witness":
        agent = Agent(root, engine)
        for number, line in enumerate(sys.stdin):
            _tell(problems_of(agent, json.loads(line), 10**9 + number))
        agent.state.close()
        return
    trial = Trial(root, engine)
    if mode == "random":
        trial.at_random(*map(int, rest))
    else:
        first, stride = map(int, rest[1:])
        trial.sweep(rest[0], first, stride, instructions=mode == "instructions")
    _tell(asdict(trial.end()))


def _tell(found):
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
