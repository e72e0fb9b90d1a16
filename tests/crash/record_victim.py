# ruff: noqa: T201 - lines are what a victim tells
from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from meeting import NOWHERE, meet
from operations import Things, descriptors

from clawstate.errors import StateError

warnings.simplefilter("ignore")
print("WARM")
root, engine, operation, umask, place = Path(sys.argv[1]), *sys.argv[2:]
os.umask(int(umask, 8))
things = Things(engine, root)
meeting = None if place == NOWHERE else meet(place)
print("READY")
for number in (1, 2, 3) if meeting else (1, 2):
    print("TRY", number)
    try:
        things.do(operation, number)
    except StateError as error:
        print("ERR", number, error.code, error)
    else:
        print("ACK", number)
    if meeting and number == 2:
        meeting.wait()
things.close()
if meeting:
    print("OPEN", descriptors())
print("END")
