"""The image as it is used: every service of compose.yaml in a container, with the rights written there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.e2e.stand import descendants_of
from tests.image.host import OWN_ID, Host
from tests.image.site import PICTURE, Site, name_stores
from tests.support import wait_until

SECONDS = 90.0
SERVICES = ("web", "admin", "worker", "agent")
STARTED = ("Booting worker", "Booting worker", "worker.started", "agent.started")
FIVE = sum(1 << number for number in (0, 1, 3, 9, 28))
"""CHOWN, DAC_OVERRIDE, FOWNER, LINUX_IMMUTABLE, LEASE, as the kernel numbers them."""
VOLUMES = ("/var/lib/takedown", "/var/lib/takedown/agent", "/var/lib/takedown/headers", "/var/lib/takedown/vault")
WRITABLE = """import json, os
found = []
for folder, below, files in os.walk("/", onerror=None):
    below[:] = [name for name in below if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    found += [path for path in (folder, *(os.path.join(folder, name) for name in files)) if os.access(path, os.W_OK)]
print(json.dumps(sorted(path for path in found if not os.path.islink(path))))
"""


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def findings(host: Host) -> tuple[int, dict[str, set[str]]]:
    """Exit code of `check`, and what it spoke of, by level."""
    code, said = host.ask("check", "--json")
    found: dict[str, set[str]] = {"ok": set(), "warn": set(), "fail": set()}
    for finding in json.loads(said):
        found[finding["level"]].add(finding["about"])
    return code, found


def test_fresh_host_lacks_custodians_only(fresh_host: Host) -> None:
    code, found = findings(fresh_host)
    assert code == 3
    assert found["fail"] == {"vault.recipients_file", "vault"}
    custodians = fresh_host.ask("check")[1]
    assert "custodians.txt" in custodians


def test_health_follows_the_public_side(fresh_host: Host) -> None:
    web = fresh_host.start("web")
    wait_until(lambda: fresh_host.health(web) == 0, "it is healthy", seconds=SECONDS)
    assert web.end() == 0
    code, said = fresh_host.ask("healthcheck")
    assert code == 4
    assert "is it running" in said


def test_health_fails_where_nobody_listens(fresh_host: Host) -> None:
    admin = fresh_host.start("admin")
    admin.wait_for_log("Booting worker")
    assert fresh_host.health(admin) == 4


def test_check_passes_inside(site: Site) -> None:
    code, found = findings(site.host)
    assert found["fail"] == set()
    assert code == 0
    assert {"database", "adapters.www"} <= found["ok"]


@pytest.mark.parametrize("name", SERVICES)
def test_processes_hold_no_needless_right(site: Site, name: str) -> None:
    first = site.host.container(name).pid
    rights = FIVE if name == "agent" else 0
    for pid in (first, *descendants_of(first)):
        status = status_of(pid)
        held = {status[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        assert {int(mask, 16) for mask in held} <= {0, rights}
        assert int(status["CapEff"], 16) == rights
        assert set(status["Uid"].split()) == {"0" if name == "agent" else str(OWN_ID)}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2", "the engine's filter of system calls"


@pytest.mark.parametrize(
    ("service", "more"), [("web", ()), ("admin", ()), ("worker", VOLUMES[1:]), ("tables", ()), ("agent", ())]
)
def test_only_volumes_can_be_written(site: Site, service: str, more: tuple[str, ...]) -> None:
    code, said = site.host.ask("-c", WRITABLE, service=service, entrypoint=("python3",))
    assert code == 0, said
    found = json.loads(said)
    assert [path for path in found if not path.startswith(("/var/lib/takedown", "/tmp", "/srv"))] == []
    assert {"/tmp", "/var/lib/takedown/agent" if service == "agent" else "/var/lib/takedown", *more} <= set(found)


def test_notice_goes_from_post_to_callback(site: Site) -> None:
    assert site.public_status() == 200
    sent = site.client.hand_in(site.notice())
    assert sent.accepted, sent.lines()
    told = site.listener.wait_for(lambda heard: any(one.status == "disabled" for one in heard), SECONDS)
    assert told, (site.listener.faults, site.host.container("worker").log[-3000:])
    assert not site.path.exists()
    assert site.public_status() == 404
    held = [path for path in site.host.files.glob(".quarantine/*/0") if path.read_bytes() == site.picture]
    assert len(held) == 1
    wait_until(lambda: seals(site.host) == 1, "evidence is sealed", seconds=SECONDS)
    site.host.cli("ledger", "checkpoint")
    assert "whole and unchanged" in site.host.cli("ledger", "verify")
    logs = "".join(site.host.container(name).log for name in SERVICES)
    assert PICTURE.rpartition("/")[2] not in logs


def seals(host: Host) -> int:
    """As `vault verify` counts them, which fails where one does not hold."""
    said = host.cli("vault", "verify")
    found = re.search(r"seals +(\d+)", said)
    return int(found[1]) if found else 0


def test_all_end_when_asked(fresh_host: Host) -> None:
    name_stores(fresh_host)
    running = [fresh_host.start(name) for name in SERVICES]
    for container, word in zip(running, STARTED, strict=True):
        container.wait_for_log(word)
    assert [container.end() for container in running] == [0, 0, 0, 0]
