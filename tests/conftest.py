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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Skips are said by name and counted; in CI a skip of any kind is a failure."""
    skipped = terminalreporter.getreports("skipped")
    if not skipped:
        return
    reasons = Counter(str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple))
    terminalreporter.section(f"{len(skipped)} skipped")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count:4d}  {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
