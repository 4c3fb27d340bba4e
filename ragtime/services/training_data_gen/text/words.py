"""English words that questions are built with."""

from __future__ import annotations

__all__ = [
    "AUXILIARIES",
    "DETERMINERS",
    "GERUNDS",
    "NOUNLIKE",
    "OPENERS",
    "PREPOSITIONS",
    "THIRD_PERSON",
    "UNCLEAR",
    "VERBS",
]

VERBS = frozenset(
    "accept access activate add adjust align allow answer append apply approve archive ask assign attach avoid "
    "back bake bind bleed block boil book bring browse build buy calculate calibrate call cancel change charge check "
    "choose claim clean clear click clone close collect combine compare compile complete compress compute configure "
    "confirm connect contact convert cook copy count create customize cut deactivate debug declare decode decrease "
    "define delete deploy descale describe detach detect determine develop disable discard disconnect display divide "
    "dock download drag draw drop dry edit eject embed empty enable encode encrypt end enter escape estimate evaluate "
    "exclude execute export extend extract fetch fill filter find finish fit fix follow force format forward "
    "generate get give go group grind handle hold host identify ignore implement import improve include increase "
    "initialize insert inspect install invite invoke join keep kill launch learn leave let lift limit link list load "
    "locate lock log look lower lubricate maintain make manage map mark match measure merge migrate mix modify monitor "
    "mount move name navigate obtain offer open order organize override overwrite pack park parse pass paste pause pay "
    "perform pick pin place plan play plug post pour preheat prepare press prevent preview print process protect "
    "provide publish pull pump purge push put query quit raise reach read rebuild receive recompile record recover "
    "redeem redirect reduce refer refill refresh register reinstall release reload remove rename renew reopen reorder "
    "repair repeat replace reply report request require reset resize resolve restart restore resume retrieve return "
    "reuse review revoke rinse roast rotate round run save scale scan schedule scroll search select send serve set "
    "share ship show shut sign simulate skip solve sort specify split squash start stash stop store stream submit "
    "subscribe substitute summarize swap switch sync synchronize take tap test tie toggle top trace track train "
    "transfer translate transmit trim truncate try turn type uninstall unlock unmount unpack unplug unscrew "
    "unsubscribe update upgrade upload use validate verify view visit wait warm wash watch water weigh wipe withdraw "
    "wrap write zip".split()
)
"""Verbs that tell somebody to do something, in their base form."""

NOUNLIKE = frozenset(
    "access answer back block book call change charge check claim cook copy count cut display download draw drop end "
    "escape exclude filter fit fix force format forward group handle hold host import list load lock log look lower "
    "map mark match measure mix monitor mount move name offer order pack park pass paste pause pay pick pin place plan "
    "play plug post press preview print process pump purge query record release repair repeat report request reset "
    "return review roast round run scale scan schedule search share ship show sign sort split start stop store stream "
    "swap switch tap test tie top trace track train transfer trim turn type update upgrade upload use view visit wait "
    "wash watch water wrap".split()
)
"""Those of them that are nouns as well."""

_DOUBLED = frozenset(
    "cut drop fit get let log map plan plug put quit reset run set ship shut skip split stop swap tap "
    "trim unplug unzip wrap zip pin zip begin submit permit forget".split()
)


def _gerund(verb: str) -> str:
    if verb == "tie":
        return "tying"
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    return f"{verb}ing"


def _third(verb: str) -> str:
    if verb.endswith(("s", "x", "z", "ch", "sh", "go")):
        return f"{verb}es"
    if verb.endswith("y") and verb[-2] not in "aeou":
        return f"{verb[:-1]}ies"
    return f"{verb}s"


GERUNDS = {_gerund(verb): verb for verb in sorted(VERBS)}
"""The form in -ing of each verb, and the verb."""

THIRD_PERSON = {_third(verb): verb for verb in sorted(VERBS - NOUNLIKE)}
"""The form in -s of each verb that is no noun, and the verb."""

AUXILIARIES = frozenset(
    "is are was were can could will would should must may might cannot can't has have had do does "
    "did won't isn't aren't be been".split()
)
"""Words that make a verb, and stand before the subject in a question."""

DETERMINERS = frozenset(
    "a an the your my our its their this that these those each every any all no some one two three "
    "another both which".split()
)
"""Words that a noun follows."""

PREPOSITIONS = frozenset(
    "about above across after against along among around as at before behind below beneath beside "
    "besides between beyond by despite down during except for from in inside into like near of "
    "off on onto out outside over past per since through throughout till to toward towards under "
    "until up upon via with within without".split()
)
"""Words that begin a phrase beside the subject."""

UNCLEAR = frozenset(
    "it they them he she him her his hers this that these those its their theirs such here there above "
    "below following former latter same aforementioned one ones other others itself themselves so then "
    "either neither none both we us previous".split()
)
"""Words that point to another sentence, where they say what is meant."""

OPENERS = frozenset(
    "and but or so then also next first second third finally now just simply please afterwards "
    "otherwise however therefore thus instead additionally furthermore moreover alternatively "
    "typically usually normally generally optionally lastly always never still again only even "
    "sometimes often yes well note remember".split()
)
"""Words that begin a sentence and say nothing."""
