import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.bounce import Report, read_report
from gateway.reports import Failed, delivery_report
from policy.identity import Address


def report(*blocks: str, kind: str = "message/delivery-status", encoding: str = "7bit") -> bytes:
    status = "Reporting-MTA: dns; x\r\n\r\n" + "\r\n".join(blocks)
    return (
        'Content-Type: multipart/report; boundary="b"\r\n\r\n'
        f"--b\r\n\r\nSorry\r\n--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{status}\r\n--b--\r\n"
    ).encode()


FAILED = "Final-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1 (x)\r\nDiagnostic-Code: smtp;\r\n 550 no such user\r\n"
DELAYED = "Final-Recipient: rfc822; a@b\r\nAction: delayed\r\nStatus: 4.4.1\r\n"


@pytest.mark.parametrize(
    ("mail", "found"),
    [
        (report(FAILED), Report(True, "5.1.1", "smtp; 550 no such user")),
        (report(FAILED, kind="message/global-delivery-status"), Report(True, "5.1.1", "smtp; 550 no such user")),
        (report(DELAYED), Report(False)),
        (report(DELAYED, FAILED), Report(True, "5.1.1", "smtp; 550 no such user")),
        (report("ACTION: FAILED\r\n"), Report(True, "5.0.0", "")),
        (report("Action: failed\r\nStatus: 2.0.0\r\n"), Report(False)),
        (report("Action: failed\r\nStatus: 4.4.7\r\n"), Report(True, "4.4.7", "4.4.7")),
        (report(), Report(False)),
        (b"Content-Type: text/plain\r\n\r\nAction: failed\r\n", None),
        (b"", None),
    ],
)
def test_what_a_report_says(mail: bytes, found: Report | None) -> None:
    assert read_report(mail) == found


def test_a_report_inside_what_came_back_is_not_this_one() -> None:
    inner = report(FAILED).decode()
    mail = f'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--o--\r\n'
    assert read_report(mail.encode()) is None


def test_our_own_reports_are_read() -> None:
    ours = delivery_report(
        hostname="mx.acme.test",
        to=Address("team-bounces", "acme.test"),
        failed=[Failed(Address("x", "far.test"), "5.1.1", "550 5.1.1 no")],
        original=b"Subject: x\r\n\r\n",
        message_id="<1@x>",
        now=0,
    )
    assert read_report(ours) == Report(True, "5.1.1", "smtp; 550 5.1.1 no")


@given(
    st.lists(
        st.sampled_from([b"Action: failed\r\n", b"Status: 5", b".1.1", b"\r\n", b"\n", b":", b" ", b"\xff", b"--b", b"--b--"]), max_size=60
    )
)
def test_any_octets(pieces: list[bytes]) -> None:
    mail = report("@").replace(b"@", b"".join(pieces))
    found = read_report(mail)
    assert found is None or isinstance(found.reason, str)


def test_a_hostile_one_takes_no_time() -> None:
    began = time.process_time()
    assert read_report(report("Action: x\r\n\r\n" * 200_000)) == Report(False)
    assert read_report(report("\r\n" * 1_000_000)) is not None
    assert time.process_time() - began < 20
