"""A question for a time prefers records that tell one."""

from __future__ import annotations

import pytest

from clawstate.memory.times import asks_for_time, tells_time


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("When did Ada move?", True),
        ("Tell me, since when is the shed locked", True),
        ("How long have they been married?", True),
        ("Which month is the fair in?", True),
        ("When I lived in Rome, what was the cat called?", False),
        ("What did Ada say?", False),
        ("Whenever it rains, who shuts the window?", False),
        ("Wann endet der Mietvertrag?", True),
        ("\u00bfCu\u00e1ndo sale el tren?", True),
        ("Когда отходит поезд?", True),
        ("Πότε είναι ο γάμος;", True),
        ("متى موعد الطبيب؟", True),
        ("शादी कब है?", True),
        ("我妹妹什么时候过生日？", True),
        ("いつ転職しますか？", True),
        ("결혼식은 언제예요?", True),
        ("นัดหมอฟันเมื่อไหร่", True),
        ("我的护照在哪里？", False),
    ],
)
def test_who_asks_for_a_time(question, asks) -> None:
    """A question word of time asks; the same word that opens a clause does not."""
    assert asks_for_time(question) is asks


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("I went there yesterday", True),
        ("we meet at 14:30", True),
        ("signed on 2026-03-18", True),
        ("back in May, or May 3", True),
        ("it may rain", False),
        ("The boiler is red", False),
        ("three of the dogs", False),
        ("three weeks of rain", True),
        ("Am Montag um acht", True),
        ("Встреча в понедельник", True),
        ("Η συνάντηση χθες", True),
        ("موعد الطبيب يوم الخميس", True),
        ("शादी सोमवार को है", True),
        ("下周三去机场", True),
        ("会議は三時に始まります", True),
        ("토요일에 등산을 간다", True),
        ("ประชุมวันจันทร์", True),
    ],
)
def test_who_tells_a_time(text, tells) -> None:
    """Dates, hours, days, months and words such as yesterday tell a time, whatever the language."""
    assert tells_time(text) is tells


def test_the_time_that_is_asked_for_comes_first(memory) -> None:
    """Of two records about the same, who tells a time answers when; and the search says why."""
    memory.add_many({"text": f"note {number} about the garden"} for number in range(30))
    plain = memory.add("Ada joined the support group")
    timed = memory.add("Ada joined the support group yesterday, on foot")

    (first, second, *_) = memory.search("when did Ada join the support group?", explain=True)
    (other, *_) = memory.search("why did Ada join the support group?")

    assert (first.record.id, second.record.id, other.record.id) == (timed, plain, plain)
    assert first.explanation.factor == pytest.approx(1.3)
    assert {part.kind for part in first.explanation.parts} >= {"time", "word", "meaning"}
