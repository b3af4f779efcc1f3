"""A server that lies: whatever it says, nothing untrue is reported and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import pytest

from adapters.conformance.environment import Setting
from adapters.conformance.lies import LyingEnvironment, LyingStoreCases
from adapters.conformance.storage import BODY
from adapters.s3.adapter import S3Adapter
from tests.conformance.s3_lies import LIES
from tests.conformance.s3_site import S3Environment, Site


class LyingS3(S3Environment, LyingEnvironment):
    """The adapter goes through the proxy; the test's own hands do not."""

    def lie(self, name: str) -> AbstractContextManager[None]:
        return self.site.proxy.fault(LIES[name]())


class TestLiesWhileMoving(LyingStoreCases):
    lies = tuple(LIES)
    bucket: ClassVar[str] = "site-versions"
    changes: ClassVar[Mapping[str, Any]] = {"ladder": ("move",)}
    gone = frozenset({403, 404})

    @pytest.fixture
    def setting(self, s3_site: Site) -> Iterator[Setting]:
        settings = s3_site.settings(
            self.bucket, endpoint_url=s3_site.proxy.url, read_seconds=1.0, settle_seconds=0.0, **self.changes
        )
        environment = LyingS3(s3_site, settings)
        ref = environment.put(b"field.jpg", BODY)
        adapter: S3Adapter = environment.make()
        yield Setting(adapter=adapter, environment=environment, ref=ref, body=BODY)
        environment.close()


class TestLiesWithoutVersions(TestLiesWhileMoving):
    bucket = "site-plain"
    lies = ("copies are not done", "deletes are not done", "listings are old", "every other answer is lost")


class TestLiesAboutPolicy(TestLiesWhileMoving):
    changes: ClassVar[Mapping[str, Any]] = {"ladder": ("policy",)}
    lies = ("writes are not done", "rules are not kept", "deletes are not done", "every other answer is lost")
