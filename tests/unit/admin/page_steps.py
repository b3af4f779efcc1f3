"""How tests go through the admin pages."""

from __future__ import annotations

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def follow(client: FlaskClient, answer: TestResponse) -> str:
    assert answer.status_code == 303, answer.text
    assert answer.location is not None
    return client.get(answer.location).text
