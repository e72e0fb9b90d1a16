"""
Whether a question asks for a time, and whether a text tells one: by words and signs.

In many languages and by signs that all write alike (14:30, 2026-03-18, 1999). Not by parsing: a
text that says "yesterday" answers "when?" as well as a date does.
"""

from __future__ import annotations

import re
from functools import cache

from clawstate.memory.letters import fold

_AUXILIARY = (
    "did|do|does|is|are|was|were|will|has|have|had|can|should|would|am|shall|could|must|may|might"
)
# "When I was young, ..." asks for no time; a verb before its subject makes a question.
_ASKED = rf"""
    when's|when (?:{_AUXILIARY})|since when|how (?:long|old)|how much time
    (?:what|which) (?:date|day|time|year|month|week)
    wann|wie (?:lange|alt)|um wie viel uhr|welche[mnrs]? (?:tag|datum|jahr|monat|woche)
    quand|combien de temps|quel jour|quelle (?:date|heure|annee)
    cuando|cuanto tiempo|que dia|que hora|hace cuanto
    quando|quanto tempo|che ora|che giorno|da quanto|que horas
    wanneer|hoe (?:lang|laat|oud)|nar|hur lange|kiedy|jak dlugo|o ktorej
    ne zaman|saat kacta|kapan|berapa lama|khi nao|bao lau|cand
    когда|как долго|во сколько|сколько (?:времени|лет)|коли|ποτε|ποσο καιρο|τι ωρα
    متي|متى|منذ متي|منذ متى|كم الساعه|किस दिन|कितने (?:बजे|दिन|साल)|कब
"""
_ASKED_UNSPACED = (
    "什么时候|什麼時候|何时|何時|几点|幾點|多久|哪天|いつ|何日|何曜日|언제|몇 ?시|며칠"
    "|เมื่อไหร่|เมื่อไร|กี่โมง|วันไหน"
)

_SPAN = "seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?"
_SEASON = "summer|winter|spring|autumn|fall"
_MANY = r"\d+|one|two|three|four|five|six|seven|eight|nine|ten"
_TOLD = rf"""
    yesterday|today|tonight|tomorrow|ago|weekends?|noon|midnight|recently|morning|evening|afternoon
    monday|tuesday|wednesday|thursday|friday|saturday|sunday
    january|february|march|april|june|july|august|september|october|november|december
    (?:in|of|since|until|early|late|mid) may|may \d{{1,2}}|\d{{1,2}}(?:st|nd|rd|th)? may
    (?:last|next|this|past|few|couple of|every|each|{_MANY}) (?:{_SPAN}|{_SEASON}|christmas|time)
    (?:19|20)\d\d|\d{{1,2}}(?:st|nd|rd|th)|\d{{1,2}} ?(?:am|pm|a\.m|p\.m|o'clock|uhr|h)
    \d{{1,2}}:\d\d|\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}
    gestern|heute|morgens?|abends?|montags?|dienstags?|mittwochs?|donnerstags?|freitags?|samstags?
    sonntags?|januar|februar|marz|mai|juni|juli|oktober|dezember|wochen?|monate?n?|jahre?n?
    aujourd'hui|demain|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|janvier|fevrier
    mars|avril|juin|juillet|aout|septembre|octobre|novembre|decembre|semaines?|mois|annees?
    ayer|hoy|manana|lunes|martes|miercoles|jueves|viernes|sabado|domingo|enero|febrero|marzo|abril
    mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|semanas?|meses|anos?|noches?
    ieri|oggi|domani|lunedi|martedi|mercoledi|giovedi|venerdi|domenica|gennaio|febbraio|aprile
    maggio|giugno|luglio|settembre|ottobre|dicembre|settiman[ae]|mes[ei]|ann[io]
    ontem|hoje|amanha|segunda-feira|terca-feira|quarta-feira|quinta-feira|sexta-feira|janeiro
    fevereiro|maio|junho|julho|setembro|outubro|dezembro
    gisteren|vandaag|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag|weken|maanden|jaar
    вчера|сегодня|завтра|понедельник\w*|вторник\w*|сред[аеуы]|четверг\w*|пятниц\w*|суббот\w*
    воскресень\w*|январ\w*|феврал\w*|март[ае]?|апрел\w*|ма[ея]|июн\w*|июл\w*|август\w*|сентябр\w*
    октябр\w*|ноябр\w*|декабр\w*|недел\w*|месяц\w*|год\w*|лет|утр\w*|вечер\w*|час\w*
    χθεσ|σημερα|αυριο|δευτερα|τριτη|τεταρτη|πεμπτη|παρασκευη|σαββατο|κυριακη|εβδομαδα\w*|μηνα\w*
    χρονι\w*|ετοσ|ετη|ωρα|πρωι|βραδυ|απογευμα
    امس|اليوم|غدا|الاثنين|الثلاثاء|الاربعاء|الخميس|الجمعه|السبت|الاحد|اسبوع|الاسبوع|شهر|الشهر
    سنه|عام|الساعه|صباحا|مساء|يوم
    आज|कल|परसों|सोमवार|मंगलवार|बुधवार|गुरुवार|शुक्रवार|शनिवार|रविवार|हफ़्ते
    हफ्ते|महीने|साल|बजे|सुबह|शाम|तारीख
"""
_TOLD_UNSPACED = (
    "昨天|今天|明天|后天|後天|前天|星期|[上下每]?[周週][一二三四五六日]|[上下]个?[周週月]|月|年|[点點号號]"
    "|早上|下午|晚上|去年|昨日|今日|明日|曜日|先週|来週|時|朝|夜"
    "|어제|오늘|내일|요일|지난|다음 ?주|월|년|[0-9한두세네섯곱덟홉열] ?시|아침|저녁"
    "|เมื่อวาน|วันนี้|พรุ่งนี้|วัน[จอพศส]|เดือน|ปี|โมง|สัปดาห์"
)


def asks_for_time(question: str) -> bool:
    """Tell whether *question* asks when something is, or how long."""
    return _pattern(_ASKED, _ASKED_UNSPACED).search(fold(question)) is not None


def tells_time(text: str) -> bool:
    """Tell whether *text* says a time, of whatever."""
    return _pattern(_TOLD, _TOLD_UNSPACED).search(fold(text)) is not None


@cache
def _pattern(words: str, unspaced: str) -> re.Pattern[str]:
    spaced = "|".join(each.strip() for each in words.strip().splitlines())
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)|{unspaced}")
