"""A small issuer of tokens on loopback, with keys of its own: it signs what it is asked to, forgeries too, and can be switched off."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

AUDIENCE = "mail"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def jwk(key: Private, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """Its public part as RFC 7517 has it."""
    found: dict[str, Any] = {} if kid is None else {"kid": kid}
    match key:
        case rsa.RSAPrivateKey():
            public = key.public_key().public_numbers()
            found |= {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        case ec.EllipticCurvePrivateKey():
            point = key.public_key().public_numbers()
            curve, size = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48)}[key.curve.name]
            found |= {"kty": "EC", "crv": curve, "x": number(point.x, size), "y": number(point.y, size)}
        case _:
            found |= {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    return {**found, **more}


def signed(head: Mapping[str, Any], claims: object, key: Private | bytes | None) -> str:
    """A compact JWS (RFC 7515 section 7.1), whatever its header says."""
    text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    octets = text.encode()
    match key:
        case None:
            signature = b""
        case bytes():
            mac = hmac.HMAC(key, hashes.SHA256())
            mac.update(octets)
            signature = mac.finalize()
        case rsa.RSAPrivateKey():
            signature = key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            one, other = decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
            size = (key.curve.key_size + 7) // 8
            signature = one.to_bytes(size, "big") + other.to_bytes(size, "big")
        case _:
            signature = key.sign(octets)
    return f"{text}.{b64(signature)}"


class Keys:
    """One of each kind."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.ed = ed25519.Ed25519PrivateKey.generate()

    def by(self, algorithm: str) -> Private:
        return {"RS256": self.rsa, "ES256": self.ec, "EdDSA": self.ed}[algorithm]

    def document(self) -> dict[str, Any]:
        return {"keys": [jwk(self.rsa, "r", use="sig"), jwk(self.ec, "e", alg="ES256"), jwk(self.ed, "d")]}


KIDS = {"RS256": "r", "ES256": "e", "EdDSA": "d"}


class Issuer:
    """`url` is its name. `jwks` is what it says now; `up` False: it answers 503. `asked` counts questions by path."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys = Keys()
        self.jwks: object = self.keys.document()
        self.configuration: object = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.up = True
        self.asked: dict[str, int] = {}

    def claims(self, account: str, **changes: Any) -> dict[str, Any]:
        """What a good token of this account says; None takes a claim out."""
        now = time.time()
        found = {"iss": self.url, "aud": AUDIENCE, "email": account, "exp": now + 600, "iat": now, **changes}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, account: str, algorithm: str = "RS256", head: Mapping[str, Any] | None = None, **changes: Any) -> str:
        whole = {"alg": algorithm, "kid": KIDS[algorithm], "typ": "JWT", **(head or {})}
        return signed(
            {name: value for name, value in whole.items() if value is not None}, self.claims(account, **changes), self.keys.by(algorithm)
        )

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked[path] = self.asked.get(path, 0) + 1
        if not self.up:
            return 503, b"later"
        match path:
            case "/.well-known/openid-configuration":
                return 200, json.dumps(self.configuration).encode()
            case "/keys":
                return 200, json.dumps(self.jwks).encode()
            case "/moved":
                return 302, b""
            case "/large":
                return 200, b" " * (1 << 20)
            case _:
                return 404, b""


@contextmanager
def issuing() -> Iterator[Issuer]:
    found: list[Issuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, octets = found[0].answer(self.path)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/keys")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.append(Issuer(server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield found[0]
        finally:
            server.shutdown()
            thread.join()
