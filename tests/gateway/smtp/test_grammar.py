"""The arguments of MAIL, RCPT and EHLO. (The transcripts paths, parameters and smtputf8 have the replies.)"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.grammar import BadSyntax, Mail, Rcpt, bdat, hello, mail, rcpt


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<>", Mail("", 0, False, [])),
        ("FROM:<a@b.test>", Mail("a@b.test", 0, False, [])),
        ("from: <a@b.test>", Mail("a@b.test", 0, False, [])),
        ('FROM:<"a > b"@c.test>', Mail('"a > b"@c.test', 0, False, [])),
        ("FROM:<a@b.test> SIZE=12", Mail("a@b.test", 12, False, ["SIZE=12"])),
        ("FROM:<a@b.test>  size=12  body=7bit SMTPUTF8", Mail("a@b.test", 12, True, ["size=12", "body=7bit", "SMTPUTF8"])),
        ("FROM:<ä@b.test> SMTPUTF8", Mail("ä@b.test", 0, True, ["SMTPUTF8"])),
        ("FROM:<a@b.test> body=BinaryMime", Mail("a@b.test", 0, False, ["body=BinaryMime"], binary=True)),
        ("FROM:<@a.test:b@c.test>", Mail("b@c.test", 0, False, [])),
        ("FROM:<@a.test,@b.test,@c.test:b@c.test> SIZE=1", Mail("b@c.test", 1, False, ["SIZE=1"])),
        ('FROM:<@a.test:"b:c@d"@e.test>', Mail('"b:c@d"@e.test', 0, False, [])),
        ("FROM:<@bücher.test:b@c.test>", Mail("b@c.test", 0, False, [])),
        # What is no route stays, and is no address.
        ("FROM:<@a.test,:b@c.test>", Mail("@a.test,:b@c.test", 0, False, [])),
        ("FROM:<@a.test@b.test:b@c.test>", Mail("@a.test@b.test:b@c.test", 0, False, [])),
        ("FROM:<@a.test:>", Mail("@a.test:", 0, False, [])),
        ("FROM:<a@b.test> AUTH=<>", Mail("a@b.test", 0, False, ["AUTH=<>"])),
        ("FROM:<a@b.test> AUTH=a+2Bb@c.test", Mail("a@b.test", 0, False, ["AUTH=a+2Bb@c.test"])),
    ],
)
def test_mail(argument: str, expected: Mail) -> None:
    assert mail(argument, extended=True, auth=True) == expected


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "FROM",
        "FROM:",
        "FROM:a@b",
        "FROM:<a@b",
        "FROM:a@b>",
        "FROM:<a@b>x",
        "FROM:<a b@c>",
        "FROM:<@a.test b@c.test>",
        "FROM:<a@b> <c@d>",
        'FROM:<"a@b>',
        "TO:<a@b>",
        "FROM :<a@b>",
        "FROM:<a@b> SIZE=-1",
        "FROM:<a@b> SIZE=1e3",
        "FROM:<a@b> SIZE=" + "9" * 21,
        "FROM:<a@b> AUTH=a+2",
        "FROM:<a@b> X=Y=Z",
        "FROM:<a@b> -X",
        "FROM:<a@b> BODY",
        "FROM:<a@b> AUTH",
        "FROM:<ä@b>",
    ],
)
def test_what_mail_is_not(argument: str) -> None:
    with pytest.raises(BadSyntax):
        mail(argument, extended=True, auth=True)


def test_parameters_need_ehlo_and_auth_needs_auth() -> None:
    with pytest.raises(BadSyntax, match="555"):
        mail("FROM:<a@b> SIZE=1", extended=False, auth=True)
    with pytest.raises(BadSyntax, match="555"):
        mail("FROM:<a@b> AUTH=<>", extended=True, auth=False)


def test_rcpt() -> None:
    assert rcpt("TO:<a@b>", extended=True, smtputf8=False) == Rcpt("a@b")
    assert rcpt("to: <ä@b>", extended=True, smtputf8=True) == Rcpt("ä@b")
    for bad in ("FROM:<a@b>", "TO:<ä@b>", "TO:<a@b> X", "TO:<a@b> ="):
        with pytest.raises(BadSyntax):
            rcpt(bad, extended=True, smtputf8=False)


def test_hello_takes_any_word() -> None:
    for name in ("[127.0.0.1]", "localhost", "m.eml", "vm", "[IPv6:::1]", "under_score"):
        assert hello(name) == name
    for bad in ("", "a b", "ä", "a\tb", "x" * 256):
        with pytest.raises(BadSyntax, match="501"):
            hello(bad)


@given(st.text(max_size=60) | st.text('<>@":,= \\aFROMTSIZE', max_size=60).map("FROM:".__add__))
def test_any_text_is_a_value_or_bad_syntax(text: str) -> None:
    for read in (lambda: mail(text, extended=True, auth=True), lambda: rcpt(text, extended=True, smtputf8=True), lambda: hello(text)):
        try:
            read()
        except BadSyntax as bad:
            reply = str(bad)
            assert reply[:3].isdigit()
            assert reply.isascii()
            assert reply.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        'FROM:<"' + "\\a" * 6_000,
        "FROM:<" + '"a' * 6_000,
        "FROM:<a@b> " + "A" * 12_000 + "=",
        "FROM:" + " " * 12_000,
        "FROM:<@" + "a" * 12_000,
        "FROM:<" + "@a," * 6_000,
        "FROM:<" + "@a:" * 6_000,
    ],
)
def test_time_is_linear(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadSyntax):
        mail(text, extended=True, auth=True)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("0", (0, False)),
        ("86 LAST", (86, True)),
        ("86  last", (86, True)),
        ("007", (7, False)),
        ("18446744073709551616", (1 << 64, False)),
        ("", None),
        ("LAST", None),
        ("86LAST", None),
        ("86 LAST more", None),
        ("-1", None),
        ("\u0663", None),
        ("1" * 21, None),
    ],
)
def test_bdat(argument: str, found: tuple[int, bool] | None) -> None:
    if found is None:
        with pytest.raises(BadSyntax, match=r"^501 5\.5\.4 "):
            bdat(argument)
    else:
        assert bdat(argument) == found
