"""`serve` under the signals that service managers send."""

from __future__ import annotations

import os
import signal

from tests.e2e.stand import PARTS, Stand
from tests.support import wait_until


def test_sigterm_drains_and_ends(stand: Stand) -> None:
    job = stand.new_job()
    stand.send(job)
    assert stand.stop() == 0
    assert stand.receiver is not None
    assert "worker.ended" in stand.receiver.said()
    stand.start()
    stand.wait_until_disabled(job)


def test_bad_settings_keep_the_old(stand: Stand) -> None:
    good, agent_file = stand.places.config.read_text(), stand.places.receiver / "agent.toml"
    good_agent = agent_file.read_text()
    try:
        agent_file.write_text(good_agent + "[filesistems.www]\n")
        stand.places.config.write_text(good + "\n[policy]\nremove_after_dais = 3\n")
        os.kill(stand.pid, signal.SIGHUP)
        wait_until(lambda: stand.says("reload.refused", "remove_after_dais"), "it says so")
        parts = ("web", "admin", "worker")
        wait_until(lambda: all(stand.part_says(part, "reload.refused") for part in parts), "each part says so")
        wait_until(lambda: stand.part_says("agent", "reload.refused"), "the agent says so too")
        wait_until(stand.is_ready, "the public side answers")
        job = stand.new_job()
        stand.send(job)
        stand.wait_until_disabled(job)
    finally:
        stand.places.config.write_text(good)
        agent_file.write_text(good_agent)
    os.kill(stand.pid, signal.SIGHUP)
    wait_until(lambda: stand.part_says("worker", "reload.done"), "the good settings are taken up")
    wait_until(lambda: stand.part_says("agent", "reload.done"), "the agent's too")
    assert all(stand.part(name) for name in PARTS)


def test_healthcheck_says_ready_or_not(stand: Stand) -> None:
    assert stand.command("healthcheck").returncode == 0
    stand.stop()
    ended = stand.command("healthcheck")
    assert ended.returncode != 0
    assert "running" in ended.stderr
