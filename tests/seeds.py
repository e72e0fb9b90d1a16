from __future__ import annotations

import os
import random


def seed() -> int:
    """
    Return `CLAWSTATE_SEED`; without it 1, and in a full run (`CLAWSTATE_FULL`) a new one.

    So a failure of the short run can be repeated by anybody, and the long run looks further.
    """
    given = os.environ.get("CLAWSTATE_SEED")
    if given:
        return int(given)
    return random.SystemRandom().randrange(10**9) if os.environ.get("CLAWSTATE_FULL") else 1
