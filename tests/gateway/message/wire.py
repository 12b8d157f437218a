"""An independent, naive reading of IMAP data: parenthesised lists, quoted strings, literals, NIL, numbers."""

Value = bytes | int | None | list["Value"]


def read_wire(octets: bytes) -> Value:
    """The one value that the octets spell; raises AssertionError where they are no IMAP data."""
    stack: list[list[Value]] = [[]]
    at = 0
    while at < len(octets):
        one = octets[at : at + 1]
        if one == b"(":
            stack.append([])
            at += 1
        elif one == b")":
            done = stack.pop()
            assert stack, "unbalanced"
            stack[-1].append(done)
            at += 1
        elif one == b" ":
            assert octets[at + 1 : at + 2] not in (b" ", b")", b""), "stray blank"
            at += 1
        elif one == b'"':
            text = bytearray()
            at += 1
            while octets[at] != 0x22:
                if octets[at] == 0x5C:
                    at += 1
                    assert octets[at] in b'"\\'
                assert 0 < octets[at] < 0x80
                assert octets[at] not in b"\r\n"
                text.append(octets[at])
                at += 1
            at += 1
            stack[-1].append(bytes(text))
        elif one == b"{":
            close = octets.index(b"}\r\n", at)
            size = int(octets[at + 1 : close])
            at = close + 3 + size
            assert at <= len(octets)
            assert 0 not in octets[close + 3 : at]
            stack[-1].append(octets[close + 3 : at])
        elif octets.startswith(b"NIL", at):
            stack[-1].append(None)
            at += 3
        else:
            end = at
            while octets[end : end + 1].isdigit():
                end += 1
            assert end > at, octets[at : at + 20]
            stack[-1].append(int(octets[at:end]))
            at = end
    assert len(stack) == 1
    assert len(stack[0]) == 1
    return stack[0][0]
