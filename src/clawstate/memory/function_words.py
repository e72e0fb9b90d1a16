"""
The closed word classes of many languages: what a question is made of and not about.

Pronouns, articles, prepositions, conjunctions, auxiliaries, question words, and what is left of
contractions; folded when they are looked up. Scripts written without spaces have theirs in
`query_words`, where they are cut out of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from clawstate.memory.letters import fold

_ENGLISH = """
    a about above across after again against ain all along also although always am among an
    and any anyone anything are aren around as at away back be because been before being
    below between both but by can cannot could couldn d did didn do does doesn don down
    during each either else ever every few for from further get gets got had hadn has hasn
    have haven he her here hers herself him himself his how however i if in into is isn it
    its itself just least less let like ll m many may maybe me might mine more most much
    must my myself near neither never no nor not now of off often on once one only or other
    others ought our ours ourselves out over own per perhaps please quite rather re really s
    same shall she should shouldn since so some somebody someone something such t than that
    the their theirs them themselves then there these they thing things this those though
    through thus till to too toward under until up upon us ve very via want was wasn we well
    were weren what whatever when where whether which while who whom whose why will with
    within without won would wouldn yet you your yours yourself
"""

STOP_WORDS: Final = frozenset(_ENGLISH.split())
"""The English ones."""

# A word in one of these scripts is a word of these languages, whatever stands beside it.
_BY_SCRIPT = """
    а без бы был была были было быть в вам вами вас ваш ваша ваше ваши весь во вот все всё всего
    всех вы где да для до его ее её ей ему если есть ещё же за зачем и из или им ими их к как
    какая какие какими каких какого какое какой каком какому какую ко когда кого кому кто куда ли
    лишь мне меня мной мог могу может можно мои мой моя моё моего моей моём мою моих моим мы на
    над надо нам нами нас наш наша наше наши нашей нашего нашу не него нее неё ней нет ни них но
    ну о об однако он она они оно от откуда очень по под почему при про с сам сама сами свой своя
    своё свои своего своей своих со так такая такие такой там тебе тебя тем то тобой тогда того
    тоже той только том тот ту тут ты у уже чего чей чем чему через что чтобы чья чьё чьи эта эти
    этих это этого этой этом этот эту я сколько был буду будет будут
    але або був була було були бути вже від він вона вони воно де для до з за зі й коли котрий
    мене мені мій моя моє мої ми на нас наш наша не немає ні та так там те ти тільки це цей ця ці
    чи чому що щоб як яка яке який які якого якої якому я у є хто

    αι αλλά αν από αυτά αυτές αυτή αυτήν αυτό αυτοί αυτός αυτού αυτών αφού για γιατί δε δεν εάν
    εγώ εδώ εκεί εμάς εμείς εμένα εν ενός ένα έναν ένας επίσης εσάς εσείς εσένα εσύ έχει έχεις
    έχουμε έχουν έχω η ή ήμουν ήταν θα και κατά κάθε κάποια κάποιο κάποιος κι μα μας με μέσα μέχρι
    μη μην μία μια μιας μου να ο οι όμως όπου όπως όταν ό,τι ότι ούτε πάνω παρά περί πιο ποια
    ποιά ποιαν ποιες ποιο ποιό ποιοι ποιον ποιος ποιός ποιου πολύ πόσα πόσες πόση πόσο πόσοι πόσος
    πόσους που πού πότε πριν προς πως πώς σ σαν σας σε σου στα στη στην στις στο στον στους στου
    στων σ' συ τα τη της την τι τις το τον του τους των τότε είμαι είμαστε είναι είσαι είστε είχα
    είχε είχαν ως κάτω χωρίς πρέπει μπορώ μπορεί

    أ إلى الى أن ان إن أنا انا أنت انت أنتم أو او أي اي أين اين أية اية إذا اذا التي الذي الذين
    بعد بين بها به ثم حتى حيث خلال ذلك تلك سوف على عن عند عندما عندي غير في فيه فيها قبل قد كان
    كانت كل كم كما كيف لا لم لن له لها لهم لي لماذا لدي لدى لقد لكن ليس ليست ما ماذا متى مع من منذ
    منه منها نحن هذا هذه هل هم هنا هناك هو هي و هما كلها أيضا ايضا أيها يوجد توجد يا بدون فقط تكون
    يكون أكون نفس لأن لان ب ل ك

    از است اگر آن آنها این ان او با باید بر برای بود بودن به بی تا تو چه چرا چطور چقدر چگونه چند
    چی خود در را شد شده شما شود ما من می نمی نیست هست هستم هستند هم هر و ولی یا یک که کجا کدام کسی
    کی کیست کنم کند کرد است؟ دارم دارد داریم

    אבל או אותו אותה אז אחרי איזה איזו איך אין איפה אל אלה אם אני אנחנו אנו אתה את אתם באיזה בין גם
    היא הוא הם הן היה היו הייתה היתה הזה הזאת זה זאת זו יש כי כל כמה כמו כן לא לי לך לו לה למה מה
    מי מתי מן נו על עם עד רק של שלי שלך שלו שלה שלנו תחת אצל לאן מדוע כאן שם היכן

    अगर अपना अपनी अपने अब अभी आप आपका आपकी आपके इन इनका इस इसका इसकी इसके इसे इसमें उन उनका उनकी
    उनके उन्हें उस उसका उसकी उसके उसने उसे एक ऐसा और कई कब कभी कर करता करती करते करना करने का कि
    किया किस किसका किसकी किसके किसने किसी किसे की कितना कितनी कितने कुछ के कैसा कैसी कैसे को कोई
    कौन कौनसा कौनसी क्या क्यों गए गया गयी गई चाहिए जब जहाँ जहां जा जाता जाती जाते जाना जिस जिसका जो
    तक तब तुम तुम्हारा तू तो था थी थीं थे दिया देना दो नहीं ना ने पर परंतु फिर बहुत बाद भी मगर मुझे
    मुझको में मेरा मेरी मेरे मैं मैंने यदि यह यहाँ यहां या ये रहा रही रहे लेकिन लिए लिया वह
    वहाँ वहां
    वाला वाली वाले वे व सकता सकती सकते सब सभी सा सी से हम हमारा हमारी हमारे हमें ही हुआ हुई हुए
    हूँ हूं
    है हैं हो होता होती होते होना होने होगा होगी द्वारा कहाँ कहां

    আমি আমার আমাদের আপনি আপনার তুমি তোমার সে তার তারা এই এটা এটি ওই কি কী কে কেন কোথায় কখন কোন
    কত কিভাবে কেমন এবং ও বা না নেই আছে ছিল হয় হবে করে করা থেকে জন্য মধ্যে উপর সঙ্গে একটি যে যা

    நான் என் எனது எங்கள் நீ நீங்கள் உங்கள் அவர் அவள் அவன் அது இது இந்த அந்த என்ன எங்கே எப்போது ஏன்
    யார் எப்படி எத்தனை எவ்வளவு எந்த மற்றும் அல்லது உள்ளது இல்லை ஒரு
"""

# Words of these languages are words of others too, so a query must show whose it is.
_LATIN = {
    "de": """
    aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis
    bist da damit dann das daß dass dein deine deinem deinen deiner dem den denn der des dessen
    dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein eine einem einen
    einer eines er es etwas euch euer für gegen gibt habe haben hat hatte hatten hattest hier hin
    ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes
    jemand kann kannst kein keine keinen können könnte mal man mein meine meinem meinen meiner
    mich mir mit muss müssen nach nicht nichts noch nur ob oder ohne schon sehr sein seine seinem
    seinen seiner seit sich sie sind so soll sollen sollte über um und uns unser unsere unserem
    unseren unter vom von vor wann war waren warum was weil welche welchem welchen welcher welches
    wem wen wenn wer werde werden wessen weshalb wie wieso wieviel viele will wir wird wo wofür
    woher wohin womit worden wurde wurden würde zu zum zur zwischen wegen
    """,
    "fr": """
    à ai alors as au aucun aussi autre aux avait avec avez avoir avons ayant c ce ceci cela celle
    celui ces cet cette ceux chez ci combien comme comment d dans de depuis des donc dont du elle
    elles en encore entre est et étaient était été être eu eux fait faut il ils j je l la là le
    les leur leurs lequel laquelle lui m ma mais me mes moi mon n ne ni nos notre nous on ont ou
    où par pas pendant peut peux plus pour pourquoi qu quand que quel quelle quelles quels qui
    quoi s sa sans se sera ses si sommes son sont sous suis sur t ta te tes toi ton tous tout
    toute toutes très tu un une vers vos votre vous y
    """,
    "es": """
    a al algo alguien algún alguna ante antes aquel aquella aquí así aunque cada casi como cómo
    con contra cuál cuáles cual cuando cuándo cuánta cuántas cuánto cuántos de del desde donde
    dónde dos durante e el él ella ellas ellos en entre era eran eres es esa ese eso esta está
    están estaba estar estas este esto estos estoy fue fueron ha había han hasta hay he la las le
    les lo los más me mi mí mis mucho muy nada ni no nos nosotros nuestra nuestro nuestras
    nuestros o os para pero por porque puede pues qué que quién quien quiénes se ser será si sí
    sido sin sobre solo son soy su sus también tan tanto te tengo tiene tienen tenemos ti todo
    todos toda todas tu tú tus un una uno unos unas usted y ya yo
    """,
    "it": """
    a ad agli ai al alla alle allo anche avere avete aveva c che chi ci ciò col come con contro
    così cosa cui d da dai dal dalla dalle dallo degli dei del della delle dello dentro di dopo
    dove e è ed era erano essere fra fu gli ha hai hanno ho i il in io l la le lei li lo loro lui
    ma me mi mia mie miei mio molto ne negli nei nel nella nelle nello noi non nostra nostro o ogni
    ore per perché però più poi può quale quali qual quando quanta quante quanti quanto quel
    quella quelle quello questa queste questi questo qui se sei senza si sia siamo sono sopra
    sotto sta stata stato su sua sue sugli sui sul sulla suo suoi te ti tra tu tua tuo tutti tutto
    un una uno vi voi
    """,
    "pt": """
    a à ao aos aquela aquele aqui as às até cada com como da das de dela dele deles depois do dos
    durante e é ela elas ele eles em entre era eram essa esse esta está estão este eu foi foram há
    isso isto já lhe mais mas me mesmo meu meus minha minhas muito na nas não nem no nos nós nossa
    nosso num numa o onde os ou para pela pelas pelo pelos pode por porque porquê pra qual quais
    quando quanta quantas quanto quantos que quem quê são se sem ser será seu seus só sobre sua
    suas também te tem têm temos tenho ter teu tinha tua tudo um uma você vocês
    """,
    "nl": """
    aan al alle als altijd andere ben bij daar dan dat de deze die dit doen door dus een en er ge
    geen had hadden heb hebben heeft hem hen het hier hij hoe hoeveel hun ik in is ja je jij jouw
    jullie kan kon kunnen maar me meer met mij mijn moet naar niet niets nog nu of om onder ons onze
    ook op over te ten toch toen tot u uit uw van veel voor waar waarom waarmee wanneer waren was
    wat we wel welk welke werd wie wij wil worden wordt zal ze zei zelf zich zij zijn zo zonder zou
    """,
    "sv": """
    alla att av blev bli den denna deras dess det dem där då efter ej eller en er ett från för han
    har hade hans hennes hon honom hos hur här i icke ingen inte jag ju kan kunde man med mellan
    men mig min mina mitt mot mycket ni nu när någon något några och om oss på samma sedan sig sin
    sina sitt skulle som så till under upp ut utan vad var vara varför varit vart vem vems vi vid
    vilka vilken vilket vår våra är år åt över
    """,
    "pl": """
    a ale bez bo był była było były być by ci co czy czyj dla do gdy gdzie go i ich ile im innych ja
    jak jaka jaki jakie jako je jego jej jest jestem jeszcze jeśli już każdy kiedy kim która które
    którego której który których kto kogo komu lub ma mam mi mnie moja moje mój mojego mojej może
    można my na nad nam nas nasz nie niego niej nim o od oraz on ona one oni po pod przed przez przy
    się są swoje ta tak także tam te tego tej ten to tu ty tych tylko tym u w we wszystko z za ze że
    """,
    "tr": """
    acaba ama ancak az bana bazı belki ben beni benim bir biri biz bizim bu bunu çok çünkü da daha
    de defa değil diye en gibi hangi hangisi hem hep hepsi her hiç için ile ise kaç kadar ki kim
    kimin kime mi mı mu mü nasıl ne neden nerede nereye nereden neresi niçin niye o olan olarak oldu
    olduğu olur onlar onu onun sen senin siz şey şu tüm var ve veya ya yok zaman
    """,
    "id": """
    ada adalah aku anda apa apakah atau bagaimana bahwa bagi banyak berapa bisa dalam dan dapat dari
    dengan di dia dimana hanya ini itu jika juga kami kamu kapan karena ke kepada kita lagi lebih
    mana mengapa mereka nya oleh pada saat sangat saya sebuah sedang siapa sudah telah tentang tidak
    untuk yang akan
    """,
    "vi": """
    ai anh bạn bao bị các cái cho chúng có của cùng cũng đã đang đâu đây để đến đi được gì hay
    họ khi
    không là làm lúc mà mấy mình một nào này nên ngày ở ra rằng rất sao sẽ ta tại thế thì tôi tới
    trong từ và vào vẫn về vì với
    """,
    "ro": """
    a acest această acestui ai al ale am ar are as atunci au avea ca când care câte câți câtă ce cel
    cea cei cele cine cu cui cum da dacă dar de deci despre din după e ea ei el ele era este eu fi
    fost iar îi îl în într între la le li lor lui mai mea mei mele meu mi mie ne nici noi
    nostru nu o
    pe pentru prin sa să sau se si și sunt te toate tot tu ți un una unde unei unui va vom
    """,
    "da": """
    af aldrig alle allerede altid at blev blive bliver da de dem den denne der deres derfor det
    dette dig din dine disse dit du efter eller en end er et for fordi fra få gøre ham han hans har
    havde have hende hendes her hos hun hvad hvem hver hvilke hvilken hvilket hvis hvor hvordan
    hvorfor hvornår i ikke ind ingen intet ja jeg jer jeres jo kan kunne man mange med meget mellem
    men mig min mine mit mod må ned nej noget nogle nu når også og om op os over på sagde selv sig
    sin sine sit skal skulle som så til ud uden under var ved vi vil ville vor være været
    """,
    "no": """
    alle at av begge ble bli blir blitt da de deg dem den denne der dere deres det dette di din
    dine disse ditt du eller en er et ett etter for fordi fra få før ha hadde han hans har henne
    hennes her hos hun hva hvem hver hvilke hvilken hvis hvor hvordan hvorfor i ikke ingen inn ja
    jeg kan kunne man mange med meg meget mellom men mer mi min mine mitt mot mye må ned nei noe
    noen nå når og også om opp oss over på seg selv si sin sine sitt skal skulle slik som så til
    ut uten under var ved vi vil ville vår våre være vært
    """,
    "fi": """
    ehkä ei eikä ettei että he heidän heitä hän häneen hänelle hänellä hänen hänet häntä ihan ilman
    itse ja jo joita joka jolla jonka jos joskus jossa josta jota jotka kaikki kanssa koko koska
    kuin kuinka kuka kun kunnes kyllä mikä miksi miltä minkä minua minulla minulle minun minut minä
    missä mistä mitä miten mihin mille milloin moni mukaan mutta myös ne niiden niin nyt nämä näin
    näiden oli olin ole olemme olen olet olette oletko oleva olisi olivat olla ollut on onko ovat
    pitää saa se sekä sen siinä siis siitä sinua sinulla sinulle sinun sinä sitten sitä tai te
    teidän tämä tämän tässä tästä tätä tuo tuon vaan vai vaikka vain voi voin voisi voit yli
    """,
    "hu": """
    a abban ahhoz ahogy aki akik akkor alatt amely amelyek ami amikor amit arra arról azok azon
    azt aztán azért az be belül benne csak de e egy egyik el ebben ehhez ennek erre ez ezek ezen
    ezt ezért ha hanem hogy hogyan hol honnan hova én engem és fel fog illetve is itt jó ki kell
    keresztül kicsoda kié között le legyen lehet lenne lesz lett maga már meg mely mert mi miatt
    mibe miben mikor mit minden mint miért mivel még most nagyon ne nekem neki nem nincs olyan ott
    össze ő ők pedig persze rá rólam s sem számára szerint szét ti több te ugyanis új úgy után
    utána vagy vagyok valaki valami van vannak velem vele volna volt voltam voltak
    """,
    "cs": """
    a aby ale ani ano asi až bez bude budou by byl byla byli bylo být co což či další do ho i já
    jak jaká jaké jaký jako je jeho její jejich jej jen ještě ji jim již jsem jsi jsme jsou jste k
    kam každý kde kdo kdy kdyby když která které který kteří ke ku kolik má mám mají máme mě mi mít
    mne mnou moje můj může my na nad nám nás náš naše ne nebo nebyl není než nic o od on ona oni
    ono ony pak po pod podle pokud pouze pro proč proto protože před přes při s se si sobě své svůj
    ta tak také takže tam tato tedy ten tento této ti to tohle toho tom tomu tou tu tuto ty u už v
    vám vás váš ve více však všechno vy z za zda ze že
    """,
    "ca": """
    a això al als altra altre altres amb aquell aquella aquest aquesta aquests aquestes aquí avui
    cada com contra d de del dels des després dins dues dos el ell ella elles ells els em en encara
    ens entre era eren es és esta estan estar està et fa fins ha han havia hem hi ho i jo l la les
    li llavors lo ls m ma mai mateix me meu meus meva meves molt molta n ni no nosaltres nostra
    nostre o on per però perquè poc pot què qual quals quan quant quants que qui s sa se sense ser
    seu seus seva seves si sí sobre són sota t també tan tant te tinc tenim tot tota totes tots tu
    teu teva un una uns unes us va van vaig vosaltres vostre
    """,
}


def common_words(words: Sequence[str]) -> frozenset[str]:
    """Return which of a query's folded *words* are function words, in the language it shows."""
    distinct = frozenset(words)
    found = distinct & _in_any_language()
    if len(distinct & _in_some_language()) <= max(len(found), 1):
        return found
    # Most function words tell the language. English goes first: what is asked in it is not to lose
    # its "die" or "sera" to a language where they say nothing.
    most = max((distinct & each for each in words_by_language().values()), key=len)
    return found | most if len(most) > max(len(found), 1) else found


def count_by_language(words: Sequence[str]) -> dict[str, int]:
    """Return how many of the distinct *words*, folded, are function words of which language."""
    distinct = frozenset(words)
    found = {"en": len(distinct & STOP_WORDS)}
    return found | {name: len(distinct & each) for name, each in words_by_language().items()}


@cache
def words_by_language() -> Mapping[str, frozenset[str]]:
    """Return the folded function words of languages in Latin letters but English, by language."""
    return {name: frozenset(map(fold, words.split())) for name, words in _LATIN.items()}


@cache
def written_function_words(language: str) -> frozenset[str]:
    """Return the function words of a language in Latin letters as they are written."""
    return frozenset(_LATIN[language].split())


@cache
def words_by_script() -> frozenset[str]:
    """Return the folded function words of languages in letters of their own."""
    return frozenset(map(fold, _BY_SCRIPT.split()))


@cache
def _in_any_language() -> frozenset[str]:
    return STOP_WORDS | words_by_script()


@cache
def _in_some_language() -> frozenset[str]:
    return frozenset().union(*words_by_language().values())
