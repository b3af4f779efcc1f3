"""Wrong settings of the Varnish adapter are told together; right ones build it without asking any server."""

from __future__ import annotations

import pytest

from adapters.varnish.adapter import PLUGIN, VarnishCache
from adapters.varnish.settings import VarnishSettings


def test_settings_report_all_mistakes() -> None:
    with pytest.raises(ValueError) as caught:
        VarnishSettings(
            url="https://user@cache.example/x", hosts=("A B",), purge_method="P X", ban_header=":", timeout_seconds=0
        )
    assert len(caught.value.args) == 5


def test_plugin_builds_from_settings() -> None:
    built = PLUGIN.build("edge", VarnishSettings(url="http://127.0.0.1:6081"), {})
    assert isinstance(built, VarnishCache)
