"""URLs of messages: the forms that RFC 5092 has and CATENATE takes, everything else, anything at all."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.grammar.fetch import Section, SectionText
from gateway.imap.grammar.url import MAX_URL, BadUrl, MessageUrl, message_url

WHOLE = Section()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/INBOX/;UID=20", MessageUrl("INBOX", None, 20, WHOLE, None)),
        (b"/INBOX;UIDVALIDITY=785799047/;UID=11467", MessageUrl("INBOX", 785799047, 11467, WHOLE, None)),
        (b"/Drafts;uidvalidity=3/;uid=2/;section=HEADER", MessageUrl("Drafts", 3, 2, Section((), SectionText.HEADER), None)),
        (b"/Drafts/;UID=20/;Section=1.MIME", MessageUrl("Drafts", None, 20, Section((1,), SectionText.MIME), None)),
        (b"/a/;UID=1/;SECTION=1.5.9", MessageUrl("a", None, 1, Section((1, 5, 9)), None)),
        (b"/a/;UID=1/;SECTION=TEXT/;PARTIAL=3.4", MessageUrl("a", None, 1, Section((), SectionText.TEXT), (3, 4))),
        (b"/a/;UID=1/;PARTIAL=100000", MessageUrl("a", None, 1, WHOLE, (100000, None))),
        (
            b"/a/;UID=1/;SECTION=HEADER.FIELDS%20(To%20%22From%22)",
            MessageUrl("a", None, 1, Section((), SectionText.HEADER_FIELDS, (b"TO", b"FROM")), None),
        ),
        (b"/Other%20Users/anna/Posta/;UID=1", MessageUrl("Other Users/anna/Posta", None, 1, WHOLE, None)),
        (b"/%c3%a4%3B%3f&=@:/;UID=4294967295", MessageUrl("\u00e4;?&=@:", None, 4294967295, WHOLE, None)),
        (b"/a//b//;UID=1", MessageUrl("a//b/", None, 1, WHOLE, None)),
    ],
)
def test_what_a_url_means(url: bytes, expected: MessageUrl) -> None:
    assert message_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"/",
        b"/INBOX",
        b"/INBOX/",
        b"/INBOX;UID=1",
        b"INBOX/;UID=1",
        b";UID=1",
        b"/;UID=1",
        b"/;SECTION=1",
        b"//host/INBOX/;UID=1",
        b"imap://host/INBOX/;UID=1",
        b"imap://anna@acme.test/INBOX/;UID=1",
        b"http://acme.test/",
        b"/INBOX/;UID=0",
        b"/INBOX/;UID=01",
        b"/INBOX/;UID=4294967296",
        b"/INBOX/;UID=99999999999",
        b"/INBOX/;UID=*",
        b"/INBOX/;UID=1:2",
        b"/INBOX/;UID=1/",
        b"/INBOX/;UID=1/..",
        b"/INBOX;UIDVALIDITY=0/;UID=1",
        b"/INBOX;UIDVALIDITY=/;UID=1",
        b"/INBOX/;UID=1/;SECTION=",
        b"/INBOX/;UID=1/;SECTION=0",
        b"/INBOX/;UID=1/;SECTION=MIME",
        b"/INBOX/;UID=1/;SECTION=1]",
        b"/INBOX/;UID=1/;SECTION=1%5D",
        b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS (To)",
        b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20()",
        b"/INBOX/;UID=1/;SECTION=1%00",
        b"/INBOX/;UID=1/;PARTIAL=1.0",
        b"/INBOX/;UID=1/;PARTIAL=.1",
        b"/INBOX/;UID=1/;PARTIAL=1.2/;SECTION=1",
        b"/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:0123456789abcdef0123456789abcdef",
        b"/INBOX?SUBJECT%20x",
        b"/INBOX/;UID=1?x",
        b"/INBOX/;UID=1#x",
        b"/%ff/;UID=1",
        b"/%/;UID=1",
        b"/%4/;UID=1",
        b"/a b/;UID=1",
        b"/a\xc3\xa4/;UID=1",
        b"/INBOX/;UID=1\n",
        b"/" + b"a" * MAX_URL + b"/;UID=1",
    ],
)
def test_what_is_no_url_of_a_message(url: bytes) -> None:
    with pytest.raises(BadUrl) as caught:
        message_url(url)
    assert caught.value.message.isprintable()


@given(
    st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable() and not name.startswith("/")),
    st.none() | st.integers(1, 0xFFFFFFFF),
    st.integers(1, 0xFFFFFFFF),
    st.lists(st.integers(1, 99), max_size=4).map(tuple),
)
def test_a_url_that_is_spelled_is_read_back(mailbox: str, uidvalidity: int | None, uid: int, path: tuple[int, ...]) -> None:
    url = f"/{quote(mailbox)}" + (f";UIDVALIDITY={uidvalidity}" if uidvalidity else "") + f"/;UID={uid}"
    if path:
        url += "/;SECTION=" + ".".join(map(str, path))
    assert message_url(url.encode()) == MessageUrl(mailbox, uidvalidity, uid, Section(path), None)


PIECES = [
    b"/",
    b"INBOX",
    b";UID=",
    b";UIDVALIDITY=",
    b";SECTION=",
    b";PARTIAL=",
    b"1",
    b"0",
    b".",
    b"%",
    b"%41",
    b"%00",
    b"]",
    b"(",
    b"HEADER",
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=14).map(b"".join) | st.binary(max_size=40))
def test_anything_is_read_or_refused(octets: bytes) -> None:
    for url in (octets, b"/a/;UID=1/;SECTION=" + octets):
        try:
            message_url(url)
        except BadUrl:
            pass
