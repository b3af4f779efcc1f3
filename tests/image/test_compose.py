"""compose.yaml gives each process what it needs and nothing else."""

from __future__ import annotations

import pytest

from adapters.agent.privileges import NEEDED
from receiver.config.sections import Worker
from tests.image.compose import Service, read_services

SERVICES = read_services({})
AGENT = SERVICES["agent"]
OTHERS = [service for name, service in SERVICES.items() if name != "agent"]
SETTINGS = "/etc/takedown"
LOOPBACK = "127.0.0.1:"

each = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
each_other = pytest.mark.parametrize("service", OTHERS, ids=lambda service: service.name)


@each
def test_rights_are_taken_away(service: Service) -> None:
    assert service.raw["cap_drop"] == ["ALL"]
    assert service.raw["read_only"] is True
    assert service.raw["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service.raw
    assert not {"pid", "ipc", "devices"} & set(service.raw)


@each
def test_nothing_but_tmp_is_scratch(service: Service) -> None:
    assert service.tmpfs == ("/tmp",)


def test_agent_gets_what_it_needs() -> None:
    assert {f"CAP_{name}" for name in AGENT.cap_add} == set(NEEDED)
    assert AGENT.user == "0:0"
    assert not AGENT.has_network


@each_other
def test_others_get_no_capability(service: Service) -> None:
    assert service.cap_add == frozenset()
    assert service.user == "", "the image's own user, 10001"


@each
def test_ports_are_open_to_loopback_only(service: Service) -> None:
    published = service.raw.get("ports", [])
    assert bool(published) == (service.name in {"web", "admin"})
    assert all(port.startswith(LOOPBACK) for port in published)


@each
def test_health_is_asked_of_web_alone(service: Service) -> None:
    asked = not service.raw.get("healthcheck", {}).get("disable", False)
    assert asked == (service.name == "web")


@each
def test_stop_waits_for_draining(service: Service) -> None:
    assert service.raw["stop_grace_period"].endswith("s")
    assert int(service.raw["stop_grace_period"][:-1]) > Worker.model_fields["drain_seconds"].default


@each
def test_settings_are_mounted_to_be_read(service: Service) -> None:
    writable = [m for m in service.mounts if m.target.startswith(SETTINGS) and not m.read_only]
    assert bool(writable) == (service.name == "cli")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("tables", {"data.key"}),
        ("web", {"data.key", "response.pem", "public.jwks.json"}),
        ("admin", {"data.key"}),
        ("agent", set()),
    ],
)
def test_service_sees_its_own_keys_only(name: str, keys: set[str]) -> None:
    targets = [mount.target for mount in SERVICES[name].mounts]
    assert SETTINGS not in targets, "the whole folder would show every key"
    assert {target.rpartition("/")[2] for target in targets if target.startswith(f"{SETTINGS}/keys/")} == keys


def test_evidence_is_the_workers_alone() -> None:
    seen = {name for name, service in SERVICES.items() if {"vault", "headers"} & {m.source for m in service.mounts}}
    assert seen == {"worker", "cli"}


def test_all_have_the_same_settings() -> None:
    """Else `check` would call them strangers."""
    first, *others = (service.environment for service in SERVICES.values())
    assert all(environment == first for environment in others)
