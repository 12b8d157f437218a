"""A signed head: what it says, what it proves, and how the key is kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.seals import BadSeal, Seals, holds, key_id, read_head, read_key, spell_head, spell_key
from store.audit import Head, SignedHead

HEAD = Head(7, bytes(range(32)))


def test_the_key_is_made_once_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    first = Seals(tmp_path, lambda: 1).public()
    assert Seals(tmp_path, lambda: 2).public().public == first.public
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    assert first.id == key_id(first.public)


def test_a_signature_holds_for_what_was_signed_and_for_nothing_else(tmp_path: Path) -> None:
    seals = Seals(tmp_path, lambda: 5)
    signed, public = seals.sign(HEAD), seals.public().public
    assert holds(signed, public)
    for other in (
        SignedHead(Head(8, HEAD.hash), signed.key, signed.at, signed.signature),
        SignedHead(Head(7, bytes(32)), signed.key, signed.at, signed.signature),
        SignedHead(HEAD, signed.key, 6, signed.signature),
        SignedHead(HEAD, "0" * 16, signed.at, signed.signature),
        SignedHead(HEAD, signed.key, signed.at, bytes(64)),
    ):
        assert not holds(other, public)
    (tmp_path / "other").mkdir()
    assert not holds(signed, Seals(tmp_path / "other", lambda: 5).public().public)


def test_the_next_key_signs_from_the_turn_on(tmp_path: Path) -> None:
    seals = Seals(tmp_path, lambda: 5)
    old = seals.public()
    new = seals.prepare()
    assert holds(seals.sign(HEAD), old.public)
    seals.turn()
    assert holds(seals.sign(HEAD), new.public)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.key"]


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "audit.key").write_bytes(content)
    with pytest.raises(BadSeal, match=r"audit\.key"):
        Seals(tmp_path).public()
    assert (tmp_path / "audit.key").read_bytes() == content


def test_what_is_spelled_is_read_back(tmp_path: Path) -> None:
    seals = Seals(tmp_path, lambda: 5)
    for one in (HEAD, seals.sign(HEAD)):
        assert read_head(spell_head(one)) == one
    public = seals.public().public
    assert read_key(spell_key(public)) == public


@given(st.text() | st.from_regex(r"[0-9]{1,3}:[0-9a-f]{64}(:[0-9]{1,3}:[0-9a-f]{16}:[A-Za-z0-9+/]{86}==)?", fullmatch=True))
def test_any_text_is_a_head_or_refused(text: str) -> None:
    try:
        found = read_head(text)
    except BadSeal:
        return
    assert read_head(spell_head(found)) == found


@given(st.text())
def test_any_text_is_a_key_or_refused(text: str) -> None:
    try:
        assert spell_key(read_key(text)) == text
    except BadSeal:
        pass
