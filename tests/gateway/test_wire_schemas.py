"""The types of the JSON forms say what the forms are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

import clawstate.types as values
from clawstate.wire import to_wire
from clawstate.wire.schemas import memory, records
from test_wire_forms import ROUND_TRIPS

SCHEMAS = {
    values.AuthProblem: records.AuthProblem,
    values.Change: records.Change,
    values.Device: records.Device,
    values.DeviceToken: records.DeviceToken,
    values.Finding: records.Finding,
    values.Message: records.Message,
    values.PairingRequest: records.PairingRequest,
    values.PluginInfo: records.PluginInfo,
    values.SessionEntry: records.Session,
    values.TranscriptHit: records.FoundMessage,
    values.TranscriptInfo: records.TranscriptInfo,
    values.Compaction: memory.Compaction,
    values.Conflict: memory.Conflict,
    values.Explanation: memory.Explanation,
    values.Forgotten: memory.Forgotten,
    values.Hit: memory.Hit,
    values.InboxItem: memory.InboxItem,
    values.LegScore: memory.LegScore,
    values.MemoryRecord: memory.Record,
    values.Provenance: memory.Provenance,
    values.Recall: memory.Recall,
    values.Receipt: memory.Receipt,
    values.RecordVersion: memory.RecordVersion,
    values.Reembedding: memory.Reembedding,
    values.RetentionReport: memory.RetentionReport,
    values.ScorePart: memory.ScorePart,
    values.Unmet: memory.Unmet,
    values.Verdict: memory.Verdict,
}


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_form_is_of_its_type(kind, data) -> None:
    """The form of any value has the members of its type, with their types, and no other ones."""
    form = json.loads(json.dumps(to_wire(data.draw(ROUND_TRIPS[kind]))))

    assert TypeAdapter(SCHEMAS[kind]).validate_python(form, strict=True) == form
