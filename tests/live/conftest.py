"""Who writes to the `server` of a file, and where it is read: each file has its own server, these come with it."""

from collections.abc import Iterator

import pytest

from tests.live.post import Clients, Postbox
from tests.live.server import Server


@pytest.fixture(scope="module")
def clients(server: Server) -> Iterator[Clients]:
    clients = Clients(server)
    yield clients
    clients.close()


@pytest.fixture(scope="module")
def inbox(server: Server) -> Iterator[Postbox]:
    """To whom everything is sent."""
    box = Postbox(server, "rita@other.test")
    yield box
    box.close()


@pytest.fixture
def rita(inbox: Postbox) -> Postbox:
    """The same, with all that came before this test looked at."""
    inbox.new()
    return inbox
