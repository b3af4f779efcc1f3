"""Fixtures of all tests, and the closing count of what could not be tested here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest

from tests.support import IN_CI, free_port

pytest.register_assert_rewrite("adapters.conformance")


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Ask for as many ports as a test's own servers need."""
    return lambda count: [free_port() for _ in range(count)]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own `TAKEDOWN_…` variables must not reach a test."""
    for name in [name for name in os.environ if name.startswith("TAKEDOWN_")]:
        monkeypatch.delenv(name)


KIT = "adapters/conformance/"


def _skips(reporter: pytest.TerminalReporter) -> Counter[str]:
    """By reason. What the conformance kit leaves out does not apply to that adapter, and is no gap."""
    found: Counter[str] = Counter()
    for report in reporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple) and KIT not in str(report.longrepr[0]):
            found[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Skips are said by name and counted."""
    found = _skips(terminalreporter)
    if found:
        terminalreporter.section(f"{found.total()} tests skipped: this machine lacks something")
        for reason, count in sorted(found.items()):
            terminalreporter.write_line(f"{count:4d}  {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing is skipped, in whatever way it was done."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and _skips(reporter) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
