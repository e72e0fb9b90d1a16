"""`Memory`: the one door to what is remembered."""

from clawstate.memory.service.capture import CaptureVerbs
from clawstate.memory.service.conflicts import ConflictVerbs
from clawstate.memory.service.duplicates import DuplicateVerbs
from clawstate.memory.service.listing import ListVerbs
from clawstate.memory.service.mapping import MapVerbs
from clawstate.memory.service.retention import RetentionVerbs
from clawstate.memory.service.searching import SearchVerbs


class Memory(
    CaptureVerbs,
    ConflictVerbs,
    DuplicateVerbs,
    ListVerbs,
    SearchVerbs,
    MapVerbs,
    RetentionVerbs,
):
    """
    Long-term memory: records in, the right ones out (specification sections 6 and 7).

    Every write is on disk when its call returns. Search works offline, by words and by meaning;
    without usable vectors it falls back to words, with a `FallbackWarning`, and silently where it
    was told not to search *by_meaning*. Without an *embedder* it takes one of ours, by *choice*.
    *lend* gives the leases of its state, *inbox* the collection of what waits for a person,
    which *clear_inbox* clears of the bytes of what is gone, *conflicts* that of what files and
    records disagree about, *set_aside* where memories lie that were moved and kept,
    *policy* that of the setting `memory.retention`; *places* is the file of its map.
    Thread-safe.
    """
