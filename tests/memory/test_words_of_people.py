"""What people type is found as they expect it, in their script and with their habits."""

from __future__ import annotations

import unicodedata

import pytest

from clawstate.memory.query_words import word_query

FILLER = [
    "The ferry leaves at nine from the old harbour",
    "Groceries: oats, rice, coffee, olive oil",
    "Call the plumber about the radiator in the hall",
    "The dentist moved the appointment to Thursday",
]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("İstanbul hotel", "istanbul"),
        ("the Straße is closed", "STRASSE"),
        ("Øresund bridge", "oresund"),
        ("trip to Łódź", "lodz"),
        ("Ελλάδα το καλοκαίρι", "ελλαδα"),
        ("كِتَابٌ جديد", "كتاب"),
        ("\uff46\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48", "full width"),
        ("ﾊﾟｽﾎﾟｰﾄの番号", "パスポート"),
        ("phở bò ở Hà Nội", "pho bo ha noi"),
        ("crème brûlée", "creme brulee"),
        ("ёлка во дворе", "елка"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_match_as_people_type_them(memory, text, query, form) -> None:
    """Case, width, accents, vowel marks and the form of Unicode make no difference, either way."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add(unicodedata.normalize(form, text))

    for asked in (query, text, unicodedata.normalize("NFD", query)):
        (hit, *_) = memory.search(asked, mode="words")
        assert hit.record.text == unicodedata.normalize(form, text)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("护照放在书桌的抽屉里", "我的护照在哪里"),
        ("猫の名前はミケです", "猫の名前は何ですか"),
        ("여권은 책상 서랍에 있다", "여권이 어디에 있나요"),
        ("หนังสือเดินทางอยู่ในลิ้นชัก", "หนังสือเดินทางของฉันอยู่ที่ไหน"),
    ],
)
def test_a_word_is_found_within_a_question(memory, text, question) -> None:
    """Scripts without spaces, and Korean with its particles, are found by words in a question."""
    others = [
        "会议改到星期四下午",
        "電車は九時に出ます",
        "회의는 목요일 오후로 바뀌었다",
        "ประชุมเลื่อนเป็นวันพฤหัส",
    ]
    memory.add_many({"text": each} for each in (*others, text, *FILLER))

    hits = memory.search(question, mode="words")

    assert hits[0].record.text == text


def test_vowel_signs_do_not_cut_words(memory) -> None:
    """Words of Indic scripts are whole: those that share a consonant have nothing in common."""
    memory.add_many({"text": each} for each in ("दादी गाँव में रहती हैं", "தமிழ் மொழி", "বাংলা ভাষা"))

    assert not memory.search("पार्टी हारी", mode="words")
    for asked in ("दादी", "மொழி", "ভাষা"):
        assert len(memory.search(asked, mode="words")) == 1


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("Wo liegt der Schlüssel von unserem Haus?", {"liegt", "schlussel", "hau"}),
        ("¿Dónde está la llave del garaje?", {"llave", "garaj"}),
        ("Où est la clé de la maison ?", {"cle", "maison"}),
        ("Где лежит мой паспорт?", {"лежит", "паспорт"}),
        ("Πού έχω το διαβατήριό μου;", {"διαβατηριο"}),
        ("متى موعد الطبيب؟", {"موعد", "الطبيب"}),
        ("मेरा पासपोर्ट कहाँ है?", {"पासपोर्ट"}),
        ("When did the car die in Las Vegas?", {"car", "die", "la", "vega"}),
    ],
)
def test_a_question_is_asked_by_what_it_is_about(question, terms) -> None:
    """Function words are left out in the language that the question shows, and in no other."""
    assert set(word_query(question).terms) == terms


def test_what_a_question_says_twice_counts_more(memory) -> None:
    """A word that a question says twice weighs more in hybrids; words alone count each once."""
    memory.add_many([{"text": "the red kettle boils"}, {"text": "a green teapot waits"}])
    memory.add_many({"text": f"some other note {number}"} for number in range(8))
    question = "a kettle, whose teapot is a teapot of teapots"

    (first, *_), (once, *others) = (
        memory.search(question, mode=mode) for mode in ("hybrid", "words")
    )

    assert word_query(question, repeats=True).repeated == (("teapot", 3),)
    assert first.record.text == "a green teapot waits"
    assert once.words_score == pytest.approx(others[0].words_score)
    assert first.words_score == pytest.approx(once.words_score * 3**0.5)


@pytest.mark.parametrize(
    ("notes", "present", "absent"),
    [
        (
            ["护照放在书桌的抽屉里", "我们家的猫叫咪咪"],
            "我的护照在哪里？",
            "火山是什么时候爆发的？",
        ),
        (
            ["パスポートは引き出しにある", "猫の名前はミミです"],
            "パスポートはどこ？",
            "火山はいつ噴火しましたか？",
        ),
        (
            ["여권은 책상 서랍에 있다", "우리 고양이 이름은 미미다"],
            "여권은 어디에 있나요?",
            "화산은 언제 폭발했나요?",
        ),
        (
            ["หนังสือเดินทางอยู่ในลิ้นชัก", "แมวของเราชื่อมีมี่"],
            "หนังสือเดินทางอยู่ที่ไหน",
            "ภูเขาไฟระเบิดเมื่อไหร่",
        ),
        (
            ["Мой паспорт лежит в ящике", "Нашу кошку зовут Мими"],
            "Где мой паспорт?",
            "Когда извергался вулкан?",
        ),
        (
            ["Το διαβατήριο είναι στο συρτάρι", "Η γάτα μας λέγεται Μιμή"],
            "Πού είναι το διαβατήριο;",
            "Πότε εξερράγη το ηφαίστειο;",
        ),
        (
            ["جواز سفري في درج المكتب", "قطتنا اسمها ميمي"],
            "أين جواز سفري؟",
            "متى ثار البركان؟",
        ),
        (
            ["मेरा पासपोर्ट दराज़ में है", "हमारी बिल्ली का नाम मिमी है"],
            "मेरा पासपोर्ट कहाँ है?",
            "ज्वालामुखी कब फटा?",
        ),
    ],
)
def test_a_score_tells_whether_memory_has_an_answer(memory, notes, present, absent) -> None:
    """In any script: a subject that is there scores above 0.2, one that is not there below."""
    memory.add_many({"text": each} for each in (*notes, *FILLER))

    (hit, *_) = memory.search(present)
    scores = [each.score for each in memory.search(absent)]

    assert hit.record.text == notes[0]
    assert hit.score > 0.2
    assert max(scores, default=0.0) < 0.2


def test_joined_numbers_count_as_one(memory) -> None:
    """A date, a version or an address is one term, unless it stands nowhere like that."""
    memory.add("Heartbeat 18:03, last 12:03, year 2026, 18 of 18 checks")
    memory.add("# 2026-03-18 Daily log: planted tomatoes")
    memory.add_many({"text": each} for each in FILLER)

    for asked in ("what happened on 2026-03-18", "2026/03/18", "notes of 2026.03.18"):
        assert memory.search(asked, mode="words")[0].record.text.startswith("# 2026-03-18")
        assert len(memory.search(asked, mode="words")) == 1
    assert memory.search("in 2026-05-01", mode="words")


def test_quotes_mean_a_phrase(memory) -> None:
    """What is asked in quotes stands like that in every hit, if anywhere; in all modes."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add("the kettle is red, the harbour is old")
    exact = memory.add("a red kettle at the harbour")

    for mode in ("words", "hybrid", "vector"):
        for asked in ('where is the "red kettle"', "\u201cred kettle\u201d"):
            assert [hit.record.id for hit in memory.search(asked, mode=mode)] == [exact]
    assert len(memory.search('"harbour kettle" red', mode="words")) > 1


def test_quotes_within_a_question_are_a_phrase_among_its_words(memory) -> None:
    """With more words around them, what is quoted counts as a phrase and shuts nobody out."""
    memory.add_many({"text": each} for each in FILLER)
    near = memory.add("Ada read a book about harbours")
    title = memory.add("Nothing is impossible, a book")

    found = memory.search('when did Ada read "nothing is impossible"', mode="words")

    assert [hit.record.id for hit in found] == [title, near]


def test_a_capital_makes_a_name(memory) -> None:
    """A function word with a capital in mid-sentence is a name; at its start, and "I", is none."""
    memory.add_many({"text": each} for each in FILLER)
    an = memory.add("An moved to Lisbon with a cat")

    assert memory.search("where did An move", mode="words")[0].record.id == an
    assert "an" in word_query("did you call An yesterday").terms
    assert "i" not in word_query("where did I put it").terms
    assert "will" not in word_query("Will it rain tomorrow").terms
    assert "to" not in word_query("How To Bake Bread At Home").terms


def test_a_long_query_is_asked_by_its_rarest_terms(memory) -> None:
    """However much stands before the question, the rarest of its words count."""
    memory.add_many({"text": f"{each} agenda item {n}"} for n in range(40) for each in FILLER[:2])
    wanted = memory.add("the zebrafish aquarium needs salt")
    minutes = " ".join(f"agenda item {n} ferry harbour groceries coffee word{n}" for n in range(90))

    hits = memory.search(f"{minutes}. What does the zebrafish need?", mode="words")

    assert hits[0].record.id == wanted


def test_fields_are_searched_apart_from_the_text(memory) -> None:
    """A record is found by its title, headings and names, and they leave its text's score alone."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add_many(
        [
            {"text": "Turn the left knob twice.", "names": ["Boiler manual"], "id": "boiler"},
            {
                "text": "Day one: tram",
                "title": "Lisbon itinerary",
                "names": ["Portugal plan"],
                "id": "lisbon",
            },
            {"text": "Twice a week", "headings": ["Watering", "Ferns"], "id": "ferns"},
            {"text": "Ask about the bill", "names": ["About us"], "id": "us"},
        ]
    )

    for asked, wanted in {
        "boiler manual": "boiler",
        "lisbon itinerary": "lisbon",
        "portugal plan": "lisbon",
        "watering the ferns": "ferns",
        "about us": "us",
    }.items():
        for mode in ("words", "hybrid"):
            assert memory.search(asked, mode=mode)[0].record.id == wanted
    memory.update("boiler", names=["Heating"])
    assert memory.search("heating", mode="words")[0].record.id == "boiler"
    assert memory.search("manual", mode="words") == []


def test_a_score_by_words_tells_what_was_found(memory) -> None:
    """A topic that memory has gives more than 0.2, one that it has nothing of less."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add("my passport is in the desk drawer")

    present = memory.search("where is my passport", mode="words")
    absent = memory.search("which telescope did the astronomer at Thursday recommend", mode="words")

    assert present[0].score > 0.5
    assert all(hit.score < 0.2 for hit in absent)
