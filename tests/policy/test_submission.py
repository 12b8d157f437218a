"""The sender table of delegation.md section 5, the envelope, Resent blocks, and invitations of section 7, by hand."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cos import ServiceValues, UnauthorisedFrom
from policy.decision import Decision, Step
from policy.grants import Standing
from policy.identity import AccountId, Address, CosId, DomainId
from policy.rates import Rate, RateLimit
from policy.reasons import Defer, Reason, Refuse
from policy.scope import Scope, Sending
from policy.submission import (
    EnvelopeVerdict,
    Invitation,
    InvitationVerdict,
    Kind,
    Originators,
    Principal,
    ResentBlock,
    SenderFacts,
    SenderVerdict,
    is_own,
    judge_envelope,
    judge_invitation,
    judge_originators,
    judge_reverse_path,
    may_answer,
    narrowed,
    rate_limits,
    waits,
)


def at(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


U = at("delegate@acme.test")
ALIAS = at("dele@acme.test")
TAGGED = at("Delegate+shop@acme.test")
OWNER = at("owner@acme.test")
OWNER_ALIAS = at("boss@acme.test")
SECOND = at("second@acme.test")
LIST = at("team@acme.test")
STRANGER = at("stranger@acme.test")
NOBODY = at("nobody@acme.test")
FAR = at("me@far.test")
FAR_TOO = at("you@far.test")

YES = Decision(None, (Step("granted", decided=True),))
NO = Decision(Refuse(Reason.SENDER_NOT_PERMITTED, "no grant"), (Step("nothing found", decided=True),))
RIGHTS = {"neither": (NO, NO), "sendAs": (YES, NO), "sendOnBehalfOf": (NO, YES), "both": (YES, YES)}

OWNER_ID, SECOND_ID, LIST_ID, STRANGER_ID = 1, 3, 4, 5


def facts(
    rights: str = "neither",
    sending: Refuse | Defer | None = None,
    second: str = "neither",
    on_list: str = "neither",
    **values: Any,
) -> SenderFacts:
    send_as, on_behalf = RIGHTS[rights]
    principals = {
        OWNER: Principal(OWNER_ID, OWNER, OWNER, False, send_as, on_behalf, sending),
        OWNER_ALIAS: Principal(OWNER_ID, OWNER_ALIAS, OWNER, False, send_as, on_behalf, sending),
        SECOND: Principal(SECOND_ID, SECOND, SECOND, False, *RIGHTS[second]),
        LIST: Principal(LIST_ID, LIST, LIST, True, *RIGHTS[on_list]),
        STRANGER: Principal(STRANGER_ID, STRANGER, STRANGER, False, NO, NO),
    }
    return SenderFacts(
        actor=Standing(AccountId(2), DomainId(21), CosId(31), {}),
        primary=U,
        display_name="Della Gate",
        own=frozenset({U, ALIAS}),
        delimiters={"acme.test": "+"},
        principals=principals,
        exists=frozenset(principals),
        values=ServiceValues(**values),
    )


def sent(from_: Address | tuple[Address, ...], sender: Address | None, known: SenderFacts, path: Address | None = U) -> object:
    return judge_originators(Originators(from_ if isinstance(from_, tuple) else (from_,), sender), path, known)


# From: sender as the client wrote it → kind, Sender that goes out: "none", "kept" (the client's) or "U" (written)
SELF_ROWS = [
    (U, None, "none"),
    (U, U, "none"),
    (U, ALIAS, "kept"),
    (U, TAGGED, "kept"),
    (U, OWNER, "none"),
    (U, STRANGER, "none"),
    (U, FAR, "none"),
    (ALIAS, None, "none"),
    (ALIAS, U, "kept"),
    (TAGGED, None, "none"),
    (at("DELEGATE@acme.test"), U, "none"),  # the same mailbox, written otherwise
]


def sender_out(verdict: object) -> str:
    assert isinstance(verdict, SenderVerdict), verdict
    if verdict.new_sender is not None:
        assert not verdict.keep_sender
        return "U" if verdict.new_sender == U else str(verdict.new_sender)
    return "kept" if verdict.keep_sender else "none"


@pytest.mark.parametrize(("from_", "sender", "out"), SELF_ROWS)
@pytest.mark.parametrize("rights", RIGHTS)
def test_a_from_of_ones_own(from_: Address, sender: Address | None, out: str, rights: str) -> None:
    verdict = sent(from_, sender, facts(rights))
    assert sender_out(verdict) == out
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals, verdict.new_from, verdict.reverse_path) == ((Kind.SELF,), (), None, U)
    assert verdict.decisions == ()


OWNER_ROWS = [
    # rights, Sender of the client → kind, Sender that goes out
    ("sendAs", None, "send-as", "none"),
    ("sendAs", OWNER, "send-as", "none"),
    ("sendAs", U, "send-as", "none"),
    ("sendAs", STRANGER, "send-as", "none"),
    ("sendOnBehalfOf", None, "on-behalf", "U"),
    ("sendOnBehalfOf", OWNER, "on-behalf", "U"),
    ("sendOnBehalfOf", U, "on-behalf", "kept"),
    ("sendOnBehalfOf", ALIAS, "on-behalf", "kept"),
    ("sendOnBehalfOf", TAGGED, "on-behalf", "kept"),
    ("sendOnBehalfOf", STRANGER, "on-behalf", "U"),
    ("sendOnBehalfOf", FAR, "on-behalf", "U"),
    ("both", None, "send-as", "none"),
    ("both", OWNER, "send-as", "none"),
    ("both", at("OWNER@acme.test"), "send-as", "none"),
    ("both", U, "on-behalf", "kept"),
    ("both", STRANGER, "on-behalf", "U"),
]


@pytest.mark.parametrize(("rights", "sender", "kind", "out"), OWNER_ROWS)
def test_a_from_of_an_account_one_may_send_for(rights: str, sender: Address | None, kind: str, out: str) -> None:
    verdict = sent(OWNER, sender, facts(rights))
    assert sender_out(verdict) == out
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals, verdict.new_from) == ((Kind(kind),), (OWNER_ID,), None)
    assert verdict.decisions == (YES,)


@pytest.mark.parametrize(("rights", "sender", "kind", "out"), OWNER_ROWS)
def test_a_list_is_a_principal_like_an_account(rights: str, sender: Address | None, kind: str, out: str) -> None:
    sender = {OWNER: LIST, at("OWNER@acme.test"): at("TEAM@acme.test")}.get(sender, sender) if sender else None
    verdict = sent(LIST, sender, facts(on_list=rights))
    assert sender_out(verdict) == out
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals) == ((Kind(kind),), (LIST_ID,))


def unpermitted(address: Address) -> Refuse:
    return Refuse(Reason.SENDER_NOT_PERMITTED, f"delegate@acme.test may not send as {address}: no sendAs or sendOnBehalfOf grant")


@pytest.mark.parametrize("sender", [None, OWNER, U, STRANGER])
@pytest.mark.parametrize("from_", [OWNER, OWNER_ALIAS, LIST, STRANGER, NOBODY, at("owner+x@acme.test"), at("nobody+x@acme.test")])
def test_without_a_right_known_and_unknown_addresses_get_the_same_words(from_: Address, sender: Address | None) -> None:
    assert sent(from_, sender, facts()) == unpermitted(from_)


def test_a_right_on_one_says_nothing_of_another() -> None:
    assert sent(STRANGER, None, facts("both")) == unpermitted(STRANGER)
    assert sent(NOBODY, None, facts("both")) == unpermitted(NOBODY)


def test_the_refusal_reads_as_written_in_5_11() -> None:
    refusal = sent(OWNER, None, facts())
    assert isinstance(refusal, Refuse)
    assert refusal.detail == "delegate@acme.test may not send as owner@acme.test: no sendAs or sendOnBehalfOf grant"


@pytest.mark.parametrize("from_", [OWNER_ALIAS, at("owner+news@acme.test"), at("Owner@acme.test"), at("BOSS+x@acme.test")])
def test_a_grant_covers_aliases_and_subaddresses(from_: Address) -> None:
    verdict = sent(from_, None, facts("sendAs"))
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals, verdict.reverse_path) == ((Kind.SEND_AS,), (OWNER_ID,), from_)


def test_an_address_that_exists_is_itself_and_no_subaddress() -> None:
    taken = at("delegate+ops@acme.test")
    known = facts()
    assert is_own(taken, known)
    taken_by_another = replace(known, exists=known.exists | {taken})
    assert not is_own(taken, taken_by_another)
    assert sent(taken, None, taken_by_another) == unpermitted(taken)
    other = at("owner+ops@acme.test")
    assert isinstance(sent(other, None, replace(facts("sendAs"), exists=frozenset({other}))), Refuse)


FOREIGN = [
    # values → kind or refused
    ({}, None),
    ({"allow_any_from": True}, Kind.SELF_FOREIGN),
    ({"allow_from_addresses": ("me@far.test",)}, Kind.SELF),
    ({"allow_from_addresses": ("me@FAR.test",)}, Kind.SELF),
    ({"allow_from_addresses": ("ME@far.test",)}, None),
    ({"allow_from_addresses": ("you@far.test", "nonsense", "@far.test")}, None),
    ({"allow_any_from": True, "allow_from_addresses": ("me@far.test",)}, Kind.SELF),
]


@pytest.mark.parametrize(("values", "kind"), FOREIGN)
def test_a_foreign_from_needs_the_administrators_word(values: dict[str, Any], kind: Kind | None) -> None:
    verdict = sent(FAR, None, facts(**values))
    if kind is None:
        assert verdict == Refuse(Reason.SENDER_NOT_PERMITTED, "delegate@acme.test may not send as me@far.test: no allowFromAddresses entry")
    else:
        assert isinstance(verdict, SenderVerdict)
        assert (verdict.kinds, verdict.principals, sender_out(verdict)) == ((kind,), (), "none")


def test_a_foreign_from_treats_sender_and_envelope_as_ones_own_does() -> None:
    known = facts(allow_any_from=True)
    assert sender_out(sent(FAR, U, known)) == "kept"
    assert sender_out(sent(FAR, FAR_TOO, known)) == "none"
    assert sender_out(sent(FAR, STRANGER, known)) == "none"
    verdict = sent(FAR, None, known, path=FAR_TOO)
    assert isinstance(verdict, SenderVerdict)
    assert verdict.reverse_path == FAR_TOO
    assert judge_reverse_path(FAR, known) == FAR


@pytest.mark.parametrize("from_", [OWNER, STRANGER, NOBODY, at("owner+x@acme.test")])
def test_allow_any_from_never_covers_a_local_domain(from_: Address) -> None:
    assert sent(from_, None, facts(allow_any_from=True)) == unpermitted(from_)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("nobody@acme.test", True),
        ("NOBODY@acme.test", True),
        ("nobody+x@acme.test", False),
        ("stranger@acme.test", False),
        ("stranger+x@acme.test", False),
    ],
)
def test_allow_from_addresses_never_covers_a_local_account_or_list(address: str, own: bool) -> None:
    listed = ("nobody@acme.test", "stranger@acme.test", "stranger+x@acme.test")
    assert is_own(at(address), facts(allow_from_addresses=listed)) is own


def test_an_object_that_was_not_loaded_but_exists_is_not_covered_either() -> None:
    listed = facts(allow_from_addresses=("nobody@acme.test", "nobody+x@acme.test"))
    assert is_own(NOBODY, listed)
    assert is_own(at("nobody+x@acme.test"), listed)
    now_somebody = replace(listed, exists=listed.exists | {NOBODY})
    assert not is_own(NOBODY, now_somebody)
    assert not is_own(at("nobody+x@acme.test"), now_somebody)


def test_delegated_sender_addresses_name_fewer() -> None:
    assert narrowed(YES, OWNER, ()) is YES
    assert narrowed(YES, OWNER, ("Owner@acme.test",)) is YES
    assert narrowed(NO, OWNER, ("owner@acme.test",)) is NO
    refused = narrowed(YES, OWNER_ALIAS, ("owner@acme.test",))
    assert not refused.allowed
    assert refused.because == "granted, but delegatedSenderAddresses does not name boss@acme.test"


# No From at all (5.2)


@pytest.mark.parametrize(("sender", "author"), [(None, U), (ALIAS, ALIAS), (TAGGED, TAGGED), (OWNER, U), (FAR, U), (NOBODY, U)])
def test_a_missing_from_becomes_the_sender_or_the_actor(sender: Address | None, author: Address) -> None:
    verdict = sent((), sender, facts("sendAs"))
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.new_from, verdict.kinds, sender_out(verdict)) == (author, (Kind.SELF,), "none")


# Several From mailboxes (5.4)

SEVERAL = [
    # From, rights on owner, on second → kinds, principals, or the address refused
    ((U, ALIAS), "neither", "neither", (Kind.SELF,), ()),
    ((U, OWNER), "sendAs", "neither", (Kind.ON_BEHALF,), (OWNER_ID,)),
    ((OWNER, U), "sendOnBehalfOf", "neither", (Kind.ON_BEHALF,), (OWNER_ID,)),
    ((OWNER, SECOND), "sendAs", "sendOnBehalfOf", (Kind.ON_BEHALF, Kind.ON_BEHALF), (OWNER_ID, SECOND_ID)),
    ((OWNER, OWNER_ALIAS), "both", "neither", (Kind.ON_BEHALF,), (OWNER_ID,)),
    ((OWNER, SECOND), "both", "neither", SECOND, ()),
    ((U, OWNER), "neither", "neither", OWNER, ()),
    ((U, NOBODY), "both", "both", NOBODY, ()),
]


@pytest.mark.parametrize(("from_", "owner", "second", "result", "principals"), SEVERAL)
def test_several_authors_all_need_a_right_and_show_the_actor(
    from_: tuple[Address, ...], owner: str, second: str, result: object, principals: tuple[int, ...]
) -> None:
    verdict = sent(from_, None, facts(owner, second=second))
    if isinstance(result, Address):
        assert verdict == unpermitted(result)
        return
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals, sender_out(verdict), verdict.reverse_path) == (result, principals, "U", U)
    assert sender_out(sent(from_, ALIAS, facts(owner, second=second))) == "kept"


# MAIL FROM (5.6)

AT_MAIL = [
    # path, rights → path used or None for 553
    (None, "neither", None),
    (U, "neither", U),
    (TAGGED, "neither", TAGGED),
    (OWNER, "neither", "553"),
    (OWNER, "sendAs", OWNER),
    (OWNER, "sendOnBehalfOf", OWNER),
    (OWNER_ALIAS, "both", OWNER_ALIAS),
    (STRANGER, "both", "553"),
    (NOBODY, "both", "553"),
    (FAR, "both", "553"),
]


@pytest.mark.parametrize(("path", "rights", "result"), AT_MAIL)
def test_mail_from_that_no_from_could_justify_is_refused_at_once(path: Address | None, rights: str, result: object) -> None:
    verdict = judge_reverse_path(path, facts(rights))
    if result == "553":
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.REVERSE_PATH_NOT_PERMITTED
        assert verdict.detail.startswith(f"delegate@acme.test may not send as {path}: no ")
    else:
        assert verdict == result
    rewritten = judge_reverse_path(path, facts(rights, unauthorised_from=UnauthorisedFrom.REWRITE))
    assert rewritten == (U if result == "553" else result)


ENVELOPES = [
    # From, Sender, path, rights → envelope that goes out ("553": refused)
    (U, None, None, "neither", None),
    (U, None, ALIAS, "neither", ALIAS),
    (U, None, TAGGED, "neither", TAGGED),
    (U, None, OWNER, "both", "553"),
    (OWNER, None, None, "sendAs", None),
    (OWNER, None, U, "sendAs", OWNER),
    (OWNER, None, TAGGED, "sendAs", OWNER),
    (OWNER_ALIAS, None, U, "sendAs", OWNER_ALIAS),
    (OWNER, None, OWNER, "sendAs", OWNER),
    (OWNER, None, OWNER_ALIAS, "sendAs", OWNER_ALIAS),
    (OWNER, None, STRANGER, "sendAs", "553"),
    (OWNER, None, NOBODY, "sendAs", "553"),
    (OWNER, None, FAR, "sendAs", "553"),
    (OWNER, None, U, "sendOnBehalfOf", U),
    (OWNER, None, OWNER, "sendOnBehalfOf", OWNER),
    (OWNER, None, U, "both", OWNER),
    (OWNER, U, U, "both", U),
    (OWNER, U, OWNER_ALIAS, "both", OWNER_ALIAS),
    ((OWNER, U), None, U, "sendAs", U),
    ((OWNER, U), None, OWNER, "sendAs", OWNER),
    ((OWNER, U), None, SECOND, "sendAs", "553"),
]


@pytest.mark.parametrize(("from_", "sender", "path", "rights", "result"), ENVELOPES)
def test_the_envelope_at_the_end_of_data(
    from_: Address | tuple[Address, ...], sender: Address | None, path: Address | None, rights: str, result: object
) -> None:
    verdict = sent(from_, sender, facts(rights), path)
    if result == "553":
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.REVERSE_PATH_NOT_PERMITTED
    else:
        assert isinstance(verdict, SenderVerdict)
        assert verdict.reverse_path == result
        assert verdict.bounce_list is None


def test_another_principal_one_may_send_as_is_no_envelope_for_this_from() -> None:
    known = facts("sendAs", second="sendAs")
    assert judge_reverse_path(SECOND, known) == SECOND
    verdict = sent(OWNER, None, known, SECOND)
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.REVERSE_PATH_NOT_PERMITTED


@pytest.mark.parametrize(("rights", "path", "used"), [("sendAs", U, LIST), ("sendAs", LIST, LIST), ("sendOnBehalfOf", LIST, LIST)])
def test_a_list_as_envelope_sender_is_marked_for_its_bounce_address(rights: str, path: Address, used: Address) -> None:
    verdict = sent(LIST, None, facts(on_list=rights), path)
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.reverse_path, verdict.bounce_list) == (used, LIST_ID)


def test_on_behalf_of_a_list_with_an_own_envelope_keeps_it() -> None:
    verdict = sent(LIST, None, facts(on_list="sendOnBehalfOf"), U)
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.reverse_path, verdict.bounce_list) == (U, None)


def test_an_empty_path_excuses_no_from() -> None:
    assert sent(OWNER, None, facts(), None) == unpermitted(OWNER)


# The principal's status


@pytest.mark.parametrize("rights", ["sendAs", "sendOnBehalfOf", "both"])
@pytest.mark.parametrize(
    ("sending", "result"),
    [
        (Refuse(Reason.PRINCIPAL_STATUS, "locked"), Refuse(Reason.PRINCIPAL_STATUS, "the account owner@acme.test is locked")),
        (Refuse(Reason.PRINCIPAL_STATUS, "closed"), Refuse(Reason.PRINCIPAL_STATUS, "the account owner@acme.test is closed")),
        (
            Defer(Reason.PRINCIPAL_MAINTENANCE, "maintenance"),
            Defer(Reason.PRINCIPAL_MAINTENANCE, "the account owner@acme.test is in maintenance"),
        ),
    ],
)
def test_a_principal_that_may_not_send_now(rights: str, sending: Refuse | Defer, result: Refuse | Defer) -> None:
    assert sent(OWNER, None, facts(rights, sending)) == result
    assert sent((U, OWNER), None, facts(rights, sending)) == result


def test_who_has_no_right_learns_nothing_of_the_status() -> None:
    for sending in (Refuse(Reason.PRINCIPAL_STATUS, "locked"), Defer(Reason.PRINCIPAL_MAINTENANCE, "maintenance")):
        assert sent(OWNER, None, facts("neither", sending)) == unpermitted(OWNER)


# Rewriting (5.9)

REWRITE: dict[str, Any] = {"unauthorised_from": UnauthorisedFrom.REWRITE}


@pytest.mark.parametrize("from_", [OWNER, STRANGER, NOBODY, FAR, (U, STRANGER)])
@pytest.mark.parametrize(("sender", "out"), [(None, "none"), (OWNER, "none"), (ALIAS, "kept")])
@pytest.mark.parametrize(("path", "used"), [(U, U), (ALIAS, ALIAS), (OWNER, U), (NOBODY, U), (None, None)])
def test_rewrite_sends_as_the_actor(
    from_: Address | tuple[Address, ...], sender: Address | None, out: str, path: Address | None, used: Address | None
) -> None:
    verdict = sent(from_, sender, facts(**REWRITE), path)
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.new_from, verdict.kinds, verdict.principals, verdict.reverse_path) == (U, (Kind.SELF,), (), used)
    assert sender_out(verdict) == out
    assert len(verdict.decisions) == 1


def test_rewrite_changes_nothing_that_is_permitted() -> None:
    verdict = sent(OWNER, None, facts("sendAs", **REWRITE), U)
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.new_from, verdict.kinds, verdict.reverse_path) == (None, (Kind.SEND_AS,), OWNER)


def test_rewrite_mends_an_envelope_and_keeps_the_delegate_out_of_it() -> None:
    verdict = sent(OWNER, None, facts("sendAs", **REWRITE), STRANGER)
    assert isinstance(verdict, SenderVerdict)
    assert verdict.reverse_path == OWNER


# Resent blocks (5.5)


def resent(
    from_: Address | tuple[Address, ...],
    sender: Address | None,
    known: SenderFacts,
    author: Address = STRANGER,
    path: Address | None = U,
    found: bool = True,
    older: ResentBlock | None = None,
) -> object:
    block = ResentBlock(from_ if isinstance(from_, tuple) else (from_,), sender)
    claimed = Originators((author,), STRANGER, (block, older) if older else (block,))
    return judge_originators(claimed, path, known, may_resend=found)


def test_resent_fields_never_excuse_the_from() -> None:
    assert resent(U, None, facts()) == unpermitted(STRANGER)
    assert resent(U, None, facts(allow_resend=True), found=False) == unpermitted(STRANGER)


def test_a_resent_original_goes_out_as_it_is() -> None:
    verdict = resent(U, None, facts(allow_resend=True))
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.new_from, verdict.new_sender, verdict.keep_sender) == ((Kind.SELF,), None, None, True)
    assert (verdict.new_resent_sender, verdict.keep_resent_sender, verdict.reverse_path) == (None, False, U)


RESENT = [
    # rights on owner, Resent-Sender → new Resent-Sender, kept
    ("sendAs", None, U, False),
    ("sendAs", STRANGER, U, False),
    ("sendOnBehalfOf", None, U, False),
    ("sendOnBehalfOf", ALIAS, None, True),
    ("both", None, U, False),
]


@pytest.mark.parametrize(("rights", "sender", "written", "kept"), RESENT)
def test_resending_for_another_names_the_actor(rights: str, sender: Address | None, written: Address | None, kept: bool) -> None:
    verdict = resent(OWNER, sender, facts(rights, allow_resend=True))
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals) == ((Kind.ON_BEHALF,), (OWNER_ID,))
    assert (verdict.new_resent_sender, verdict.keep_resent_sender, verdict.keep_sender) == (written, kept, True)
    assert verdict.reverse_path == U


@pytest.mark.parametrize("author", [U, STRANGER])
@pytest.mark.parametrize("values", [{}, REWRITE])
def test_a_resent_from_without_a_right_is_refused(author: Address, values: dict[str, Any]) -> None:
    assert resent(OWNER, None, facts(allow_resend=True, **values), author) == unpermitted(OWNER)


def test_the_newest_block_is_judged_like_from_and_sender() -> None:
    behalf = resent(OWNER, None, facts("sendOnBehalfOf"), author=U)
    assert isinstance(behalf, SenderVerdict)
    assert (behalf.kinds, behalf.principals, behalf.new_resent_sender) == ((Kind.ON_BEHALF,), (OWNER_ID,), U)
    as_owner = resent(OWNER, U, facts("sendAs"), author=U)
    assert isinstance(as_owner, SenderVerdict)
    assert (as_owner.kinds, as_owner.new_resent_sender, as_owner.keep_resent_sender) == ((Kind.SEND_AS,), None, False)


def test_older_blocks_are_left_alone() -> None:
    verdict = resent(U, None, facts(allow_resend=True), older=ResentBlock((STRANGER,), NOBODY))
    assert isinstance(verdict, SenderVerdict)


def test_a_block_without_resent_from_names_the_actor() -> None:
    verdict = resent((), None, facts(), author=U)
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.new_resent_sender) == ((Kind.SELF,), U)


def test_a_verdict_rests_on_every_right_that_was_asked_about() -> None:
    known = facts("sendAs")
    ending = Principal(OWNER_ID, OWNER, OWNER, False, replace(YES, valid_until=9), replace(NO, valid_until=5))
    verdict = sent(OWNER, None, replace(known, principals={**known.principals, OWNER: ending}))
    assert isinstance(verdict, SenderVerdict)
    assert verdict.valid_until == 5


ADDRESSES = st.sampled_from([U, ALIAS, TAGGED, OWNER, OWNER_ALIAS, SECOND, LIST, STRANGER, NOBODY, FAR, at("owner+t@acme.test")])


@given(
    st.lists(ADDRESSES, max_size=3),
    st.none() | ADDRESSES,
    st.none() | ADDRESSES,
    st.sampled_from(list(RIGHTS)),
    st.sampled_from(list(RIGHTS)),
    st.booleans(),
)
def test_what_goes_out_is_always_permitted(
    from_: list[Address], sender: Address | None, path: Address | None, owner: str, second: str, rewrite: bool
) -> None:
    known = facts(owner, second=second, **(REWRITE if rewrite else {}))
    verdict = judge_originators(Originators(tuple(from_), sender), path, known)
    if not isinstance(verdict, SenderVerdict):
        assert not rewrite
        return
    may = {OWNER: owner, OWNER_ALIAS: owner, at("owner+t@acme.test"): owner, SECOND: second}
    authors = (verdict.new_from,) if verdict.new_from else tuple(from_)
    assert all(author in {U, ALIAS, TAGGED} or may.get(author, "neither") != "neither" for author in authors)
    if verdict.kinds == (Kind.SEND_AS,):
        assert not verdict.keep_sender
        assert verdict.new_sender is None
        assert verdict.reverse_path not in {U, ALIAS, TAGGED}
    if Kind.ON_BEHALF in verdict.kinds:
        assert verdict.keep_sender or verdict.new_sender == U
        assert len(verdict.kinds) == len(verdict.principals)
    if verdict.keep_sender:
        assert sender in {U, ALIAS, TAGGED}


# Invitations (7)

ACCEPT = Decision(None, (Step("account #2 on /Calendar: x", decided=True),))
NO_ACCEPT = Decision(Refuse(Reason.RIGHT_MISSING, "you need 'x'"))


def answered(
    from_: tuple[Address, ...],
    sent_by: Address | None = None,
    accept: Decision = ACCEPT,
    known: SenderFacts | None = None,
    method: str = "REPLY",
    attendee_id: int | None = OWNER_ID,
    signed: bool = False,
    sender: Address | None = None,
) -> object:
    invitation = Invitation(method, OWNER, sent_by, signed)
    return judge_invitation(invitation, from_, attendee_id, accept, known or facts(), sender)


FORMS = [
    # From, SENT-BY, rights → on behalf, SENT-BY added; None: refused
    ((OWNER,), None, "neither", (True, True)),
    ((OWNER,), U, "neither", (True, False)),
    ((OWNER,), None, "sendOnBehalfOf", (True, True)),
    ((OWNER,), None, "sendAs", (False, False)),
    ((OWNER,), U, "sendAs", (False, False)),
    ((OWNER_ALIAS,), None, "neither", (True, True)),
    ((OWNER,), STRANGER, "both", None),
    ((U,), U, "neither", (False, False)),
    ((ALIAS,), TAGGED, "neither", (False, False)),
    ((U,), None, "both", None),
    ((U,), STRANGER, "both", None),
    ((), U, "neither", (False, False)),
    ((), None, "neither", None),
    ((SECOND,), U, "neither", None),
    ((OWNER, U), U, "both", None),
    ((FAR,), U, "both", None),
]


@pytest.mark.parametrize(("from_", "sent_by", "rights", "result"), FORMS)
def test_an_answer_comes_from_the_attendee_or_names_the_actor(
    from_: tuple[Address, ...], sent_by: Address | None, rights: str, result: tuple[bool, bool] | None
) -> None:
    verdict = answered(from_, sent_by, known=facts(rights))
    if result is None:
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.INVITATION_NOT_PERMITTED
    else:
        assert verdict == InvitationVerdict(*result, ACCEPT)


@pytest.mark.parametrize("rights", RIGHTS)
@pytest.mark.parametrize("from_", [(OWNER,), (U,)])
def test_no_send_right_stands_in_for_x(rights: str, from_: tuple[Address, ...]) -> None:
    verdict = answered(from_, U, NO_ACCEPT, facts(rights))
    assert verdict == Refuse(
        Reason.INVITATION_NOT_PERMITTED,
        "delegate@acme.test may not answer for owner@acme.test: no 'x' (accept invitations) on the Calendar",
    )


def test_an_attendee_in_maintenance_waits() -> None:
    verdict = answered((OWNER,), U, Decision(Defer(Reason.OWNER_MAINTENANCE)))
    assert verdict == Defer(Reason.PRINCIPAL_MAINTENANCE, "the account owner@acme.test is in maintenance")


@pytest.mark.parametrize(
    ("method", "attendee_id"),
    [("REQUEST", OWNER_ID), ("CANCEL", OWNER_ID), ("PUBLISH", OWNER_ID), ("REPLY", None), ("REPLY", 2), ("COUNTER", None)],
)
def test_what_is_no_answer_for_another_local_account_follows_section_5(method: str, attendee_id: int | None) -> None:
    assert answered((OWNER,), accept=NO_ACCEPT, method=method, attendee_id=attendee_id) is None


@pytest.mark.parametrize("method", ["REPLY", "COUNTER", "reply"])
def test_reply_and_counter_are_judged(method: str) -> None:
    assert isinstance(answered((OWNER,), accept=NO_ACCEPT, method=method), Refuse)


def test_a_signed_answer_that_would_need_a_change_is_refused() -> None:
    assert isinstance(answered((OWNER,), None, signed=True), Refuse)
    assert isinstance(answered((OWNER,), U, signed=True), InvitationVerdict)
    assert isinstance(answered((OWNER,), None, known=facts("sendAs"), signed=True), InvitationVerdict)


def test_with_both_rights_the_sender_field_decides() -> None:
    assert answered((OWNER,), known=facts("both")) == InvitationVerdict(False, False, ACCEPT)
    assert answered((OWNER,), known=facts("both"), sender=U) == InvitationVerdict(True, True, ACCEPT)
    assert answered((OWNER,), known=facts("both"), sender=OWNER) == InvitationVerdict(False, False, ACCEPT)


def test_with_x_and_no_send_right_the_answer_goes_out_on_behalf() -> None:
    verdict = sent(OWNER, None, may_answer(facts(), OWNER, ACCEPT))
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.principals, verdict.new_sender, verdict.decisions) == ((Kind.ON_BEHALF,), (OWNER_ID,), U, (ACCEPT,))


def test_x_lends_no_right_on_others_and_changes_no_right_that_is_there() -> None:
    assert sent(SECOND, None, may_answer(facts(), OWNER, ACCEPT)) == unpermitted(SECOND)
    assert sent(OWNER, None, may_answer(facts(), OWNER, NO_ACCEPT)) == unpermitted(OWNER)
    verdict = sent(OWNER, None, may_answer(facts("sendAs"), OWNER, ACCEPT))
    assert isinstance(verdict, SenderVerdict)
    assert verdict.kinds == (Kind.SEND_AS,)


@pytest.mark.parametrize("rewrite", [False, True])
def test_at_mail_any_address_of_a_principal_will_do_at_data_only_covered_ones(rewrite: bool) -> None:
    """The right is held, but `delegatedSenderAddresses` does not name this alias."""
    known = facts("sendAs", **(REWRITE if rewrite else {}))
    known = replace(known, principals={**known.principals, OWNER_ALIAS: Principal(OWNER_ID, OWNER_ALIAS, OWNER, False, NO, NO, None, True)})
    assert judge_reverse_path(OWNER_ALIAS, known) == OWNER_ALIAS
    verdict = sent(OWNER, None, known, path=OWNER_ALIAS)
    assert isinstance(verdict, SenderVerdict)
    assert verdict.reverse_path == OWNER_ALIAS
    from_alias = sent(OWNER_ALIAS, None, known, path=OWNER_ALIAS)
    if rewrite:
        assert isinstance(from_alias, SenderVerdict)
        assert (from_alias.new_from, from_alias.rewritten_from) == (U, OWNER_ID)
    else:
        assert from_alias == unpermitted(OWNER_ALIAS)


def named(verdict: object) -> int | None:
    assert isinstance(verdict, Refuse | Defer), verdict
    return verdict.principal


def test_a_refusal_says_for_the_record_whose_name_it_was() -> None:
    locked = Refuse(Reason.PRINCIPAL_STATUS, "locked")
    assert named(sent(OWNER, None, facts())) == OWNER_ID
    assert named(sent((U, SECOND), None, facts())) == SECOND_ID
    assert named(sent(OWNER, None, facts("sendAs", locked))) == OWNER_ID
    assert named(judge_reverse_path(STRANGER, facts())) == STRANGER_ID
    assert named(sent(U, None, facts(), path=STRANGER)) == STRANGER_ID
    assert named(answered((OWNER,), accept=NO_ACCEPT)) == OWNER_ID
    for nobodys in (NOBODY, FAR):
        assert named(sent(nobodys, None, facts())) is None


def test_two_refusals_are_the_same_whosever_name_it_was() -> None:
    """What is said to the client does not depend on it."""
    assert Refuse(Reason.SENDER_NOT_PERMITTED, "x", principal=1) == Refuse(Reason.SENDER_NOT_PERMITTED, "x")
    assert Defer(Reason.PRINCIPAL_MAINTENANCE, principal=1) == Defer(Reason.PRINCIPAL_MAINTENANCE)


def test_x_does_not_outweigh_the_attendees_status() -> None:
    locked = Refuse(Reason.PRINCIPAL_STATUS, "locked")
    assert isinstance(sent(OWNER, None, may_answer(facts("neither", locked), OWNER, ACCEPT)), Refuse)


# --- an envelope sender without a message: path, rights on the owner → kind, or None for 553

ENVELOPES = [
    (None, "neither", Kind.SELF),
    (U, "neither", Kind.SELF),
    (ALIAS, "neither", Kind.SELF),
    (TAGGED, "neither", Kind.SELF),
    (OWNER, "neither", None),
    (OWNER, "sendAs", Kind.SEND_AS),
    (OWNER, "sendOnBehalfOf", Kind.ON_BEHALF),
    (OWNER, "both", Kind.SEND_AS),
    (OWNER_ALIAS, "sendAs", Kind.SEND_AS),
    (at("owner+shop@acme.test"), "sendAs", Kind.SEND_AS),
    (SECOND, "both", None),
    (LIST, "both", None),
    (NOBODY, "both", None),
    (FAR, "both", None),
]


@pytest.mark.parametrize(("path", "rights", "kind"), ENVELOPES)
def test_an_envelope_sender_is_judged_as_a_from(path: Address | None, rights: str, kind: Kind | None) -> None:
    verdict = judge_envelope(path, facts(rights))
    if kind is None:
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.REVERSE_PATH_NOT_PERMITTED
        assert verdict.detail.startswith(f"{U} may not send as {path}: no ")
        return
    assert isinstance(verdict, EnvelopeVerdict)
    assert verdict.kind is kind
    assert (None if verdict.principal is None else verdict.principal.id) == (None if kind is Kind.SELF else OWNER_ID)
    assert (verdict.decision is None) == (kind is Kind.SELF)


def test_an_envelope_sender_rests_on_the_status_which_only_who_holds_a_right_learns() -> None:
    away = Defer(Reason.PRINCIPAL_MAINTENANCE)
    assert isinstance(judge_envelope(OWNER, facts("sendAs", away)), Defer)
    refused = judge_envelope(OWNER, facts("neither", away))
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.REVERSE_PATH_NOT_PERMITTED


def test_an_envelope_sender_is_never_rewritten() -> None:
    assert isinstance(judge_envelope(OWNER, facts(unauthorised_from=UnauthorisedFrom.REWRITE)), Refuse)


def test_a_foreign_envelope_sender_needs_the_administrators_word() -> None:
    for values, kind in (({"allow_from_addresses": (str(FAR),)}, Kind.SELF), ({"allow_any_from": True}, Kind.SELF_FOREIGN)):
        assert judge_envelope(FAR, facts(**values)) == EnvelopeVerdict(kind)


# --- by an app password

ACTOR_ID = 2
SELF_ONLY = Scope(7, "robot", sending=frozenset({Sending.SELF}))
NOT_SELF = Scope(7, "robot", sending=frozenset({Sending.SEND_AS}))


def scoped(scope: Scope, rights: str = "neither", **values: Any) -> SenderFacts:
    """The principals' decisions come narrowed already (policy.grants)."""
    known = facts(rights, **values)
    return replace(known, actor=replace(known.actor, scope=scope))


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (SELF_ONLY, True),
        (NOT_SELF, False),
        (replace(SELF_ONLY, principal=ACTOR_ID), True),
        (replace(SELF_ONLY, principal=OWNER_ID), False),
    ],
)
@pytest.mark.parametrize("rewrite", [False, True])
def test_an_own_from_needs_the_scope(scope: Scope, allowed: bool, rewrite: bool) -> None:
    known = scoped(scope, unauthorised_from=UnauthorisedFrom.REWRITE if rewrite else UnauthorisedFrom.REFUSE, allow_any_from=True)
    for from_ in ((U,), (ALIAS,), (TAGGED,), (FAR,), (U, ALIAS), ()):
        verdict = sent(from_, None, known)
        assert isinstance(verdict, SenderVerdict) is allowed, from_
        if not allowed:
            assert isinstance(verdict, Refuse)
            assert verdict.reason is Reason.SENDER_NOT_PERMITTED
            assert "app password robot" in verdict.detail
    resent = Originators((U,), None, (ResentBlock((), None),))
    assert isinstance(judge_originators(resent, U, known), SenderVerdict) is allowed
    assert judge_reverse_path(U, known) == U, "the envelope is no author"


def test_an_app_password_for_one_principal_sends_as_that_one() -> None:
    known = scoped(replace(NOT_SELF, principal=OWNER_ID), "sendAs")
    verdict = sent(OWNER, None, known)
    assert isinstance(verdict, SenderVerdict)
    assert (verdict.kinds, verdict.reverse_path) == ((Kind.SEND_AS,), OWNER)
    assert isinstance(sent((OWNER, U), None, known), Refuse)
    with_own = Originators((OWNER,), None, (ResentBlock((), None),))
    assert isinstance(judge_originators(with_own, U, known), Refuse)


# The kill switches, recall windows and limits


def frozen(known: SenderFacts, *, principals: bool = False, actor: bool = False) -> SenderFacts:
    return replace(known, frozen=actor, principals={at: replace(one, frozen=principals) for at, one in known.principals.items()})


@pytest.mark.parametrize("rights", ["sendAs", "sendOnBehalfOf", "both"])
@pytest.mark.parametrize(
    ("principals", "actor", "reason", "who"),
    [
        (True, False, Reason.PRINCIPAL_FROZEN, OWNER),
        (False, True, Reason.ACTOR_FROZEN, U),
        (True, True, Reason.PRINCIPAL_FROZEN, OWNER),
    ],
)
def test_what_is_frozen_is_refused_for_good_and_named(rights: str, principals: bool, actor: bool, reason: Reason, who: Address) -> None:
    locked = Refuse(Reason.PRINCIPAL_STATUS, "locked")
    for known in (facts(rights), facts(rights, locked), facts(rights, **REWRITE)):
        stopped = frozen(known, principals=principals, actor=actor)
        for from_ in (OWNER, (U, OWNER)):
            verdict = sent(from_, None, stopped)
            assert isinstance(verdict, Refuse)
            assert (verdict.reason, verdict.principal) == (reason, OWNER_ID)
            assert str(who) in verdict.detail
        assert isinstance(sent(U, None, stopped), SenderVerdict), "its own mail goes on"


def test_who_holds_no_right_learns_nothing_of_a_freeze() -> None:
    assert sent(OWNER, None, frozen(facts(), principals=True, actor=True)) == unpermitted(OWNER)


def test_a_frozen_answer_to_an_invitation_is_refused_after_the_right() -> None:
    accept = Decision(None, (Step("x", decided=True),))
    invitation = Invitation("REPLY", OWNER, U)
    stopped = frozen(facts(), principals=True)
    for from_ in ((OWNER,), (U,), ()):
        verdict = judge_invitation(invitation, from_, OWNER_ID, accept, stopped)
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.PRINCIPAL_FROZEN
    missing = judge_invitation(invitation, (OWNER,), OWNER_ID, NO_ACCEPT, stopped)
    assert isinstance(missing, Refuse)
    assert missing.reason is Reason.INVITATION_NOT_PERMITTED


def test_a_session_that_is_withheld_sends_nothing_at_all() -> None:
    withheld = Refuse(Reason.PRINCIPAL_FROZEN, "stopped")
    known = replace(facts("both", **REWRITE), withheld=withheld)
    assert judge_reverse_path(U, known) is withheld
    assert judge_reverse_path(None, known) is withheld
    assert sent(U, None, known) is withheld


CAREFUL, HASTY = ServiceValues(undo_window=30), ServiceValues()
SAYS = replace(YES, undo_window=5)
AT_ONCE = replace(YES, undo_window=0)


@pytest.mark.parametrize(
    ("spoken_for", "actor", "seconds"),
    [
        ([], CAREFUL, 0),
        ([(OWNER_ID, YES)], HASTY, 30),
        ([(OWNER_ID, SAYS)], HASTY, 5),
        ([(OWNER_ID, AT_ONCE)], CAREFUL, 0),
        ([(SECOND_ID, YES)], CAREFUL, 0),
        ([(SECOND_ID, SAYS), (OWNER_ID, YES)], HASTY, 30),
        ([(OWNER_ID, AT_ONCE), (SECOND_ID, SAYS)], HASTY, 5),
        ([(LIST_ID, YES)], CAREFUL, 30),
        ([(LIST_ID, YES)], HASTY, 0),
        ([(LIST_ID, SAYS)], CAREFUL, 5),
    ],
)
def test_how_long_it_waits(spoken_for: list[tuple[int, Decision]], actor: ServiceValues, seconds: int) -> None:
    values = {OWNER_ID: CAREFUL, SECOND_ID: HASTY, LIST_ID: None, STRANGER_ID: None}
    known = facts()
    principals = {at: replace(one, values=values[one.id]) for at, one in known.principals.items()}
    assert waits(spoken_for, replace(known, principals=principals, values=actor)) == seconds


def test_what_a_message_counts_for() -> None:
    hour, day = Rate(5, 3600), Rate(9, 86400)
    known = facts(send_rate=day, delegated_send_rate=hour)
    owner = ServiceValues(delegated_send_rate=day, send_rate=hour)
    principals = {at: replace(one, values=owner if one.id == OWNER_ID else None) for at, one in known.principals.items()}
    known = replace(known, principals=principals)
    assert rate_limits(7, known.values, [OWNER_ID, LIST_ID], known) == (
        RateLimit(7, 0, day),
        RateLimit(7, OWNER_ID, day),
        RateLimit(7, LIST_ID, hour),
    )
    assert rate_limits(7, ServiceValues(), [], known) == ()
