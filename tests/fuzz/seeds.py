"""From where the search begins: one honest input of each kind, so that the first minutes are not spent on finding a command's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MAIL = (
    b'From: Anna <anna@acme.test>, "B." <b@acme.test>\r\nSender: <anna@acme.test>\r\nTo: staff: a@b, c@d;\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n'
    b"Date: Mon, 1 Jan 2024 10:00:00 +0100 (CET)\r\nMessage-ID: <m@acme.test>\r\nReferences: <a@b> <c@d>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary*0=x; boundary*1=y\r\n\r\n--xy\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A9\r\n--xy\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n"
    b"--xy\r\nContent-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    b"ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@acme.test\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--xy--\r\n"
)
COMMANDS = (
    b'a LOGIN "anna@acme.test" {6+}\r\nsecret\r\n',
    b"a SELECT INBOX (CONDSTORE QRESYNC (1 2 1:4 (1,2 3,4)))\r\n",
    b"a UID FETCH 1:*,$ (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From To)]<0.10> BINARY.SIZE[1] PREVIEW (LAZY)) (CHANGEDSINCE 1)\r\n",
    b'a SEARCH RETURN (MIN MAX COUNT PARTIAL 1:10) CHARSET UTF-8 OR (NOT SUBJECT "x") UID 1:5 SINCE 1-Feb-2024 FUZZY TEXT {1+}\r\nx\r\n',
    b'a LIST (SUBSCRIBED RECURSIVEMATCH) "" ("INBOX" "%") RETURN (STATUS (MESSAGES) SPECIAL-USE MYRIGHTS)\r\n',
    b"a STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen $Junk)\r\n",
    b'a APPEND INBOX (\\Seen) "01-Jan-2024 00:00:00 +0000" CATENATE (TEXT {1+}\r\nx URL "/INBOX/;UID=1/;SECTION=1")\r\n',
    b"a NOTIFY SET STATUS (selected (MessageNew (UID) MessageExpunge)) (subtree INBOX (MailboxName))\r\n",
    b'a ESEARCH IN (mailboxes "INBOX" subtree "x") RETURN (ALL) ALL\r\n',
    b'a SETMETADATA INBOX (/private/comment "x" /shared/comment NIL)\r\n',
    b"a SORT (REVERSE DATE SUBJECT) UTF-8 ALL\r\na THREAD REFERENCES UTF-8 ALL\r\n",
    b'a ID ("name" "x")\r\na ENABLE UTF8=ACCEPT UIDONLY\r\na SETACL INBOX group:staff@acme.test +lr\r\na SETQUOTA "" (STORAGE 5)\r\n',
)
SEEDS: Mapping[str, Sequence[bytes]] = {
    "stored_message": (MAIL,),
    "submitted_message": (MAIL,),
    "signature": (b"v=1; a=rsa-sha256; c=relaxed/simple; d=acme.test; s=s; h=from:to; bh=x; b=y",),
    "imap_commands": COMMANDS,
    "imap_names": (b"INBOX", b"Entw&APw-rfe/%/*", b"imap://u;AUTH=*@h/INBOX;UIDVALIDITY=1/;UID=2/;SECTION=1.MIME/;PARTIAL=0.5"),
    "smtp_arguments": (b"FROM:<@a,@b:anna@acme.test> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=x HOLDFOR=5", b'TO:<"a b"@[IPv6:::1]> NOTIFY=SUCCESS ORCPT=rfc822;x', b"5 LAST"),
    "smtp_data": (b"a\r\n..b\r\n.\r\nQUIT\r\n", b"a\n.\r\n\r\n.\n\r\n.\r\n"),
    "neighbours": (b"14:virtual a@b.ch,", b"request=smtpd_access_policy\nsender=a@b\n\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"x" * 12, b"version: STSv1\r\nmode: enforce\r\nmx: *.x.test\r\nmax_age: 86400\r\n"),
    "administrators": (b"(&(title=x*)(!(department=y)))", b'{"format": 1}'),
    "imap": tuple(bytes([state]) + command for state in range(8) for command in COMMANDS),
    "smtp": tuple(bytes([state]) + b"MAIL FROM:<anna@acme.test>\r\nRCPT TO:<b@acme.test>\r\nDATA\r\nFrom: a\r\n\r\nx\r\n.\r\nBDAT 3 LAST\r\nabc" for state in range(7)),
}  # fmt: skip
