"""Validate international securities identification numbers (ISO 6166)."""

import re

OF_ISSUER = 7
"""First characters of an Indian ISIN that name its issuer: INE002A of INE002A01018."""
OF_TYPE = 9
"""First characters that name the issuer and the type of security, 01 for a fully paid share."""
_SHAPE = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_COUNTRIES = frozenset(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ "
    "CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET EU FI FJ FK FM "
    "FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT "
    "JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN "
    "MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT "
    "PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL "
    "TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XS YE YT ZA ZM ZW".split()
)


def is_valid(isin: str) -> bool:
    """Return whether a text is an ISIN with an existing country and the right check digit, and not a placeholder.

    A placeholder repeats one character after the country code, or after India's letter for the type of security.

    >>> [is_valid(text) for text in ("INE002A01018", "INE002A01019", "INE000000000", "DUMMY", "INE", "")]
    [True, False, False, False, False, False]
    """
    if not _SHAPE.fullmatch(isin) or isin[:2] not in _COUNTRIES or len(set(isin[3:11])) == 1:
        return False
    return check_digit(isin[:11]) == int(isin[11])


def check_digit(body: str) -> int:
    """Return the check digit of the first eleven characters of an ISIN.

    >>> check_digit("INE002A0101"), check_digit("US037833100")
    (8, 5)
    """
    digits = [int(one) for one in "".join(str(int(character, 36)) for character in body)]
    doubled = [digit * 2 if place % 2 == 0 else digit for place, digit in enumerate(reversed(digits))]
    return -sum(digit // 10 + digit % 10 for digit in doubled) % 10
