from __future__ import annotations

import json
import os

import pytest
from ledger import Ledger, strays_of
from node_options import HASTY, PATIENT

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
TIMES = 200 if FULL else 50

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


@pytest.mark.parametrize("options", [PATIENT, HASTY], ids=["patient", "hasty"])
def test_losses_among_nodes_are_counted(tmp_path, start_peers, tell, options) -> None:
    """Every increment of two OpenClaws is acknowledged or fails, and every lost one explained."""
    path = tmp_path / "counter.json"
    peers = start_peers(2)

    asked = [
        each.send("increment", path=path, writer=f"node{n}", times=TIMES, options=options)
        for n, each in enumerate(peers)
    ]
    told = [each.events(number) for each, number in zip(peers, asked, strict=True)]

    acknowledged = sum(each[-1]["acknowledged"] for each in told)
    failed = sum(len(each[-1]["errors"]) for each in told)
    document = json.loads(path.read_text())
    strays = [stray for n, each in enumerate(told) for stray in strays_of(each[-1], f"node{n}")]
    ledger = Ledger([ack for each in told for ack in each[:-1]], document["id"], strays)
    tell(f"OpenClaw alone: {acknowledged} acknowledged, {failed} failed; {ledger.report()}")
    assert acknowledged + failed == 2 * TIMES
    assert len(ledger.writes) == acknowledged
    assert len(ledger.surviving) == document["seq"] == sum(document["counts"].values())
    assert len(ledger.losses) == acknowledged - document["seq"]
    assert all(each.is_of_node_only for each in ledger.losses)
    assert ledger.robbed == ()
