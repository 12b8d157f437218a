"""The real services are what the hooks expect: same methods, same parameters in the same order."""

import inspect
from typing import Any

import pytest

from gateway import delivery, login, mechanisms, sessions, submission
from gateway.smtp import services


@pytest.mark.parametrize(
    ("expected", "real"),
    [
        (mechanisms.Login, login.Login),
        (services.Submission, submission.Submission),
        (services.Transaction, submission.Transaction),
        (services.Delivery, delivery.Delivery),
        (services.Inbound, delivery.Inbound),
        (services.Sessions, sessions.Sessions),
    ],
)
def test_the_real_service_fits(expected: Any, real: Any) -> None:
    for name, method in vars(expected).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            found = getattr(real, name)
            assert inspect.iscoroutinefunction(found) == inspect.iscoroutinefunction(method)
            required = list(inspect.signature(found).parameters.values())
            given = list(inspect.signature(method).parameters)
            assert len(required) >= len(given)
            assert all(one.default is not one.empty for one in required[len(given) :])
