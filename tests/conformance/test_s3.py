"""The S3 adapter passes the kit on a real server, by each rung of its ladder, and where conditions are ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from adapters.conformance.environment import LEFT_OUT
from adapters.conformance.late import LateStorageConformance
from adapters.conformance.storage import ODD_NAMES, StorageConformance
from adapters.s3.adapter import S3Adapter
from adapters.s3.settings import S3Settings
from tests.conformance.s3_site import S3Environment, Site
from tests.doubles.faulty_proxy import ignores_conditions
from tests.doubles.seaweed import CUSTOMER, HOST

NAMES = {name: item for name, item in ODD_NAMES.items() if name not in {"not UTF-8", "backslash"}}
"""Keys are UTF-8; this server takes a backslash for a slash."""
FEW_NAMES = {name: NAMES[name] for name in ("space", "newline", "percent", "glob")}


class S3Kit(LateStorageConformance, StorageConformance):
    """What all variants share."""

    bucket: ClassVar[str] = "site-versions"
    changes: ClassVar[Mapping[str, Any]] = {}
    odd_names: ClassVar[Mapping[str, bytes]] = FEW_NAMES
    secrets = (HOST[1], HOST[2], CUSTOMER[1], CUSTOMER[2])

    test_what_is_not_plain_is_denied = LEFT_OUT  # there is nothing but plain objects
    test_other_name_in_scope_blocked = LEFT_OUT  # an object has one key
    test_other_name_outside_scope_reported = LEFT_OUT  # as above
    test_outside_scope_is_denied = LEFT_OUT  # as above; the scope has a test of its own
    test_remove_takes_other_names_along = LEFT_OUT  # as above

    @pytest.fixture
    def settings(self, s3_site: Site) -> S3Settings:
        return s3_site.settings(self.bucket, **self.changes)

    @pytest.fixture
    def environment(self, s3_site: Site, settings: S3Settings) -> Iterator[S3Environment]:
        made = S3Environment(s3_site, settings)
        yield made
        made.close()

    @pytest.fixture
    def adapter(self, environment: S3Environment) -> S3Adapter:
        return environment.make()


class TestS3ByPolicy(S3Kit):
    """As the probe has it on this server: a deny statement."""

    required = frozenset({"block", "exact_unblock", "strong_pin", "remove", "conditions"})
    odd_names: ClassVar[Mapping[str, bytes]] = {**NAMES, "two dots at the end": b"a..", "dot at the end": b"a."}

    test_reupload_is_replaced = LEFT_OUT  # the statement denies uploads too
    test_reupload_blocks_in_next_round = LEFT_OUT  # as above
    test_unblock_never_overwrites = LEFT_OUT  # as above
    test_remove_spares_new_upload = LEFT_OUT  # as above
    test_frozen_bytes_refuse_late_write = LEFT_OUT  # a freeze is not promised on this server


class TestS3ByTag(S3Kit):
    """Here customers can take the tag off, so the probe would not choose this; elsewhere it is the cheapest way."""

    required = frozenset({"block", "exact_unblock", "strong_pin", "remove"})
    changes: ClassVar[Mapping[str, Any]] = {"ladder": ("tag",)}
    odd_names: ClassVar[Mapping[str, bytes]] = {name: item for name, item in FEW_NAMES.items() if name != "newline"}

    test_frozen_bytes_refuse_late_write = LEFT_OUT  # a freeze is not promised on this server


class TestS3ByMove(S3Kit):
    required = frozenset({"block", "freeze", "strong_pin", "remove", "conditions"})
    changes: ClassVar[Mapping[str, Any]] = {"ladder": ("move",)}
    odd_names = NAMES
    not_restored = frozenset({"modified_at"})

    test_reopened_door_is_leaking = LEFT_OUT  # nothing stands there that could be opened; tried by its own test


class TestS3WithoutConditions(TestS3ByMove):
    """The same server, made to ignore every condition, on a bucket without versions: there they matter most."""

    bucket = "site-plain"
    required = frozenset({"block", "freeze", "strong_pin", "remove"})
    odd_names = FEW_NAMES

    @pytest.fixture
    def settings(self, s3_site: Site) -> Iterator[S3Settings]:
        with s3_site.proxy.fault(ignores_conditions):
            yield s3_site.settings(self.bucket, endpoint_url=s3_site.proxy.url, **self.changes)

    def test_probe_says_what_is_ignored(self, adapter: S3Adapter) -> None:
        seen = adapter.probe()
        assert "conditions" not in seen.can
        assert any("GET If-Match" in word and "DELETE If-Match" in word for word in seen.lost)
