"""What a signature costs: milliseconds per message, by its size and the keys of its domain.

    python -m tests.bench.signing [SECONDS]

Measured is what the queue asks for, from the octets to our fields, without the store; dkimpy does the same beside it.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable

import dkim
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from gateway.signatures import new_key
from gateway.signing import SigningRules, _made
from store.dkim import KeyId, KeyRow

HEAD = (
    b"From: Anna <anna@acme.test>\r\nTo: x@far.test\r\nSubject: hello\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@acme.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)
LINE = b"The quick brown fox jumps over the lazy dog and goes home at eight o'clock\r\n"


def milliseconds(work: Callable[[], object], seconds: float) -> float:
    began = time.perf_counter()
    count = 0
    while (passed := time.perf_counter() - began) < seconds or not count:
        work()
        count += 1
    return passed / count * 1000


def main(seconds: float = 1.0) -> None:
    made = {name: new_key(name) for name in ("rsa", "ed25519")}
    rows = {
        name: KeyRow(KeyId(number), "acme.test", "s", name, key.private, key.public, 0, 1, None)
        for number, (name, key) in enumerate(made.items())
    }
    rsa = load_der_private_key(made["rsa"].private, None)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    theirs = {"rsa": (pem, b"rsa-sha256"), "ed25519": (base64.b64encode(made["ed25519"].private[-32:]), b"ed25519-sha256")}
    rules = SigningRules("mx.acme.test")
    for size in (4_096, 102_400, 10_485_760):
        octets = HEAD + LINE * (size // len(LINE))
        for name, keys in (("rsa", ["rsa"]), ("ed25519", ["ed25519"]), ("both", ["rsa", "ed25519"])):
            ours = milliseconds(lambda octets=octets, keys=keys: _made(octets, [rows[one] for one in keys], None, None, 0, rules), seconds)  # type: ignore[misc]
            line = f"{size:>10} octets  {name:<8} {ours:8.2f} ms"
            if name in theirs:
                key, algorithm = theirs[name]
                other = milliseconds(
                    lambda octets=octets, key=key, algorithm=algorithm: dkim.sign(  # type: ignore[misc]
                        octets, b"s", b"acme.test", key, signature_algorithm=algorithm, canonicalize=(b"relaxed", b"relaxed")
                    ),
                    seconds,
                )
                line += f"   dkimpy {other:8.2f} ms"
            print(line, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
