"""Split a purpose text into words and numbers: `Fv Spl-Rs10tore1` to tokens with one concept for all spellings.

1. Dates, financial years and ordinals are removed; dashes, the rupee sign and `@` are unified.
2. Numbers keep their decimals and lose their thousands separators. A dot directly after `Rs` belongs to `Rs`.
3. A word is looked up in the vocabulary. If it is missing there, it is split into words of the vocabulary (`tors` is
   `to` `rs`), joined with the next word (`pe r`), or matched as a misspelling of exactly one concept. Otherwise it is
   unknown.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_SPELLINGS = {
    **{word: word for word in "spl sub reverse int face cent at par nil de return buy back".split()},
    "split": "split fvs splits splt spilt splitt spltt subdivision subdivisions subdiv subdivn subdvn subdivided",
    "division": "division divisions divn dvn dvsn divsn",
    "consolidation": "consolidation consolidated consolidate consolidating consol consl consld consoln conso",
    "bonus": "bonus bon bns bonuses",
    "rights": "rights right rht rhts rgt rgts rghts rght rts",
    "premium": "premium premia prem prm premiun",
    "dividend": "dividend dividends div divs divd divi dvd dvdnd divdnd divnd",
    "interim": "interim intrm intm interm intr",
    "special": "special spcl spec spcial",
    "final": "final fin fnl",
    "kind_of_dividend": "total exempt taxable additional addl",
    "value": "value val valus valu vlaue",
    "face_value": "fv facevalue",
    "from": "from frm fm fr",
    "to": "to into",
    "rupee": "rs re rupee rupees inr",
    "foreign": "usd dollar dollars cents euro euros eur gbp pound pounds sterling jpy yen sgd aed",
    "paise": "paise paisa paisas ps",
    "percent": "percent pct percentage",
    "per": "per pe",
    "for": "for every each",
    "demerger": "demerger demergers demergr demerged spinoff",
    "scheme": "scheme sch arrangement agmt arrgmt arngmt arrgt amalgamation amalg merger reconstruction restructuring",
    "capital": "capital cap",
    "reduction": "reduction redn reductn reduced",
    "buyback": "buyback bback",
    "distribution": "distribution distributions distrtn dist distn distbn",
    "interest": "interest intrst interst",
    "payment": "payment payments pymt pymnt pmt payement amount amt redemptio",
    "income": "income incme",
    "redemption": "spv redemption redemptn redempti maturity principal principle amortization amortisation repayment",
    "meeting": "meeting meetings mtg agm egm eogm",
    "closure": "closure closing book bc bok",
    "including": "including incl inclusive includes",
    "as": "as form",
    "negated": "cancelled canceled cancel cancellation withdrawn withdraw deferred postponed "
    "annulled revoked dropped not",
    "administrative": "registrar transfer agent voting postal ballot",
    "and": "and plus with",
    "not_equity": (
        "preference pref prefs ncrps rps ncps ccps cps ocps ocrps crps ncrp cumulative redeemable nonconvertible "
        "debenture debentures deb debs debt ncd ncds ocd ocds ccd ccds fcd fcds pcd ofcd bond bonds warrant warrants "
        "wts wrnt wrts convertible compulsory compulsorily optionally note notes gdr gdrs adr adrs securities"
    ),
    "own_class": "unit units unt unts dvr dvrs",
    "revised": "revised revise revision rev updated update purpose purposed purp",
    "filler": (
        "share shares sh shs shr shre shrs sahre hare shar eq eqty eqt equity equities equty ordinary ord of the "
        "a an in is ratio issue issues issued iss by held holding hold new existing fully full partly paid up on date "
        "dates dt record rate "
        "stock proportion basis annual annl anual general gen genl genral extra extraordinary court convened "
        "of nature change company shareholder shareholders holder holders member members start end adjourned time "
        "first second third fourth half yearly quarter quarterly year month jan feb mar apr may jun jul aug sep "
        "oct nov dec er r s pr nd st rd th exdate ex which will be has been approved subject sub approval cum "
        "wef amongst sum only total fy denomination nominal price prices"
    ),
}
VOCABULARY = {word: concept for concept, words in reversed(_SPELLINGS.items()) for word in words.split()}
"""From spelling to concept, the first in the table that has the spelling."""
NUMBERS = {name: str(n) for n, name in enumerate("one two three four five six seven eight nine ten".split(), start=1)}
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_NOISE = re.compile(
    rf"\bf\.?\s?y\.?\s*\d{{2,4}}\s*-\s*\d{{2,4}}|\b(?:19|20)\d\d\s*-\s*\d{{2,4}}\b"
    rf"|\b\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:19|20)?\d\d\b"
    rf"|\b\d{{1,2}}[-\s]?(?:{_MONTHS})[a-z]*[-,\s]*(?:19|20)\d\d\b|\b\d{{1,2}}\s?(?:st|nd|rd|th)\b"
)
_ONE_OF = re.compile(r"\b(?:one|1)\s+time\b")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufffd\u00ad\u0096\u0097]")
_THOUSANDS = r"\d{1,3}(?:,\d{2})*,\d{3}(?![\d,])(?:\.\d+)?"
_TOKEN = re.compile(rf"(?P<number>{_THOUSANDS}|\d+(?:\.\d+)?)|(?P<word>[a-z]+)|(?P<mark>\S)")
_ABBREVIATED = re.compile(r"\b[a-z](?:\.\s?[a-z])+\b\.?|\bf\s?/?\s?v\b|\bag\s?m\b")  # F.V., A.G.M., F/V
_APART = re.compile(r"(?:^|[\s(])\.\Z")  # a dot before the number that touches no word: `Rs .50`
_LONGEST_NUMBER = 12  # characters; no ratio and no amount has more
_FUZZY = 5
_LONG = 8


@dataclass(frozen=True, slots=True)
class Token:
    """A concept, a `number` with its value, or a `mark`; `text` is the original word."""

    concept: str
    text: str
    value: float = 0.0
    dotted: bool = False
    tight: bool = False


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text in order; unknown words have the concept `unknown`.

    >>> [token.concept for token in tokens("Fv Spl-Rs10tore1/Bon-1:1")][:7]
    ['face_value', 'spl', 'mark', 'rupee', 'number', 'to', 'rupee']
    >>> [token.value for token in tokens("Dividned - Rs 1,250.50 Per Sahre") if token.concept == "number"]
    [1250.5]
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("\u20b9", " rs ").replace("@", " at ")
    plain = _ONE_OF.sub(" ", _NOISE.sub(" ", _DASHES.sub("-", plain)))
    plain = _ABBREVIATED.sub(lambda found: re.sub("[^a-z]", "", found[0]) + " ", plain)
    plain = re.sub(r"(?<=\d)\s*[:;]+[-.\s]*(?=\d)", ":", plain)
    found: list[Token] = []
    matches = list(_TOKEN.finditer(plain))
    skip = False
    for place, match in enumerate(matches):
        if skip:
            skip = False
        elif match["number"]:
            dotted = bool(_APART.search(plain, 0, match.start()))
            tight = match.end() < len(plain) and plain[match.end()].isalpha()
            digits = match["number"].replace(",", "")
            concept = "number" if len(digits) <= _LONGEST_NUMBER else "unknown"
            found.append(Token(concept, digits, float(digits[:_LONGEST_NUMBER]), dotted, tight))
        elif match["word"]:
            following = matches[place + 1]["word"] if place + 1 < len(matches) else None
            read, skip = _word_tokens(match["word"], following)
            found += read
        else:
            found.append(Token("mark", match["mark"]))
    return tuple(_phrases(found))


def _word_tokens(word: str, following: str | None) -> tuple[list[Token], bool]:
    """Return the tokens of one word, and whether the next word is part of it."""
    if word in NUMBERS:
        return [Token("number", word, float(NUMBERS[word]))], False
    if following and following not in VOCABULARY | NUMBERS and VOCABULARY.get(word + following):
        return [Token(VOCABULARY[word + following], word + following)], True
    if word in VOCABULARY:
        return [Token(VOCABULARY[word], word)], False
    if following and len(word + following) >= _FUZZY and word + following in VOCABULARY:
        return [Token(VOCABULARY[word + following], word + following)], True
    return [Token(concept, piece) for concept, piece in _guess(word)] or [Token("unknown", word)], False


def _guess(word: str) -> list[tuple[str, str]]:
    """Return the concepts of a word outside the vocabulary, each with its letters; empty if it is unknown."""
    if len(word) > _FUZZY and (near := _nearest(word, 1)):
        return [(near, word)]
    if pieces := _cut(word):
        return [(VOCABULARY[piece], piece) for piece in pieces]
    if near := _nearest(word):
        return [(near, word)]
    for cut in range(2, len(word) - _LONG + 2):  # a long misspelt word after one of the vocabulary: `intdividned`
        known, rest = word[:cut], word[cut:]
        if known in VOCABULARY and (near := _nearest(rest)):
            return [(VOCABULARY[known], known), (near, rest)]
    return []


@lru_cache(maxsize=4096)
def _cut(word: str) -> tuple[str, ...]:
    """Return the fewest words of the vocabulary that together are `word`; empty if there are none."""
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(2, len(word) + 1):
        for start in range(end - 1):
            piece = word[start:end]
            if start in best and piece in VOCABULARY and len(best[start]) + 1 < len(best.get(end, "x" * 99)):
                best[end] = (*best[start], piece)
    return best.get(len(word), ())


@lru_cache(maxsize=4096)
def _nearest(word: str, most: int = 2) -> str | None:
    """Return the only concept within one edit of a word from five letters on, within two from eight letters on."""
    if len(word) < _FUZZY:
        return None
    for limit in range(1, min(most, 2 if len(word) >= _LONG else 1) + 1):
        near = {
            concept
            for known, concept in VOCABULARY.items()
            if len(known) >= _FUZZY and abs(len(known) - len(word)) <= limit and _edits(word, known) <= limit
        }
        if near:
            return near.pop() if len(near) == 1 else None
    return None


def _edits(one: str, other: str) -> int:
    """Return the number of insertions, deletions, substitutions and neighbouring swaps between two words."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        current = [i]
        for j, right in enumerate(other, start=1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]


_PAIRS = {
    ("face", "value"): "face_value", ("de", "scheme"): "demerger", ("buy", "back"): "buyback",
    ("sub", "division"): "split", ("sub", "dividend"): "split", ("reverse", "split"): "consolidation",
    ("at", "par"): "at_par", ("nil", "premium"): "at_par", ("premium", "nil"): "at_par",
    ("int", "payment"): "interest", ("interim", "payment"): "interest", ("return", "capital"): "redemption",
    ("capital", "reduction"): "capital_reduction", ("reduction", "capital"): "capital_reduction",
    ("per", "cent"): "percent", ("book", "closure"): "closure",
}  # fmt: skip


_SIGNS = {"%": "percent", "$": "foreign", "\u20ac": "foreign", "\u00a3": "foreign", "\u00a5": "foreign"}


def _phrases(found: list[Token]) -> list[Token]:
    """Join two words that form one concept: face value, sub division, buy back, with fillers and hyphens between."""
    joined: list[Token] = []
    for token in found:
        concept = _SIGNS.get(token.text, token.concept)
        words = [at for at, one in enumerate(joined) if one.concept != "filler" and one.text not in {"-", "."}]
        if words and (pair := _PAIRS.get((joined[words[-1]].concept, concept))):
            joined[words[-1] :] = [Token(pair, token.text)]
        else:
            joined.append(Token(concept, token.text, token.value, token.dotted, token.tight))
    return [t if t.concept not in _LEFT_ALONE else Token(_LEFT_ALONE[t.concept], t.text) for t in joined]


_LEFT_ALONE = {
    **dict.fromkeys("division face buy reverse reduction".split(), "unknown"),
    **dict.fromkeys("sub de value back cent par nil payment return capital at".split(), "filler"),
}
"""The concept of a word outside the pair in which it has a meaning."""
