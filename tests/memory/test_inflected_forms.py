"""Words of other languages than English are found in each of their forms."""

from __future__ import annotations

import sys
from subprocess import run

import pytest

from clawstate.cli.records_view import hit_lines
from clawstate.memory.stemming import languages_of

FILLER = [
    "The ferry leaves at nine from the old harbour",
    "Groceries: oats, rice, coffee, olive oil",
    "Call the plumber about the radiator in the hall",
]

NOTES = {
    "ar": [
        ("المفاتيح على الطاولة في المطبخ", "طاولة"),
        ("ذهبنا إلى المدرسة مع الجيران", "مدرسة"),
        ("هذا البيت قديم وله حديقة", "بيت"),
        ("اشتريت الكتاب من السوق", "كتاب"),
        ("السيارة عند الباب منذ أمس", "سيارة"),
    ],
    "ca": [
        ("Els gats de la veïna dormen al pati", "gat"),
        ("Les claus eren amb els papers a la caixa", "paper"),
        ("Les taules de la plaça són velles", "taula"),
        ("Vam comprar tomàquets i pebrots al mercat", "tomàquet"),
        ("Les finestres no es tanquen bé", "finestra"),
    ],
    "cs": [
        ("Klíče a knihy leží na stole v kuchyni", "kniha"),
        ("Kočky spí pod postelí, když je zima", "kočka"),
        ("Koupili jsme lampy pro naše pokoje", "lampa"),
        ("Smlouvy jsou v horní zásuvce", "smlouva"),
        ("Zahrady za domem jsou plné květin", "zahrada"),
    ],
    "da": [
        ("Bilerne holder foran huset ved havnen", "bil"),
        ("Vi har malet vinduerne i køkkenet", "vindue"),
        ("Pigerne skal til svømning på torsdag", "pige"),
        ("Hvor er nøglerne til kælderen?", "nøgle"),
        ("Hundene løb ned til stranden", "hund"),
    ],
    "de": [
        ("Die Häuser am Hafen wurden im Mai verkauft", "Haus"),
        ("Die Rechnungen liegen in der Schublade", "Rechnung"),
        ("Mit den Kindern waren wir beim Zahnarzt", "Kind"),
        ("Das Auto hat neue Reifen und Bremsen bekommen", "Bremse"),
        ("Unsere Katzen mögen das neue Futter nicht", "Katze"),
    ],
    "el": [
        ("Τα βιβλία είναι στο τραπέζι της κουζίνας", "βιβλίο"),
        ("Οι γάτες κοιμούνται στην αυλή", "γάτα"),
        ("Όλοι οι δρόμοι ήταν κλειστοί χτες", "δρόμος"),
        ("Αγοράσαμε δύο εισιτήρια για το τρένο", "εισιτήριο"),
        ("Τα παράθυρα δεν κλείνουν καλά", "παράθυρο"),
    ],
    "es": [
        ("Los gatos de mi vecina duermen en la terraza", "gato"),
        ("Las canciones del concierto están en la lista", "canción"),
        ("Compramos tomates y cebollas en el mercado", "cebolla"),
        ("Mis hermanas llegan el jueves por la tarde", "hermana"),
        ("Las ventanas de la cocina no cierran bien", "ventana"),
    ],
    "fi": [
        ("Auton avaimet ovat keittiön pöydällä", "avain avaimen"),
        ("Kirjat ovat laatikossa, joka on kellarissa", "kirja"),
        ("Talossa on uusi katto ja ikkunat", "talo"),
        ("Koirat juoksivat rannalla koko päivän", "koira"),
        ("Kissat eivät pidä siitä ruoasta", "kissa"),
    ],
    "fr": [
        ("Les clés sont dans le tiroir de la cuisine", "tiroirs"),
        ("Nous avons repeint les fenêtres du salon", "fenêtre"),
        ("Les chevaux du voisin se sont échappés", "cheval"),
        ("Mes cousines arrivent jeudi par le train", "cousine"),
        ("Il faut payer les factures avant la fin du mois", "facture"),
    ],
    "hi": [
        ("किताबें मेज़ पर रखी हैं", "किताब"),
        ("लड़के बाग में खेल रहे थे", "लड़का"),
        ("खिड़कियाँ ठीक से बंद नहीं होतीं", "खिड़की"),
        ("कमरों में नया रंग हुआ है", "कमरा"),
        ("दुकानों में चाय नहीं मिली", "दुकान"),
    ],
    "hu": [
        ("A könyvek az asztalon vannak a nappaliban", "könyv"),
        ("A házban már nincs fűtés", "ház"),
        ("Az autóval mentünk le a tóhoz", "autó"),
        ("Hol vannak a kulcsok a pincéhez?", "kulcs"),
        ("A macskák nem szeretik ezt az ételt", "macska"),
    ],
    "it": [
        ("Abbiamo dipinto le finestre della cucina", "finestra"),
        ("I gatti della vicina dormono sul balcone", "gatto"),
        ("Le sedie sono nel corridoio di sopra", "sedia"),
        ("Mio fratello ha comprato due libri", "libro"),
        ("Le bollette vanno pagate entro venerdì", "bolletta"),
    ],
    "nl": [
        ("We hebben de ramen van de keuken geschilderd", "raam"),
        ("De huizen aan de haven zijn verkocht", "huis"),
        ("Mijn katten lusten het nieuwe voer niet", "kat"),
        ("De sleutels liggen in de bovenste lade", "sleutel"),
        ("Er staan drie fietsen voor de deur", "fiets"),
    ],
    "no": [
        ("Nøklene ligger på bordet i gangen", "nøkler"),
        ("Båtene ved brygga er solgt", "båt"),
        ("Vi har malt husene på øya i år", "hus"),
        ("Jentene skal på svømming på torsdag", "jente"),
        ("Hvor er billettene til toget?", "billett"),
    ],
    "pl": [
        ("Książki leżą na stole w kuchni", "książka"),
        ("Koty sąsiadki śpią pod oknem", "kot"),
        ("Kupiliśmy bilety na pociąg do Gdańska", "bilet"),
        ("Domy przy porcie zostały sprzedane", "dom"),
        ("Umowy są w górnej szufladzie", "umowa"),
    ],
    "pt": [
        ("As janelas da cozinha não fecham bem", "janela"),
        ("As reuniões foram todas para quinta-feira", "reunião"),
        ("Os livros estão na caixa do sótão", "livro"),
        ("Os meus primos chegam de comboio", "primo"),
        ("As contas da luz estão na gaveta", "conta"),
    ],
    "ro": [
        ("Casele de lângă port au fost vândute", "casă"),
        ("Biletele pentru tren sunt în sertar", "bilet"),
        ("Pisicile vecinei dorm pe balcon", "pisică"),
        ("Ferestrele din bucătărie nu se închid", "ferestre"),
        ("Florile din grădină au nevoie de apă", "florilor"),
    ],
    "ru": [
        ("Книги лежат на столе в кабинете", "книга"),
        ("Мы купили билеты на поезд", "билет"),
        ("Кошки соседки спят на балконе", "кошка"),
        ("Окна на кухне плохо закрываются", "окно"),
        ("Встреча с врачами будет в четверг", "врач"),
    ],
    "sv": [
        ("Bilarna står framför huset vid hamnen", "bil"),
        ("Vi har målat stolarna i köket", "stol"),
        ("Flickorna ska till simningen på torsdag", "flicka"),
        ("Var är nycklarna till källaren?", "nycklar"),
        ("Hundarna sprang ner till stranden", "hund"),
    ],
    "tr": [
        ("Kitaplar mutfaktaki masanın üzerinde", "kitap"),
        ("Anahtarları çekmecede buldum", "anahtar"),
        ("Evlerin hepsi satıldı", "evler"),
        ("Arabalar kapının önünde duruyor", "araba"),
        ("Toplantı için biletleri aldık ve otel ayırttık", "bilet"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("language", NOTES)
def test_forms_of_a_word_find_each_other(memory, language) -> None:
    """A note is found by another form of one of its words, and nothing else is."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add_many({"text": text} for text, _ in NOTES[language])

    found = {
        word: [hit.record.text for hit in memory.search(word, mode="words")]
        for _, word in NOTES[language]
    }

    assert found == {word: [text] for text, word in NOTES[language]}


def test_one_memory_holds_many_languages(memory) -> None:
    """Each note is found by another form of its word among notes of all languages."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add_many({"text": text} for notes in NOTES.values() for text, _ in notes)

    missed = [
        (language, word)
        for language, notes in NOTES.items()
        for text, word in notes
        if text not in [hit.record.text for hit in memory.search(word, k=8, mode="words")]
    ]

    assert missed == []


def test_a_form_that_is_asked_for_stands_above_others(memory) -> None:
    """Among texts of one length who has a word more often is first, in whatever forms."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add("Das Haus und die Scheune sind verkauft")
    memory.add("Das Haus und die Häuser sind verkauft")

    hits = memory.search("Häuser", mode="words")

    assert [hit.record.text for hit in hits] == [
        "Das Haus und die Häuser sind verkauft",
        "Das Haus und die Scheune sind verkauft",
    ]
    assert hits[0].words_score < 2 * hits[1].words_score


@pytest.mark.parametrize("is_folded", [False, True])
def test_an_edit_and_a_removal_take_their_stems_along(memory, is_folded) -> None:
    """What a record no longer says is not found by its stems, before and after a merge."""
    houses, cats = memory.add_many(
        [{"text": "Die Häuser am Hafen wurden verkauft"}, {"text": "Die Katzen mögen das nicht"}]
    )
    if is_folded:
        memory.optimize()

    memory.update(houses, text="Die Boote am Hafen wurden verkauft")
    memory.delete(cats)

    if is_folded:
        memory.optimize()
    assert list(memory.search("Haus", mode="words")) == []
    assert list(memory.search("Katze", mode="words")) == []
    assert [hit.record.id for hit in memory.search("Boot", mode="words")] == [houses]
    assert [each for each in memory.check(deep=True) if each.severity != "info"] == []


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("The ferry leaves at nine from the old harbour", ()),
        ("Ada prefers green tea", ()),
        ("Paris Las Vegas trip", ()),
        ("wifi password 1234", ()),
        ("I met Carlos de la Vega at the harbour", ()),
        ("Rechnungen bezahlt", ("de",)),
        ("Häuser", ("de", "fi", "sv")),
        ("Nøklene ligger på bordet", ("da", "no")),
        ("The book Война и мир is on the shelf", ("ru",)),
    ],
)
def test_a_text_shows_its_language(text, languages) -> None:
    """What is English has none of these languages; what shows several alike has all of them."""
    assert languages_of(text) == languages


def test_reasons_and_snippets_show_the_form_that_was_found(memory) -> None:
    """An explanation tells the stem, its language and what the record writes, which is marked."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add("Im Mai wurden alle Häuser verkauft", title="Das Haus am Hafen")

    (hit,) = memory.search("Haus", mode="words", explain=True)

    parts = {part.field: part for part in hit.explanation.parts}
    found = parts["text"]
    assert (found.term, found.language, found.written) == ("haus", "de", "Häuser")
    assert (parts["title"].language, parts["title"].written) == ("", "Haus")
    assert hit.explanation.missing == ()
    assert sum(each.points for each in parts.values()) == pytest.approx(hit.score)
    shown = "\n".join(hit_lines(hit, "Haus"))
    assert shown.partition("Häuser")[0].endswith("[1m")


def test_english_alone_loads_no_stemmer() -> None:
    """Who keeps English pays for no other language, and who has one for no more than that."""
    program = """
import sys
from clawstate.memory.analysis import terms_with_places
terms_with_places(["The ferry leaves at nine from the old harbour"])
print([each for each in sys.modules if "_stemmer" in each])
terms_with_places(["Die Häuser am Hafen wurden verkauft"])
print([each for each in sys.modules if "_stemmer" in each])
"""
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["[]", "['clawstate._snowball.german_stemmer']"]
