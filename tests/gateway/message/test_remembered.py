"""What is remembered of values: the same as read anew, and nothing of long ones."""

from gateway.message.remembered import remembered


def test_a_short_value_is_read_once() -> None:
    asked: list[bytes] = []

    @remembered
    def read(value: bytes) -> int:
        asked.append(value)
        return len(value)

    short, long = b"x" * 256, b"x" * 257
    assert [read(short), read(short), read(long), read(long)] == [256, 256, 257, 257]
    assert asked == [short, long, long]


def test_no_more_than_some_are_kept() -> None:
    asked = 0

    @remembered
    def read(value: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return value

    for number in range(10_000):
        read(b"%d" % number)
    read(b"0")
    assert asked == 10_001
