from gateway.intake import Intake


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
