import pytest

from gateway.held_posts import HeldPost, is_held_post, read_held_post
from gateway.postponed import is_postponed
from policy.identity import AccountId, Address, ListId


@pytest.mark.parametrize(
    "post",
    [
        HeldPost(ListId(5), ListId(5), (), None, None, None),
        HeldPost(ListId(5), ListId(7), (ListId(8), ListId(5)), AccountId(3), Address("ä", "acme.test"), Address("anna", "acme.test")),
    ],
)
def test_what_is_kept_is_read_back(post: HeldPost) -> None:
    assert is_held_post(post.spelled())
    assert not is_postponed(post.spelled())
    assert read_held_post(post.spelled()) == post


@pytest.mark.parametrize("parameters", ["{}", '{"mail": [], "rcpt": []}', '{"release": {}}', ""])
def test_other_rows_are_none(parameters: str) -> None:
    assert not is_held_post(parameters)
