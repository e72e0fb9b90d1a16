# ruff: noqa: T201 - lines are what a victim tells
from __future__ import annotations

import sys

import clawstate
import clawstate.state.auth

print("WARM")
with clawstate.open(sys.argv[1], store="file", clock=lambda: 1.8e9) as state:
    print("READY")
    for name in ("openai:default", "xai:default"):
        state.auth().remove(name)
        print("ACK", name)
