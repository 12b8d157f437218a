from gateway.intake import Intake
from gateway.tallies import SharedAmount


def test_there_is_room_up_to_the_limit_and_what_is_given_back_is_room_again() -> None:
    intake = Intake(100)
    assert intake.take(60)
    assert intake.take(40)
    assert (intake.held, intake.free) == (100, 0)
    assert not intake.take(1)
    assert intake.held == 100, "what found no room is not counted"
    intake.give(60)
    assert intake.free == 60
    assert not intake.take(61)
    assert intake.take(60)


def test_several_processes_have_one_room() -> None:
    amount = SharedAmount(2)
    intake = Intake(100, amount.within(0))
    assert intake.take(60)
    other = Intake(100, amount.within(1))
    assert not other.take(41)
    assert other.take(40)
    assert (intake.free, other.held) == (0, 100)
