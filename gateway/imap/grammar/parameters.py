"""The parameters and modifiers that extensions hang on SELECT, FETCH, STORE, STATUS and their kin."""

import re
from dataclasses import dataclass
from typing import TypeAlias, Union

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.strings import astring

_NAME = re.compile(rb"[A-Za-z_.-][A-Za-z0-9_.:-]{0,63}")
_SIMPLE = re.compile(rb"[0-9*$-][0-9*:,$-]*")
_ATTRIBUTE = re.compile(rb"\\[A-Za-z0-9-]+")
_BEGINS_VALUE = frozenset(b'0123456789*$-("\\')
MAX_PARAMETERS = 32
MAX_DEPTH = 8
MAX_VALUES = 1000

Value: TypeAlias = Union[bytes, tuple["Value", ...]]  # noqa: UP007  a string cannot be joined with |
"""A number, sequence set or string as octets, or a list of values."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name in upper case, with its value if one was given."""

    name: bytes
    value: Value | None = None


def parameters(c: Cursor, wanted: str) -> tuple[Parameter, ...]:
    """`"(" name [SP value] *(SP name [SP value]) ")"`: `select-params`, `fetch-modifiers`, `store-modifiers` (RFC 4466 section 2).

    Each name once. What a name means, and whether its value fits, the extension says that owns it.
    """
    c.need(b"(", wanted)
    found: list[Parameter] = []
    while True:
        name = c.expect(_NAME, wanted).upper()
        if any(name == earlier.name for earlier in found):
            c.fail("expected each parameter once")
        value: Value | None = None
        if c.peek() == b" " and _value_follows(c):
            c.sp()
            value = tagged_ext_val(c)
        found.append(Parameter(name, value))
        if c.skip(b")"):
            return tuple(found)
        if len(found) == MAX_PARAMETERS:
            c.fail(f"expected at most {MAX_PARAMETERS} parameters")
        c.sp()


def _value_follows(c: Cursor) -> bool:
    following = c.text[c.position + 1 : c.position + 2]
    return not following or following[0] in _BEGINS_VALUE


def tagged_ext_val(c: Cursor) -> Value:
    """`tagged-ext-val = tagged-ext-simple / "(" [tagged-ext-comp] ")"`, `tagged-ext-simple = sequence-set / number`,
    `tagged-ext-comp = astring / tagged-ext-comp *(SP tagged-ext-comp) / "(" tagged-ext-comp ")"` (RFC 4466 section 3)
    """
    if c.peek() != b"(":
        return _simple(c)
    opened: list[list[Value]] = []
    values = 0
    while True:
        if values == MAX_VALUES:
            c.fail(f"expected at most {MAX_VALUES} values")
        values += 1
        if c.skip(b"("):
            if len(opened) == MAX_DEPTH:
                c.fail(f"expected at most {MAX_DEPTH} parentheses within each other")
            opened.append([])
            if c.peek() != b")":
                continue
        else:
            opened[-1].append(_simple(c))
        while c.skip(b")"):
            closed = tuple(opened.pop())
            if not opened:
                return closed
            opened[-1].append(closed)
        c.sp()


def _simple(c: Cursor) -> bytes:
    found = _SIMPLE.match(c.text, c.position)
    if found is not None and c.text[found.end() : found.end() + 1] in (b" ", b")", b""):
        c.position = found.end()
        return found[0]
    # RFC 6154 section 5.3: USE (\Sent) has attributes, which RFC 4466 forgot.
    return c.match(_ATTRIBUTE) or astring(c, "a value")
