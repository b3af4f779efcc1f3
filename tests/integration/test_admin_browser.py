"""The pages in a real browser that runs no scripts: sign in, queue, case, a release asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from tests.doubles.staff import PASSWORD, Staff, make_staff
from tests.support import need

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path)
    made.one_of_each()
    yield made
    made.close()


@pytest.fixture
def address(staff: Staff) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, staff.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_release_is_asked_in_a_browser(
    staff: Staff, address: str, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    need(CHROMIUM.exists(), "chromium")
    code = staff.blocked_case()
    staff.review_item()
    staff.denied_item()
    staff.raised_page()
    asked_of: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        context = browser.new_context(
            java_script_enabled=False, color_scheme=scheme, viewport={"width": 1280, "height": 900}
        )
        page = context.new_page()
        page.on("request", lambda request: asked_of.append(request.url))
        page.goto(f"{address}/")
        page.get_by_label("Name").fill("the.reviewer")
        page.get_by_label("Password").fill(PASSWORD)
        page.screenshot(path=tmp_path / f"{scheme}-sign-in.png", full_page=True)
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Queue"
        page.screenshot(path=tmp_path / f"{scheme}-queue.png", full_page=True)
        page.get_by_role("link", name="Cases", exact=True).click()
        page.get_by_role("link", name=code).click()
        page.screenshot(path=tmp_path / f"{scheme}-case.png", full_page=True)
        page.get_by_label("Type the case's code").fill(code)
        page.get_by_label("Reason").fill("A mistake: see ticket 12")
        page.get_by_role("button", name="Ask for the release").click()
        assert "another person has to agree" in page.get_by_role("status").inner_text()
        page.screenshot(path=tmp_path / f"{scheme}-asked.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(f"{address}/")
        page.screenshot(path=tmp_path / f"{scheme}-narrow.png", full_page=True)
        browser.close()
    assert [d.state for d in staff.decisions(code)] == ["asked"]
    assert all(url.startswith(address) for url in asked_of)
