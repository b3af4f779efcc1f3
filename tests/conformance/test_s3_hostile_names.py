"""Names that mean others too, lie outside or are no names: no neighbour is touched."""

from __future__ import annotations

import pytest

from adapters.conformance.environment import proof_for
from adapters.contract import AdapterError, Denied, NotFound, Ref
from tests.conformance.s3_neighbours import Start


@pytest.mark.parametrize("ladder", [(), ("tag",), ("move",)])
def test_neighbours_are_never_touched(start: Start, ladder: tuple[str, ...]) -> None:
    setting = start(ladder=ladder)
    near = [
        setting.environment.put(name, name) for name in (b"field.jpg.bak", b"field.jpg/x", b"field.jp", b"field?jpg")
    ]
    receipt = setting.block()
    assert [setting.environment.public_get(ref) for ref in near] == [
        (200, ref.locator.rpartition(setting.ref.scope + b"/")[2]) for ref in near
    ]
    setting.adapter.remove(setting.ref, proof_for(receipt, 5), receipt, "op-9")
    assert all(setting.environment.public_get(ref)[0] == 200 for ref in near)


@pytest.mark.parametrize("name", [b"a*b.jpg", b"a?b.jpg", b"$a.jpg"])
def test_wildcard_key_is_never_a_rule(start: Start, name: bytes) -> None:
    """In a policy such a name means others too; so it is moved instead."""
    setting = start(name=name)
    near = setting.environment.put(b"aXb.jpg", b"near")
    receipt = setting.block()
    assert receipt.undo["rung"] == "move"
    assert setting.environment.public_get(near) == (200, b"near")
    assert setting.environment.public_get(setting.ref)[0] == 404


def test_names_outside_scope_are_denied(start: Start) -> None:
    setting = start()
    for locator in (b"other/a.jpg", setting.ref.scope + b"-two/a.jpg", setting.ref.scope, b""):
        with pytest.raises(Denied):
            setting.adapter.observe(Ref(locator=locator, scope=setting.ref.scope))


def test_name_that_is_not_utf8_is_denied(start: Start) -> None:
    setting = start()
    with pytest.raises(Denied):
        setting.adapter.observe(Ref(locator=setting.ref.scope + b"/\xff.jpg", scope=setting.ref.scope))


def test_tidied_name_is_denied(start: Start) -> None:
    """This server answers to `a//b` with what it stores as `a/b`; guessing would be normalising."""
    setting = start(name=b"a/b.jpg")
    with pytest.raises(Denied, match="lists none"):
        setting.adapter.observe(Ref(locator=setting.ref.scope + b"/a//b.jpg", scope=setting.ref.scope))
    assert setting.environment.public_get(setting.ref)[0] == 200


def test_unknown_pin_and_block_are_not_found(start: Start) -> None:
    setting = start()
    receipt = setting.block()
    other = setting.environment.put(b"other.jpg", b"other")
    with pytest.raises(AdapterError):
        setting.adapter.block(other, setting.adapter.observe(other), receipt.op_id)
    stranger = start(quarantine_prefix="another-receiver/")
    with pytest.raises(NotFound):
        stranger.adapter.unblock(setting.ref, receipt)
