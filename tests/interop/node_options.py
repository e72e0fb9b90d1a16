"""The lock options of OpenClaw, in its own form: times in milliseconds."""

from __future__ import annotations


def options(
    *, retries: int, factor: float, least: int, most: int, randomize: bool, stale: int = 30_000
) -> dict[str, object]:
    """Return options with pauses that grow by *factor* from *least* to *most*."""
    growth = {"retries": retries, "factor": factor, "minTimeout": least, "maxTimeout": most}
    return {"retries": {**growth, "randomize": randomize}, "stale": stale}


# What it uses for auth profiles and pairing.
PATIENT = options(retries=10, factor=2, least=100, most=10_000, randomize=True)

# As hasty as it is with its dedupe file, but not as ready to give up.
HASTY = options(retries=400, factor=1.35, least=8, most=30, randomize=True)


def every(milliseconds: int, *, times: int, stale: int = 30_000) -> dict[str, object]:
    """Return options that try so many *times* more, always so many *milliseconds* apart."""
    even = {"factor": 1, "least": milliseconds, "most": milliseconds, "randomize": False}
    return options(retries=times, stale=stale, **even)
