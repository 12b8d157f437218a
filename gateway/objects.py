"""From the settings to where large messages lie: files of this machine, or an object store that is known to be ours."""

import asyncio
import logging
import secrets
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from config.settings import Objects
from store import objects
from store.away import Lost
from store.blobs import Files
from store.errors import Busy, Unusable
from store.objects import Home, ObjectFiles
from store.port import Store

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

RETRIES: Final = 3
CONNECT: Final = 5.0
"""Seconds."""


async def furnished(settings: Objects, files: Files, store: Store) -> Files:
    """`files`: what lies in no object store. Raises Unusable: messages lie in an object store, and it is not set, or another one is."""
    async with store.snapshot() as snapshot:
        name = await snapshot.ask(objects.home)
    if settings.url is None:
        if name is not None:
            log.warning("octets", extra={"fields": {"reason": "messages lie in an object store, and objects.url is not set"}})
        return files
    made = opened(settings)
    proposed = name or secrets.token_hex(8)
    there = ObjectFiles(
        files.directory,
        files.in_row,
        files.on_disk,
        objects=made,
        name=proposed,
        above=settings.above,
        deadline=settings.timeout,
        root=_root(settings.url),
    )
    try:
        # The mark first: who finds the name in the database relies on it.
        async with asyncio.timeout(CONNECT):
            await there.claim(known=name is not None)
    except Lost:
        raise Unusable(f"objects.url: {settings.url} is not where the messages of this installation lie") from None
    except (Busy, TimeoutError) as fault:
        if name is None:
            raise Unusable(f"objects.url: {str(fault) or 'it does not answer'}") from None
        # Mail that is smaller, and everything else, goes on without it.
        log.error("octets", extra={"fields": {"outcome": "not now", "reason": str(fault) or "it does not answer"}})
    if name is None:
        settled = await store.do(Home(proposed))
        if settled != proposed:  # another node was faster
            return await furnished(settings, files, store)
    return there


def opened(settings: Objects) -> "ObjectStore":
    """Nothing is asked of it yet. Raises Unusable; no word of it has a key in it."""
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, from_url

    assert settings.url is not None
    root = _root(settings.url)
    known = {} if settings.credentials is None else credentials(settings.credentials)
    try:
        if root is not None:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            return LocalStore(root)
        if settings.endpoint is not None:
            known["endpoint"] = settings.endpoint
        if settings.region:
            known["region"] = settings.region
        if settings.url.startswith("s3:"):
            # The other side compares what it got.
            known.setdefault("checksum_algorithm", "SHA256")
        options: dict[str, Any] = {
            "timeout": timedelta(seconds=settings.timeout),
            "connect_timeout": timedelta(seconds=min(CONNECT, settings.timeout)),
        }
        if (settings.endpoint or "").startswith("http://"):
            options["allow_http"] = True
        patience = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=settings.timeout)}
        return from_url(settings.url, config=known, client_options=options, retry_config=patience)  # type: ignore[call-overload, no-any-return]
    except (BaseError, OSError, ValueError, TypeError) as fault:
        raise Unusable(f"objects: it cannot be used as it is set ({type(fault).__name__})") from None


def credentials(file: Path) -> dict[str, str]:
    """What a file says, by names in lower case. Raises Unusable, without a word of what stands there."""
    found: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise Unusable(f"objects.credentials: {file} cannot be read ({type(fault).__name__})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.strip():
            raise Unusable(f"objects.credentials: line {number} of {file} is no NAME=value")
        found[name.strip().lower()] = value.strip()
    return found


def _root(url: str) -> Path | None:
    """Where the objects are files of this machine."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
