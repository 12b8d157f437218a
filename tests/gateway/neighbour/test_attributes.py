"""Requests of policy delegation: what is read of them, and that no octets make anything but a request, patience or BadRequest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.neighbour.attributes import REQUEST, BadRequest, Request, spell, take

# As Postfix 3.7 writes one, shortened.
ASKED = b"""request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
client_address=192.0.2.7
client_name=unknown
helo_name=client.test
sender=anna@acme.test
recipient=bruno@acme.test
recipient_count=0
queue_id=8045F2AB23
instance=123.456.7
size=12345
sasl_method=plain
sasl_username=anna@acme.test
sasl_sender=
encryption_protocol=TLSv1.3
policy_context=

"""


def test_a_request() -> None:
    expected = Request(
        state="RCPT",
        sender="anna@acme.test",
        recipient="bruno@acme.test",
        login="anna@acme.test",
        mechanism="plain",
        client="192.0.2.7",
        instance="123.456.7",
        queue_id="8045F2AB23",
        size=12345,
        secured=True,
    )
    assert take(ASKED + b"request=") == (expected, len(ASKED))
    for cut in range(len(ASKED)):
        assert take(ASKED[:cut]) is None
        assert take(ASKED, cut) == (expected, len(ASKED))


def test_what_is_left_out_is_not_known() -> None:
    taken = take(b"request=smtpd_access_policy\nsize=-1\nwhatever=a=b\n\n")
    assert taken is not None
    assert taken[0] == Request(state="")


@pytest.mark.parametrize(
    "octets",
    [
        b"\n\n",
        b"request=junk\n\n",
        b"protocol_state=RCPT\n\n",
        b"request=smtpd_access_policy\nno attribute\n\n",
        b"request=smtpd_access_policy\n=x\n\n",
        b"request=smtpd_access_policy\nsender=a\nsender=b\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\n",
        b"a" * (REQUEST + 1),
        b"request=smtpd_access_policy\nx=" + b"a" * REQUEST + b"\n\n",
    ],
)
def test_what_is_no_request(octets: bytes) -> None:
    with pytest.raises(BadRequest):
        take(octets)


@given(
    st.binary(max_size=200)
    | st.lists(st.binary(max_size=20)).map(lambda rows: b"request=smtpd_access_policy\n" + b"=".join(rows) + b"\n\n")
)
def test_any_octets(octets: bytes) -> None:
    try:
        taken = take(octets)
    except BadRequest:
        return
    assert taken is None or 0 < taken[1] <= len(octets)


@pytest.mark.parametrize("size", ["٣", "1e3", "9" * 19, "", " 1", "1_0"])
def test_a_size_that_is_none(size: str) -> None:
    taken = take(f"request=smtpd_access_policy\nsize={size}\n\n".encode())
    assert taken is not None
    assert taken[0].size == 0


def test_an_action() -> None:
    assert spell("DUNNO") == b"action=DUNNO\n\n"
