"""A demo person for the admin pages."""

from __future__ import annotations

from receiver.demo.commands import type_command
from receiver.demo.errors import DemoError
from receiver.demo.places import Facts, Places
from receiver.demo.timeline import Timeline

NAME = "demo"


def introduce(places: Places, facts: Facts, line: Timeline) -> None:
    """Say where the admin pages are and how to get in. A continued demo has the account already."""
    try:
        password = type_command("admin-user", "add", NAME, config=places.config)
    except DemoError:
        password = type_command("admin-user", "reset", NAME, config=places.config)
    line.say("")
    line.say(f"Admin pages: {facts.admin_url}", style="bold")
    line.say(f"  name {NAME}, one-time password {password.strip()}")
    line.say(f"Everything lies in {places.root}; Ctrl-C ends all of it.")
