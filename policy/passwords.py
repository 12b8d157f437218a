"""Is this a password that the class of service lets an account have? Every rule that it breaks, by the name of the value that sets it."""

import re
from collections.abc import Collection
from typing import Final

from policy.cos import ServiceValues

DAY: Final = 86400 * 1_000_000
"""Microseconds: ages of passwords are days, as Carbonio counts them."""

_LEET: Final = str.maketrans("0134578@$!", "oleastbasi")
_EDGES: Final = re.compile(r"\A[\W\d_]+|[\W\d_]+\Z")
_ROWS: Final = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "yxcvbnm", "zxcvbnm", "01234567890")
_WALK: Final = 4
"""Neighbours in a row of these that make a walk."""
_WORDS: Final = """
abcabc access account admin administrator adobe amor andrea angel angela anna apple arsenal asdf august austin autumn baby bailey banana
barcelona baseball basketball batman beautiful berlin biteme bitcoin blabla blink boomer buster butterfly calendar camera carlos change
changeme charlie cheese chelsea chicken chocolate ciao computer cookie corvette cowboy daniel december default demo desk diamond dolphin
donald dragon easter eagle email enter facebook family february ferrari flower football forever forza france freedom friday friend friends
fuck fuckme gandalf geheim george germany ginger google guest hallo hannah happy harley hello hockey holiday home hunter iceman iloveyou
internet italia italy january jasmine jennifer jessica jesus jordan joshua july june juventus killer king kitten kennwort lakers letmein
linkedin liverpool london login love lovely lover lucky madrid magic mail manager march marina marlboro martin master matrix matthew
maverick mercedes merlin michael michelle midnight milan minecraft monday money monkey monster mother motdepasse mustang myspace napoli
nicole nothing november october office online oracle orange parola pass passe passport passw passwd password passwort patrick peanut
pepper phoenix pizza player please pokemon police postmaster prince princess private pumpkin purple qazwsx qwer qwert qwerty ranger root
sakura samantha samsung sample saturday school scooter secret security september server shadow silver snoopy snow soccer sommer sophie
spring spider starwars steelers stella stern student summer sunday sunshine super superman support sweet system taylor temp temporary test
tester testing thomas thunder thursday tigger tiger today toyota training trustno trustme tuesday turtle user vacation viking vodafone
wachtwoord wednesday welcome whatever willkommen william windows winner winter wizard wolf wordpass xbox yankees yellow zaq zimbra
carbonio procura
"""
COMMON: Final = frozenset(_WORDS.split())
"""Words that people make passwords of, without what they put before, behind and in place of their letters."""


def broken_rules(password: str, rules: ServiceValues, own_names: Collection[str] = ()) -> tuple[str, ...]:
    """What is wrong with it, in words that name the value behind each rule; empty: nothing. `own_names`: of the account, which are as
    common to it as those on the list. Linear in its length."""
    digits = sum(one.isdecimal() for one in password)
    upper = sum(one.isupper() for one in password)
    lower = sum(one.islower() for one in password)
    punctuation = sum(not one.isalnum() and not one.isspace() for one in password)
    counted = (
        ("passwordMinLength", "too short", len(password), rules.password_min_length, "characters"),
        ("passwordMinUpperCaseChars", "not enough capitals", upper, rules.password_min_upper_case_chars, "capitals"),
        ("passwordMinLowerCaseChars", "not enough small letters", lower, rules.password_min_lower_case_chars, "small letters"),
        ("passwordMinNumericChars", "not enough digits", digits, rules.password_min_numeric_chars, "digits"),
        ("passwordMinPunctuationChars", "not enough punctuation", punctuation, rules.password_min_punctuation_chars, "marks"),
        (
            "passwordMinDigitsOrPuncs",
            "not enough digits or punctuation",
            digits + punctuation,
            rules.password_min_digits_or_puncs,
            "of them",
        ),
    )
    broken = [f"{what}: {name} asks for {least} {unit}" for name, what, there, least, unit in counted if there < least]
    if rules.password_block_common_enabled and is_common(password, own_names):
        broken.append("too common: passwordBlockCommonEnabled refuses words that are tried first, and names of the account")
    return tuple(broken)


def is_common(password: str, own_names: Collection[str] = ()) -> bool:
    """A word of the list or a name of the account with nothing but digits and marks around it (in any case, with the usual signs for
    letters), twice such a word, one sign again and again, or a walk along the keyboard and back."""
    plain = password.casefold()
    bare = _EDGES.sub("", plain)
    names = {name.casefold() for name in own_names if len(name) > 2}
    for word in {plain, bare, plain.translate(_LEET), bare.translate(_LEET), _EDGES.sub("", plain.translate(_LEET))}:
        half = word[: len(word) // 2]
        if word in COMMON or word in names or (word == half * 2 and (half in COMMON or half in names)):
            return True
    return len(set(plain)) < 4 or _is_walk(plain)


def _is_walk(text: str) -> bool:
    """Made of pieces of rows, each at least so long, forward or backward."""
    position = 0
    while position < len(text):
        length = max((_along(text, position, row) for one in _ROWS for row in (one, one[::-1])), default=0)
        if length < min(_WALK, len(text)):
            return False
        position += length
    return True


def _along(text: str, position: int, row: str) -> int:
    start = row.find(text[position])
    if start < 0:
        return 0
    length = 0
    while position + length < len(text) and start + length < len(row) and text[position + length] == row[start + length]:
        length += 1
    return length


def is_over_age(set_at: int | None, rules: ServiceValues, now: int) -> bool:
    """Must it be changed for its age? `set_at`: microseconds since 1970 UTC, None: nobody knows, and it is not."""
    return bool(rules.password_max_age) and set_at is not None and now - set_at >= rules.password_max_age * DAY


def changeable_from(set_at: int | None, rules: ServiceValues, now: int) -> int | None:
    """When its owner may change it at the earliest; None: now. Administrators need not wait."""
    if not rules.password_min_age or set_at is None:
        return None
    earliest = set_at + rules.password_min_age * DAY
    return earliest if now < earliest else None
