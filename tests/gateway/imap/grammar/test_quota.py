"""GETQUOTA, GETQUOTAROOT."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.quota import GetQuota, GetQuotaRoot, getquota, getquotaroot
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


def test_they_are_read() -> None:
    assert read(getquota, b' ""') == GetQuota("")
    assert read(getquota, b" anna@acme.test") == GetQuota("anna@acme.test")
    assert read(getquota, b' "User quota"') == GetQuota("User quota")
    assert read(getquotaroot, b" inbox") == GetQuotaRoot("INBOX")
    assert read(getquotaroot, b" {3}\r\na b") == GetQuotaRoot("a b")


@pytest.mark.parametrize("arguments", [b"", b" ", b" x y", b' "\xff"', b" " + b"x" * 513])
def test_getquota_that_is_none_is_refused(arguments: bytes) -> None:
    refused(getquota, arguments)


@pytest.mark.parametrize("arguments", [b"", b" x y", b" ()"])
def test_getquotaroot_that_is_none_is_refused(arguments: bytes) -> None:
    refused(getquotaroot, arguments)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(getquota, found)
    never_crashes(getquotaroot, found)
