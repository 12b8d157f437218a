"""What a list writes to people by itself: questions, answers, and notices to its owners."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from gateway.list_addresses import Role, role_address
from gateway.message.dates import format_date
from gateway.message.split import read_header
from policy.identity import Address

MOST_ATTACHED: Final = 256 * 1024
"""Octets of a post that its owners get whole; of a larger one they see the header."""


@dataclass(frozen=True, slots=True)
class Letter:
    """To one person, with the empty envelope sender."""

    to: Address
    octets: bytes


@dataclass(frozen=True, slots=True)
class ListMails:
    """Letters of one list at one moment. `unique`: what the Message-IDs begin with, of the caller's making; `now`: microseconds."""

    group: Address
    hostname: str
    unique: str
    now: int

    def confirm(self, to: Address, key: str, *, joining: bool) -> Letter:
        """The question whether it was they who asked; the answer goes to an address that nobody else knows."""
        answer = role_address(self.group, Role.CONFIRM, key)
        what = "become a member of" if joining else "leave"
        text = [
            f"Somebody, we hope it was you, asked that {to} {what} the list {self.group}.",
            "",
            "If that is what you want, simply answer this mail, or write to:",
            "",
            f"  {_mailto(answer, 'confirm')}",
            "",
            "If not, do nothing: then nothing happens.",
        ]
        return self._letter(to, "Please confirm: " + ("joining " if joining else "leaving ") + str(self.group), text, answer)

    def joined(self, to: Address, *, may_leave: bool) -> Letter:
        """They are a member now."""
        text = [f"{to} is a member of the list {self.group} now.", "", f"What is sent to {self.group} reaches you from now on."]
        leave = role_address(self.group, Role.UNSUBSCRIBE)
        text += ["", f"To leave it, write to {leave}."] if may_leave else self._owners("To leave it")
        return self._letter(to, f"Welcome to {self.group}", text)

    def left(self, to: Address) -> Letter:
        """They are none any more."""
        return self._letter(to, f"You have left {self.group}", [f"{to} is no member of the list {self.group} any more."])

    def unchanged(self, to: Address, *, joining: bool) -> Letter:
        """They were (or were not) a member anyway."""
        text = f"{to} is a member of the list {self.group} already." if joining else f"{to} is no member of the list {self.group}."
        more = (
            []
            if joining
            else ["", "If you get its mail all the same, it comes by another address of yours or another list.", *self._owners("To ask")]
        )
        return self._letter(to, f"About {self.group}", [text, *more])

    def not_by_mail(self, to: Address, *, joining: bool) -> Letter:
        """The policy is to leave that to the owners."""
        what = "becomes a member" if joining else "leaves"
        text = [f"Nobody {what} by mail: of the list {self.group}, its owners decide who is a member.", *self._owners("To ask them")]
        return self._letter(to, f"About {self.group}", text)

    def owners_asked(self, to: Address, *, joining: bool) -> Letter:
        """It waits for an owner now."""
        what = "become a member of" if joining else "leave"
        text = [f"The owners of {self.group} have been asked whether {to} may {what} it. You hear of their answer."]
        return self._letter(to, f"Your request to {self.group}", text)

    def refused(self, to: Address, reason: str, *, joining: bool) -> Letter:
        """An owner said no."""
        what = "become a member of" if joining else "leave"
        text = [f"An owner has not let {to} {what} the list {self.group}.", *_said(reason)]
        return self._letter(to, f"Your request to {self.group}", text)

    def gone(self, to: Address) -> Letter:
        """What they confirm or decide is not there (any more)."""
        text = [
            "What you answered is not there any more: it has been done or decided already, or nobody answered in time.",
            "",
            f"Nothing was changed at the list {self.group}.",
        ]
        return self._letter(to, f"About {self.group}", text)

    def help(self, to: Address, *, joins: bool, leaves: bool) -> Letter:
        """What can be asked by mail."""
        text = [f"This is what the list {self.group} understands by mail:", ""]
        text += [f"  to join it      {_mailto(role_address(self.group, Role.SUBSCRIBE))}"] if joins else []
        text += [f"  to leave it     {_mailto(role_address(self.group, Role.UNSUBSCRIBE))}"] if leaves else []
        text += [f"  its owners      {_mailto(role_address(self.group, Role.OWNER))}", ""]
        text += [
            f"Or write to {role_address(self.group, Role.REQUEST)}, with one of these words as the subject or in the first line:",
            "  " + ", ".join([*(["subscribe"] if joins else []), *(["unsubscribe"] if leaves else []), "help"]),
        ]
        return self._letter(to, f"How to write to {self.group}", text)

    def asks_owner(self, to: Address, decide: Address, who: Address, *, joining: bool) -> Letter:
        """To an owner: somebody wants to join or leave."""
        what = "become a member of" if joining else "leave"
        text = [f"{who} wants to {what} the list {self.group}, and has confirmed it.", *_how(decide)]
        return self._letter(to, f"{who} wants to {'join' if joining else 'leave'} {self.group}", text, decide, automatic="auto-generated")

    def asks_again(self, to: Address, decide: Address) -> Letter:
        """To an owner whose answer was neither word."""
        text = ["Your answer was neither `approve` nor `reject`, so nothing was decided.", *_how(decide)]
        return self._letter(to, f"Your decision about {self.group}", text, decide)

    def post_held(self, to: Address, decide: Address, who: str, subject: str, post: bytes, until: int) -> Letter:
        """To an owner: a post waits."""
        day = format_date(datetime.fromtimestamp(until / 1_000_000, UTC))
        text = [
            f"A message to the list {self.group} waits for one of its owners.",
            "",
            f"  From:    {_line(who)}",
            f"  Subject: {_line(subject)}",
            f"  Size:    {len(post)} octets",
            *_how(decide),
            "",
            f"What nobody decides until {day} is thrown away. The message is attached.",
        ]
        return self._letter(to, f"A post to {self.group} waits for you", text, decide, post, automatic="auto-generated")

    def post_waits(self, to: Address, subject: str) -> Letter:
        """To who posted."""
        text = [f"Your message to {self.group} waits until one of the list's owners lets it through.", "", f"  Subject: {_line(subject)}"]
        return self._letter(to, f"Your message to {self.group} waits for its owners", text)

    def post_refused(self, to: Address, subject: str, reason: str) -> Letter:
        """To who posted: an owner said no."""
        text = [f"An owner of {self.group} has not let your message through.", "", f"  Subject: {_line(subject)}", *_said(reason)]
        return self._letter(to, f"Your message to {self.group} was not let through", text)

    def post_too_late(self, to: Address, subject: str) -> Letter:
        """To who posted: nobody decided."""
        text = [f"No owner of {self.group} has decided about your message in time; it was thrown away.", "", f"  Subject: {_line(subject)}"]
        return self._letter(to, f"Your message to {self.group} was not let through", text)

    def suspended(self, to: Address, member: Address, reason: str) -> Letter:
        """To an owner: a member cannot be reached."""
        text = [
            f"Mail to {member}, a member of the list {self.group}, has come back on several days. Nothing is sent there any more.",
            "",
            f"  The last time: {_line(reason)}",
            "",
            "It stays a member. When the address works again, an administrator resumes it:",
            "",
            f"  procura list resume {self.group} {member}",
            "",
            "or takes it off the list:",
            "",
            f"  procura prov removeDistributionListMember {self.group} {member}",
        ]
        return self._letter(to, f"{member} cannot be reached by {self.group}", text, automatic="auto-generated")

    def _owners(self, to_do: str) -> list[str]:
        return ["", f"{to_do}, write to {role_address(self.group, Role.OWNER)}."]

    def _letter(
        self,
        to: Address,
        subject: str,
        text: list[str],
        reply_to: Address | None = None,
        attached: bytes | None = None,
        *,
        automatic: str = "auto-replied",
    ) -> Letter:
        """Precedence keeps those from answering who do not know Auto-Submitted (RFC 3834 section 5)."""
        fields = [
            f"From: {role_address(self.group, Role.REQUEST)}",
            f"To: {to}",
            *([f"Reply-To: {reply_to}"] if reply_to is not None else []),
            f"Subject: {_line(subject)}",
            f"Date: {format_date(datetime.fromtimestamp(self.now / 1_000_000, UTC))}",
            f"Message-ID: <{self.unique}.{secrets.token_hex(4)}@{self.hostname}>",
            f"Auto-Submitted: {automatic}",
            "Precedence: bulk",
            "MIME-Version: 1.0",
        ]
        head = "".join(f"{one}\r\n" for one in fields).encode("utf-8", "replace")
        body = "".join(f"{one}\r\n" for one in text).encode("utf-8", "replace")
        plain = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        if attached is None:
            return Letter(to, head + plain + body)
        boundary = secrets.token_hex(16).encode()
        whole = len(attached) <= MOST_ATTACHED
        kind, part = (
            (b"message/rfc822", attached) if whole else (b"text/rfc822-headers", attached[: read_header(attached).end][:MOST_ATTACHED])
        )
        encoding = b"7bit" if part.isascii() else b"8bit"
        pieces = [
            head + b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n',
            b"--" + boundary + b"\r\n" + plain + body,
            b"\r\n--" + boundary + b"\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + part,
            b"\r\n--" + boundary + b"--\r\n",
        ]
        return Letter(to, b"".join(pieces))


def _how(decide: Address) -> list[str]:
    """Only words decide: an answer that a machine gives to every mail must not."""
    return [
        "",
        "To let it pass, answer with the word",
        "",
        "  approve",
        "",
        "in the first line; to refuse it, with `reject` and, if you like, the reason in the same line. Or write to:",
        "",
        f"  {_mailto(decide, 'approve')}",
        f"  {_mailto(decide, 'reject')}",
        "",
        "This address is yours alone; whoever has it decides in your name.",
    ]


def _said(reason: str) -> list[str]:
    return ["", "The reason given:", "", *(f"  {_line(one)}" for one in reason.splitlines())] if reason else []


def _mailto(address: Address, subject: str = "") -> str:
    """RFC 6068."""
    return f"<mailto:{quote(str(address), safe='@+')}" + (f"?subject={subject}>" if subject else ">")


def mailto(address: Address, subject: str = "") -> bytes:
    """As a value of the List fields (RFC 2369)."""
    return _mailto(address, subject).encode("ascii")


def _line(text: str) -> str:
    """One line without controls: what strangers wrote ends up here."""
    return "".join(one if one.isprintable() else " " for one in text)[:300]
