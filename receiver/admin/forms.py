"""What people type. Each form carries Flask-WTF's token, so that no other site can send it in their name."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import (  # type: ignore[import-untyped]  # wtforms ships no types
    IntegerField,
    PasswordField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import EqualTo, InputRequired, Length, NumberRange  # type: ignore[import-untyped]  # wtforms ships no types

from receiver.services.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from receiver.services.people import MAX_TOKEN_DAYS, SCOPES
from receiver.services.review import MAX_REASON_CHARACTERS

_SCOPE_WORDS = ("act: all that you may do", "read: look only", "metrics: figures only")
_TYPED = InputRequired("This must be filled in.")


class SignInForm(FlaskForm):  # type: ignore[misc]  # flask_wtf ships no types
    name = StringField("Name", [_TYPED, Length(max=64)])
    password = PasswordField("Password", [_TYPED, Length(max=MAX_CHARACTERS)])


class PasswordForm(FlaskForm):  # type: ignore[misc]  # flask_wtf ships no types
    old = PasswordField("Present password", [_TYPED, Length(max=MAX_CHARACTERS)])
    new = PasswordField(
        f"New password, at least {MIN_CHARACTERS} characters", [_TYPED, Length(min=MIN_CHARACTERS, max=MAX_CHARACTERS)]
    )
    again = PasswordField("New password again", [_TYPED, EqualTo("new", "The two new passwords differ.")])


class ReasonForm(FlaskForm):  # type: ignore[misc]  # flask_wtf ships no types
    reason = TextAreaField("Reason, kept in the ledger", [_TYPED, Length(max=MAX_REASON_CHARACTERS)])


class ReleaseForm(ReasonForm):
    code = StringField("Type the case's code to show that you mean this case", [_TYPED, Length(max=20)])


class TokenForm(FlaskForm):  # type: ignore[misc]  # flask_wtf ships no types
    name = StringField("What it is for", [_TYPED, Length(max=64)])
    scope = SelectField(
        "What it may do",
        choices=[SelectChoice(scope, words) for scope, words in zip(SCOPES, _SCOPE_WORDS, strict=True)],
    )
    days = IntegerField("Days until it ends", [_TYPED, NumberRange(1, MAX_TOKEN_DAYS)], default=90)


class PauseForm(FlaskForm):  # type: ignore[misc]  # flask_wtf ships no types
    scope = StringField("all, issuer:ID or adapter:NAME", [_TYPED, Length(max=80)])
