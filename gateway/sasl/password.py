"""PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the password itself."""

from gateway.sasl.exchange import Challenge, Claimed, Credentials, Malformed, Step, utf8


class Plain:
    """`message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 section 2)."""

    prompt = b""

    def take(self, response: bytes) -> Step:
        """Raises Malformed."""
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise Malformed("that is no PLAIN response")
        return Claimed(Credentials("PLAIN", utf8(parts[1]), utf8(parts[0]), parts[2]))


class Login:
    """A user name, then a password."""

    prompt = b"Username:"

    def __init__(self) -> None:
        self._name: str | None = None

    def take(self, response: bytes) -> Step:
        """Raises Malformed."""
        if not response or b"\0" in response:
            raise Malformed("that is no LOGIN response")
        if self._name is None:
            self._name = utf8(response)
            return Challenge(b"Password:")
        return Claimed(Credentials("LOGIN", self._name, "", response))
