"""The mail that every server gets: the same octets in each run, and what searches have to find in them.

Two thirds small texts, a quarter newsletters (multipart/alternative), the others with an attachment; 12 KB on average. No line begins with
a dot, so that it is the same octets at every door.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_NAMES: Final = "Anna Bruno Carla Dario Elena Fabio Greta Hanna Ivo Jana Karim Lena Milan Nora Oskar Paula Quirin Rosa Silvio Tilda"
_HOUSES: Final = "Adler Bianchi Conti Dorn Eder Ferri Gruber Huber Ilic Jansen Kofler Lutz Moser Neri Ortner Pichler Rossi Steiner"
_WORDS: Final = """
offer order invoice meeting minutes agenda budget treasurer branch letter answer deadline delivery customer contract payment draft
review calendar travel office print paper project release figure report summer winter monday friday morning evening request ticket
support team please thanks kindly soon today tomorrow later again before after without between against about the of to and in for with
from that this
"""
NAMES, HOUSES, WORDS = _NAMES.split(), _HOUSES.split(), _WORDS.split()
SENDER, SUBJECT, RARE = "Tilda", "harvest", "quincunx"
"""What is searched for: the name of one sender in twenty, a word in two of a hundred subjects, one in one of a hundred texts."""
DATES: Final = ("Mon, 05 Jan 2026", "Tue, 10 Feb 2026", "Wed, 11 Mar 2026", "Thu, 09 Apr 2026", "Fri, 15 May 2026")
LINE: Final = 78
"""Octets of a line in base64 with its end."""


@dataclass(frozen=True, slots=True)
class Letter:
    octets: bytes
    has_sender: bool
    has_subject: bool
    has_rare: bool


@lru_cache(maxsize=1)
def _noise() -> bytes:
    return base64.encodebytes(random.Random(7).randbytes(300_000)).replace(b"\n", b"\r\n")


@lru_cache(maxsize=1)
def _sentences() -> list[str]:
    chance = random.Random(11)
    return [" ".join(chance.choices(WORDS, k=chance.randint(6, 11))).capitalize() + "." for _ in range(2_000)]


def _text(chance: random.Random, size: int) -> str:
    return "\r\n".join(chance.choices(_sentences(), k=max(1, size // 56))) + "\r\n"


def _page(chance: random.Random, size: int) -> str:
    rows = chance.choices(_sentences(), k=max(1, size // 180))
    cell = '<tr><td style=3D"padding:{}px;color:#{:06x}">\r\n<p>{}</p>\r\n<a href=3D"https://news.example/{:x}">=\r\n{}</a></td></tr>\r\n'
    made = (cell.format(chance.randrange(40), chance.randrange(1 << 24), row, chance.getrandbits(40), chance.choice(WORDS)) for row in rows)
    return '<html><body style=3D"margin:0"><table width=3D"100%">\r\n' + "".join(made) + "</table></body></html>\r\n"


def letter(number: int) -> Letter:
    chance = random.Random(1_000_003 * (number + 1))
    name, house, kind = chance.choice(NAMES), chance.choice(HOUSES), chance.random()
    has_subject, has_rare = chance.random() < 0.02, chance.random() < 0.01
    subject = " ".join(chance.choices(WORDS, k=chance.randint(2, 7))).capitalize() + (f" and {SUBJECT}" if has_subject else "")
    if chance.random() < 0.1:
        subject = "=?utf-8?B?" + base64.b64encode(f"{subject} – più".encode()[:42] if not has_subject else subject.encode()).decode() + "?="
    where, mark = house.lower() + ".example", f"{chance.getrandbits(60):x}"
    date = f"{chance.choice(DATES)} {chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02} +0100"
    hop = "Received: from out{0}.{1} (out{0}.{1} [192.0.2.{2}])\r\n\tby in{0}.bench.test with ESMTPS id {3};\r\n\t{4}"
    head = [f"Return-Path: <{name.lower()}@{where}>"]
    head += [hop.format(at, where, chance.randrange(256), mark, date) for at in range(chance.randint(1, 4))]
    if kind > 0.4:
        head.append(
            f"DKIM-Signature: v=1; a=rsa-sha256; d={where}; s=one;\r\n\th=from:to:subject:date; bh={mark};\r\n\tb={_noise()[:76].decode()}"
        )
    head += [f"From: {name} {house} <{name.lower()}@{where}>", f"To: {chance.choice(NAMES)} <someone@bench.test>"]
    if chance.random() < 0.2:
        head.append("Cc: " + ",\r\n\t".join(f"{one} <{one.lower()}@{where}>" for one in chance.sample(NAMES, 3)))
    head += [f"Subject: {subject}", f"Date: {date}", f"Message-ID: <{number}.{mark}@{where}>"]
    if chance.random() < 0.4:
        head += [
            f"In-Reply-To: <{number // 7}.parent@{where}>",
            f"References: <{number % 97}.root@{where}>\r\n\t<{number // 7}.parent@{where}>",
        ]
    head.append("MIME-Version: 1.0")
    text = _text(chance, chance.randint(500, 2_800)) + (f"Behind the house is a {RARE}.\r\n" if has_rare else "")
    if kind < 0.65:
        body = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
    else:
        both = (
            f'Content-Type: multipart/alternative; boundary="a{mark}"\r\n\r\n'
            f"--a{mark}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}"
            f"--a{mark}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            f"{_page(chance, chance.randint(3_000, 13_000))}--a{mark}--\r\n"
        ).encode()
        body = both if kind < 0.9 else _attached(chance, mark, both, chance.randint(20_000, 60_000) if kind < 0.98 else 200_000)
    return Letter("\r\n".join(head).encode() + b"\r\n" + body, name == SENDER, has_subject, has_rare)


def _attached(chance: random.Random, mark: str, both: bytes, size: int) -> bytes:
    noise = _noise()
    lines = min(size, len(noise) // 2) // LINE
    first = LINE * chance.randrange(len(noise) // LINE - lines)
    begin = f'Content-Type: multipart/mixed; boundary="m{mark}"\r\n\r\n--m{mark}\r\n'
    file = (
        f'--m{mark}\r\nContent-Type: application/pdf; name="{mark}.pdf"\r\n'
        f'Content-Disposition: attachment; filename="{mark}.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    return begin.encode() + both + file.encode() + noise[first : first + LINE * lines] + f"--m{mark}--\r\n".encode()


@lru_cache(maxsize=8)
def _filling(size: int) -> bytes:
    return _text(random.Random(size), 2 * size).encode()


def plain(number: int, size: int, sender: str = "a@bench.test", recipient: str = "b@bench.test") -> bytes:
    """A plain message of so many octets."""
    head = (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: bench {number}\r\nDate: Mon, 05 Jan 2026 08:00:00 +0000\r\n"
        f"Message-ID: <{number}.{random.getrandbits(64):x}@bench.test>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    ).encode()
    return head + _filling(size)[: max(64, size - len(head) - 2)].rstrip(b"\r\n") + b"\r\n"
