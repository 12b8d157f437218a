"""The room for messages is counted exactly."""

from gateway.smtp.terms import Intake, Limits


def test_intake_never_holds_more_than_its_limit() -> None:
    intake = Intake(100)
    assert intake.take(60)
    assert not intake.take(41)
    assert intake.take(40)
    assert intake.held == 100
    intake.give(70)
    assert intake.held == 30
    assert intake.take(70)


def test_the_defaults_are_those_of_the_rfcs_or_better() -> None:
    limits = Limits()
    assert limits.auth_line >= 12_288  # RFC 4954 section 4.1
    assert limits.recipients >= 100  # RFC 5321 section 4.5.3.1.8
    assert limits.line >= 512  # section 4.5.3.1.4
    assert limits.command_timeout >= 300  # section 4.5.3.2.7
    assert limits.message_size >= 64 << 10  # section 4.5.3.1.7
