"""What English (and, in small part, Chinese) says in more than one way without meaning anything else.

Only what holds in almost any question stands here. A pair that is missing costs a hit; a pair that is wrong
costs a wrong answer, so doubtful ones stay out.
"""

import re


def _words(text: str) -> list[str]:
    return text.split()


# What people say around a question. Taken out at its start and end, as often as it is there.
PREFIX = re.compile(
    r"(?:hi|hiya|hello|hey|good (?:morning|afternoon|evening)|greetings)"
    r"(?: (?:there|team|all|everyone|folks|guys|again))?\b"
    r"|(?:sorry|apologies)(?: (?:to bother you|for bothering you|for the bother))?\b"
    r"|(?:just )?(?:a )?(?:quick|silly|stupid|dumb|simple|random) (?:one|question|q)\b"
    r"|(?:(?:i (?:was|am) )(?:just )?|just )(?:wondering|curious)(?: (?:if|whether))?\b"
    r"|(?:can|could|would|will) you (?:please )?(?:tell|explain to|remind) me\b"
    r"|(?:please )?(?:tell me|let me know)\b"
    r"|(?:do you (?:happen to )?know|any idea|may i ask|can i ask|i would like to know|i want to know)"
    r"(?= (?:what|which|who|where|when|why|how|if|whether)\b)"
    r"|(?:ok|okay|so|um|umm|er|erm|uh|hmm|oh|but|and|anyway|please|also|yes|yeah|thanks|thank you)\b"
    r"|你好|您好|请问一下|请问|麻烦问一下|想问一下|我想问|那么|嗯"
)
SUFFIX = re.compile(
    r"\b(?:please|pls|thanks|thank you|thx|cheers|ta|many thanks|in advance|so much|very much"
    r"|(?:do )?you know|by any chance|again|mate)$|谢谢|多谢|啊$|呢$|呀$"
)

# Turns of phrase with one word in their stead. Applied in order to lower-case words with single spaces.
PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), word)
    for pattern, word in (
        (r"can not|cannot|cant", "can not"),
        (
            r"(?:is|would|will) it (?:be )?(?:possible|ok|okay|fine|alright|all right)(?: for me)?"
            r" (?:to|if i)",
            "can i",
        ),
        (r"(?:am i|are we) (?:allowed|able|permitted) to", "can i"),
        (r"(?:is|are) there (?:any|a|some)? ?way (?:to|of|for me to)", "can i"),
        (r"how (?:do|can|could|would|should|might) (?:i|we|you|one) go about", "how do i"),
        (
            r"what (?:is|are) the (?:process|procedure|steps?|way|method)(?: involved)? (?:for|to|of|in)",
            "how do i",
        ),
        (r"(?:what|which) steps (?:do|should|must) i (?:take|follow) to", "how do i"),
        (r"how would i|how (?:do|can|could|should|might) (?:i|we|you|one)|how to", "how do i"),
        (r"(?:at |by )?what time|at what point|by when|on (?:what|which) (?:date|day)", "when"),
        (r"how come", "why"),
        (r"how much (?:money )?(?:does|do|is|are|will|would|did|was|were|will it|it)", "what is price"),
        (r"(?:which|what) (?:people|person|persons)", "who"),
        (r"(?:do|must|should) (?:i|we) (?:have|need) to|am i (?:required|obliged|supposed) to", "must i"),
        (r"is it (?:necessary|mandatory|compulsory|required) (?:for me )?to", "must i"),
        (
            r"(?:am i|are we) (?:eligible|entitled) (?:for|to)|do (?:i|we) qualify for|am i allowed",
            "am i entitled",
        ),
        (
            r"how (?:do|can|would|could) (?:i|you|we) (?:know|tell|find out|check|see) (?:if|whether)",
            "how know if",
        ),
        (r"what (?:should|do|can|must) i do (?:if|when)", "what if"),
        (
            r"how old (?:do|must|should) (?:i|you|we|they|someone|people) (?:have to |need to )?be (?:to|for)"
            r"|what is the (?:minimum|legal|lowest) age (?:to|for|of)"
            r"|(?:at|from) what age (?:can|may) (?:i|you|we|someone|people)",
            "what is minimum age",
        ),
        (r"(?:what is )?the best way (?:to|of|for)|how best to", "how do i best"),
        (
            r"(?:free of charge|for free|at no (?:extra |additional )?(?:cost|charge)|without (?:a )?charge)",
            "free",
        ),
        (r"on the internet|over the internet|via the internet", "online"),
        (r"(?:cash machine|cash point|cash dispenser)s?", "atm"),
        (r"(?:business|working|trading|store|shop) (?:hours|times)|opening (?:hours|times)", "opening hours"),
        (r"zip code|post code|postal code", "postcode"),
        (r"picks? up|picked up|picking up", "collect"),
        (r"sends? back|sent back|sending back|takes? back|took back", "return"),
        (r"money back", "refund"),
        (r"due date|cut off date|closing date|last date|last day|final date", "deadline"),
        (r"customer (?:service|services|support|care)", "customer service"),
        (r"(?:take|taking|took) out", "withdraw"),
        (r"says? no to", "decline"),
        (r"telephone number|phone no|contact number", "phone number"),
        (r"the (?:uk|united kingdom)|great britain", "uk"),
        (r"the (?:usa|us|united states|states)(?: of america)?", "usa"),
        (r"where (?:can|do|could|would|should) (?:i|we) (?:find|locate|get)", "where is"),
        (r"what (?:is|are) (?:the |your )?(deadline|date|time|opening hours|opening times)", r"when is \1"),
        (r"when is opening (?:hours|times)", "when are you open"),
        (r"what is the meaning of", "what mean"),
        (r"(?:what|which) number (?:do|can|should) i (?:call|ring|phone|dial)", "what is phone number"),
        (r"do you (?:accept|take)|can i (?:pay|use) (?:with|by|using|via)", "can i pay with"),
        (
            r"(?:make|submit|file|lodge|put in|raise|open) (an?|my|the)"
            r" (claim|complaint|return|application|appeal|request)",
            r"submit \1 \2",
        ),
        (r"(?:stay|stays|remain|remains) (?=open|closed|valid)", ""),
        (r"insurance (?:policy|policies)", "insurance"),
        (r"swimming pool", "pool"),
        (r"capital city", "capital"),
        (r"(?:sign|register) up|signed up|signing up|sign on", "register"),
        (r"(?:log|sign) ?(?:in|into)|(?:logging|signing) in(?:to)?|logged in(?:to)?", "login"),
        (r"(?:log|sign) ?out|(?:logging|signing) out|logged out", "logout"),
        (r"(?:turn|switch) (?:on)|(?:turning|switching) on", "enable"),
        (r"(?:turn|switch) (?:off)|(?:turning|switching) off", "disable"),
        (r"set(?:ting)? up", "create"),
        (r"get rid of|take off", "remove"),
        (r"get (?:in touch|hold) (?:with|of)", "contact"),
        (r"find out|look up", "find"),
        (r"a lot of|lots of|plenty of", "many"),
        (r"going to", "will"),
        (r"have to|has to|had to|got to|need to|needs to", "must"),
        (r"wi fi", "wifi"),
        (r"e mail", "email"),
        (r"go live", "activate"),
        (r"as well as", "and"),
        (r"per cent", "percent"),
        (r"(?:two|2) factor authentication", "2 fa"),
        (r"(?:public|bank) holidays?", "publicholiday"),
    )
)

CONTRACTIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\bwon't\b", "will not"),
        (r"\bcan't\b", "can not"),
        (r"\bshan't\b", "shall not"),
        (r"n't\b", " not"),
        (r"\b(do|does|did|is|are|was|were|have|has|should|could|would)nt\b", r"\1 not"),
        (r"\b(what|where|who|how|when|why|that|there|it|he|she)'s\b", r"\1 is"),
        (r"\b(what|where|that)s\b", r"\1 is"),
        (r"'re\b", " are"),
        (r"'ve\b", " have"),
        (r"'ll\b", " will"),
        (r"\bi'm\b|\bim\b", "i am"),
        (r"'d\b", " would"),
        (r"\blet's\b", "let us"),
        (r"'s\b|s'(?=\s|$)", "s"),
    )
)

# Words that carry nothing by themselves: what they do for the sense is looked at apart (order, mood, owner).
FUNCTION_WORDS = frozenset(
    _words(
        "a an the do does did doing done is are am was were be been being can could would should will"
        " shall may might must of for with in on at by from and that this these those it its as have has"
        " had having i me my mine you your yours we us our ours to into onto what which who whom whose how"
        " when where why please just get gets getting got gotten some any there here so then than about"
        " available offer offers offered obtain receive request dont doesnt didnt isnt arent wasnt werent"
        " havent hasnt shouldnt couldnt wouldnt up"
    )
)

# Words that look like a plural of another and are not.
NOT_PLURALS = frozenset(_words("news customs goods arms glasses securities series species contents"))

NEGATIONS = frozenset(_words("not no never none nothing nobody neither nor without cannot non except unless"))

# Which mood a question is in, where it changes the answer.
MOODS: dict[str, str] = {
    **dict.fromkeys(("can", "could", "may", "might"), "can"),
    **dict.fromkeys(("should", "ought", "shall"), "should"),
    **dict.fromkeys(("must",), "must"),
    **dict.fromkeys(("will", "would"), "will"),
    **dict.fromkeys(("did", "was", "were", "had"), "past"),
}

OWNERS: dict[str, str] = {
    **dict.fromkeys(("my", "mine", "our", "ours"), "mine"),
    **dict.fromkeys(("your", "yours"), "yours"),
    **dict.fromkeys(("his", "her", "hers", "their", "theirs"), "theirs"),
}

# Pronouns that a preposition may lead: "what does it mean to you".
OBJECTS: dict[str, str] = {
    **dict.fromkeys(("me", "us"), "mine"),
    "you": "yours",
    **dict.fromkeys(("him", "her", "them"), "theirs"),
}

# What stands behind one of these has a part of its own: "Word to PDF" is not "PDF to Word".
PREPOSITIONS = frozenset(
    _words(
        "from to into onto than before after over under for with by in on at near between against via per"
        " as of about within during through without until"
    )
)

QUESTION_WORDS = frozenset(_words("what which who whom whose how when where why"))
# Behind an auxiliary, these make a question of a sentence: "on trains, is there a discount".
SUBJECTS = frozenset(_words("i we you it there the my a an your our this that they he she these those any"))

AUXILIARIES = frozenset(
    _words("do does did is are am was were can could would should will shall may might must have has had")
)

# After "how": these make it another question.
MEASURES = frozenset(
    _words("many much long often far old big large tall fast soon deep wide heavy late early")
)

NUMBER_WORDS: dict[str, str] = {
    word: str(value)
    for value, word in enumerate(
        _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
            " sixteen seventeen eighteen nineteen twenty"
        )
    )
} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "first": "1st",
    "second": "2nd",
    "third": "3rd",
    "fourth": "4th",
    "fifth": "5th",
    "sixth": "6th",
    "once": "1x",
    "twice": "2x",
    "half": "1/2",
    "%": "percent",
}

# Between bars, words of one meaning.
_SYNONYMS = """
price cost fee charge fare | buy purchase bought | start begin commence began | finish end |
cancel terminate | quick fast rapid | quicker faster | quickest fastest | big large | bigger larger |
biggest largest | child children kid | phone telephone | mobile cellphone smartphone cell | film movie |
holiday vacation | apartment flat | shop store | rubbish trash garbage | fix repair mend | photo picture
| help assist | allow permit | reserve book | delete remove erase | change update modify amend edit alter
| dispute challenge contest | previous earlier prior | mute silence | register enrol | enable activate |
disable deactivate | create make | submit file lodge | warranty guarantee | luggage baggage |
yearly annual | quote quotation | tv television | bike bicycle | fridge refrigerator | lift elevator |
vaccine jab | delivery shipping deliver | parcel package | sick ill | talk speak | choose select pick |
show display | require need | contact reach call | site website | respond reply | hard difficult |
easy simple | wrong incorrect | mistake error | happen occur | country nation | writer author |
colour color | centre center | licence license | programme program | catalogue catalog | grey gray |
jewellery jewelry | theatre theater | fibre fiber | litre liter | metre meter | organise organize |
info information | doctor physician | ad advert advertisement | exam examination | maths mathematics |
kilogram kilo kg kgs | uk britain | usa america | eu europe | percent percentage | explain describe |
ask inquire enquire | close shut | collect fetch | verify confirm | decrease reduce lower |
increase raise boost | reject refuse decline | employ hire | pause suspend freeze | merge combine |
refund reimburse reimbursement | replace swap | split divide | boss manager | broadband internet |
cashpoint atm | car vehicle automobile | pharmacy chemist drugstore | clothes clothing | company firm |
discount reduction | staff employee worker | football soccer | gift present | trip journey |
laptop notebook | maximum max | minimum min | medicine medication | mother mum mom mummy |
father dad daddy | nappy diaper | pavement sidewalk | plane aeroplane airplane aircraft | post mail |
postcode zipcode | pram stroller | result outcome | sofa couch settee | jumper sweater | sweets candy |
tap faucet | taxi cab | term semester | timetable schedule | toilet loo | torch flashlight |
trainers sneakers | lorry truck | university uni | wage salary | windscreen windshield |
broken faulty defective | cheap inexpensive | extra additional | main primary | standard regular |
abroad overseas | entire whole | nearest closest | late overdue |
necessary mandatory compulsory obligatory | forbidden prohibited banned | dangerous unsafe |
advantage benefit | disadvantage drawback | symptom sign | recommend suggest | purpose aim |
meaning definition | permission authorisation authorization | agreement contract | allowance entitlement
"""

SYNONYMS: tuple[tuple[str, ...], ...] = tuple(tuple(group.split()) for group in _SYNONYMS.split("|"))

# Real words one letter apart: neither is a slip of the pen for the other.
CONFUSABLE: frozenset[frozenset[str]] = frozenset(
    frozenset(pair.split("/"))
    for pair in _words(
        "contact/contract county/country addition/addiction marital/martial causal/casual"
        " through/thorough bought/brought desert/dessert complement/compliment stationary/stationery"
        " personal/personnel affect/effect adopt/adapt prescribe/proscribe formal/format insure/ensure"
        " assure/insure inhale/exhale principal/principle accept/except access/excess precede/proceed"
        " conserve/converse comprise/compromise eligible/illegible immigrate/emigrate importer/exporter"
        " import/export lesser/lessor lender/leader trail/trial united/untied tortuous/torturous"
        " moral/mortal message/massage planet/planed statue/statute collage/college angel/angle"
        " dairy/diary device/devise advice/advise patients/patience employer/employee employers/employees"
        " trainer/trainee mentor/mentee payer/payee license/licensee hydrogen/hydrogel chlorine/chloride"
        " sulfate/sulfite nitrate/nitrite"
    )
)
