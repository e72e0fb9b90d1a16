from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import clawstate
from clawstate.errors import InvalidError, LimitError, NotFoundError
from clawstate.stores.devices import DEFAULT_SCOPES, covers
from manual_clock import ManualClock

DEVICES = st.sampled_from(["phone", "tv", "car", "watch"])
USERS = st.sampled_from(["ada", "bob"])
SCOPES = st.none() | st.lists(
    st.sampled_from(["operator.read", "operator.write", "operator.pairing", "operator.approvals"]),
    unique=True,
)
TTL, LIMIT = 3600, 3


class PairingMachine(RuleBasedStateMachine):
    """Compares pairing and devices, opened anew at will, with what a few dicts say."""

    store = "file"

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.clock = ManualClock()
        self.waiting = {}  # (user, device) to (code, moment, scopes)
        self.used = set()
        self.paired = {}  # device to [user, approved, token, scopes, is revoked]
        self.ended = []  # (device, token) that must never be good again
        self.state = clawstate.open(self.root, store=self.store, clock=self.clock)

    def teardown(self):
        self.state.close()
        shutil.rmtree(self.root)

    def live(self):
        now = self.clock()
        return {key: each for key, each in self.waiting.items() if abs(now - each[1]) <= TTL}

    @rule(user=USERS, device=DEVICES, scopes=SCOPES)
    def request(self, user, device, scopes):
        self.waiting = self.live()
        before = self.waiting.get((user, device))
        if before is None and len(self.waiting) >= LIMIT:
            try:
                self.state.pairing.request(user_id=user, device_id=device, scopes=scopes)
            except LimitError:
                return
            raise AssertionError
        made = self.state.pairing.request(user_id=user, device_id=device, scopes=scopes)
        wanted = None if scopes is None else tuple(sorted(set(scopes)))
        if before is not None and wanted in {None, before[2]}:
            assert made.code == before[0]
            return
        assert before is None or made.code != before[0]
        self.waiting[user, device] = made.code, self.clock(), wanted

    @rule(data=st.data(), scopes=SCOPES)
    def approve(self, data, scopes):
        live = self.live()
        if not live:
            return
        user, device = data.draw(st.sampled_from(sorted(live)))
        code, _, wanted = live[user, device]
        known = self.paired.get(device)
        try:
            issued = self.state.pairing.approve(code, scopes=scopes)
        except InvalidError:
            assert known is not None
            assert known[0] != user
            return
        assert known is None or known[0] == user
        granted = next(each for each in (scopes, wanted, DEFAULT_SCOPES) if each is not None)
        if known is not None:
            self.ended.append((device, known[2]))
        granted = tuple(sorted(set(granted)))
        assert issued.scopes == granted
        self.paired[device] = [user, granted, issued.token, granted, False]
        del self.waiting[user, device]
        self.used.add(code)

    @rule(device=DEVICES, scopes=SCOPES, caller=SCOPES)
    def rotate(self, device, scopes, caller):
        known = self.paired.get(device)
        try:
            issued = self.state.devices.rotate(device, scopes=scopes, caller_scopes=caller)
        except NotFoundError:
            assert known is None
            return
        except InvalidError:
            assert known is not None
            wanted = known[3] if scopes is None else scopes
            is_within = covers(known[1], wanted) and (caller is None or covers(caller, wanted))
            assert known[4] or not is_within
            return
        assert not known[4]
        assert covers(known[1], issued.scopes)
        assert caller is None or covers(caller, issued.scopes)
        self.ended.append((device, known[2]))
        known[2:4] = issued.token, issued.scopes

    @rule(device=DEVICES)
    def revoke(self, device):
        known = self.paired.get(device)
        assert self.state.devices.revoke(device) == (known is not None and not known[4])
        if known is not None:
            known[4] = True

    @rule(device=DEVICES)
    def remove(self, device):
        known = self.paired.pop(device, None)
        assert self.state.devices.remove(device) == (known is not None)
        if known is not None:
            self.ended.append((device, known[2]))

    @rule(seconds=st.sampled_from([1, 1800, 3601, -1800, 3.2e8, -3.2e8]))
    def wait(self, seconds):
        self.clock.advance(seconds)
        # A request that a clock set back brings to life again is no longer in the model.
        self.waiting = self.live()
        self.state.pairing.prune()

    @rule()
    def restart(self):
        self.state.close()
        self.state = clawstate.open(self.root, store=self.store, clock=self.clock)

    @invariant()
    def says_the_same(self):
        pending = {each.code for each in self.state.pairing.pending()}
        assert pending == {each[0] for each in self.live().values()}
        assert not pending & self.used
        for device, (user, _, token, scopes, is_revoked) in self.paired.items():
            found = self.state.devices.verify(device, token, scopes)
            assert (found is None) == is_revoked
            assert found is None or (found.user_id, found.scopes) == (user, tuple(scopes))
        for device, token in self.ended:
            assert self.state.devices.verify(device, token) is None


class SqlitePairingMachine(PairingMachine):
    store = "sqlite"


TestPairingMachine = PairingMachine.TestCase
TestPairingMachine.settings = settings(max_examples=25, stateful_step_count=30)
TestSqlitePairingMachine = SqlitePairingMachine.TestCase
TestSqlitePairingMachine.settings = settings(max_examples=12, stateful_step_count=20)
