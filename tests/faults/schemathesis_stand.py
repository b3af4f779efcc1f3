"""Both faces as processes, and the requests that schemathesis thinks up, signed or with a token."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from receiver.config.load import load_config
from receiver.services.persons import ORDER
from receiver.wiring import build_admin
from tests.doubles.public_server import ROOT, PublicServer
from tests.faults.scale import SEED
from tests.support import end_process, free_port, wait_until

load_all_checks()
BY_OURSELVES = {"ignored_auth"}
"""It takes our signature, made after its own forged one, for a forged one that was believed. Unsigned and badly signed
requests are the business of test_hostile_senders."""
_NUMBER = itertools.count()
_TURN = itertools.count()
_EASY = itertools.count()


class Signing(requests.auth.AuthBase):
    """Signs what is really sent, whatever it is, so that bodies get past the signature."""

    def __init__(self, server: PublicServer) -> None:
        self._server = server

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        body = prepared.body or b""
        content = body.encode() if isinstance(body, str) else body
        made = self._server.hotline.request(prepared.method or "", prepared.path_url, content)
        for name, value in made.headers:
            if name.lower() in ("signature", "signature-input", "content-digest", "content-type"):
                prepared.headers[name] = value
        return prepared


@dataclass
class Tally:
    """What was asked and answered, and every disagreement between the document and the server."""

    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: dict[tuple[str, str], str] = field(default_factory=dict)

    def note(self, case: Any, answer: Any, error: BaseException, excuse: Callable[[Any, Any], bool]) -> None:
        for failure in error.exceptions if isinstance(error, FailureGroup) else [error]:
            name = type(failure).__name__
            if name == "RejectedPositiveData" and excuse(case, answer):
                continue
            told = f"{failure}\nSEED={SEED}\n{case.as_curl_command()}\n{answer.status_code} {answer.text[:1000]}"
            self.faults.setdefault((case.operation.label, name), told)


def explore(
    schema: Any,
    tally: Tally,
    *,
    examples: int,
    base_url: str | None = None,
    auth: requests.auth.AuthBase | None = None,
    headers: dict[str, str] | None = None,
    dress: Callable[[Any, bool], None] = lambda _case, _good: None,
    excuse: Callable[[Any, Any], bool] = lambda _case, _answer: False,
) -> None:
    """Ask every operation, with what the document allows and with what it forbids, and judge each answer."""
    # The signature is made of what is sent, so none is thought up.
    schema.config.generation.update(with_security_parameters=False)
    checks = [check for check in CHECKS.get_all() if check.__name__ not in BY_OURSELVES]

    def ask(case: Any, good: bool) -> None:
        dress(case, good)
        answer = case.call(base_url=base_url, auth=auth, headers=headers, timeout=60)
        tally.asked[case.operation.label, answer.status_code] += 1
        try:
            case.validate_response(answer, checks=checks)
        except (FailureGroup, AssertionError) as error:
            tally.note(case, answer, error, excuse)

    for found in schema.get_all_operations():
        operation = found.ok()
        think_up(operation, schemathesis.GenerationMode.POSITIVE, examples, lambda case: ask(case, good=True))
        if operation.body or operation.path_parameters or operation.query:
            think_up(operation, schemathesis.GenerationMode.NEGATIVE, examples, lambda case: ask(case, good=False))


def think_up(operation: Any, mode: Any, examples: int, ask: Callable[[Any], None]) -> None:
    """Hypothesis with our seed; what fails is collected by `ask`, so nothing is shrunk and nothing is kept."""

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        ask(case)

    run()


# --- the public side


def as_our_issuer(case: Any, good: bool) -> None:
    """What no document can say: who we are, what we may send, and an id that is free."""
    parameters = case.path_parameters or {}
    if "notice_id" in parameters and next(_TURN) % 2:
        parameters["notice_id"] = "known"
    body = case.body
    if good and isinstance(body, dict):
        body["issuer"] = "hotline"
        if "category" in body:
            body["category"] = ("csam", "npi", "ncii")[next(_NUMBER) % 3]
        if "direction_id" in body and next(_EASY) % 3 == 0:
            body.pop("items", None)
            body["direction"] = "allow_customer_notice"
        for name in {"notice_id", "direction_id"} & body.keys():
            body[name] = f"{str(body[name])[:100]}-{next(_NUMBER)}"


NOT_SAYABLE = (
    "stands twice in this notice",
    "preserve_only",
    "looks like content",
    "U+0000 or half of a surrogate pair",
    "nested deeper",
    "is not an item of this notice",
    "direction-not-possible",
    "must be in the future",
)
"""Rules over several members at once, or over what `extensions` may hold: a schema has no words for them."""


def is_beyond_schemas(case: Any, answer: Any) -> bool:
    if answer.status_code not in (400, 422):
        return False
    told = answer.json()
    messages = [fault["message"] for fault in told.get("errors", [])] or [told.get("detail", "") + told["type"]]
    return all(any(words in message for words in NOT_SAYABLE) for message in messages)


# --- the staff side


@dataclass(frozen=True, kw_only=True)
class StaffServer:
    port: int
    tokens: dict[str, str]
    log: Path


@contextlib.contextmanager
def staff_server(folder: Path) -> Iterator[StaffServer]:
    """The staff process over a folder that a public server has made, with a person and a token for each role."""
    config, port = folder / "config.toml", free_port()
    config.write_text(config.read_text().replace("127.0.0.1:8441", f"127.0.0.1:{port}"))
    services = build_admin(load_config(config, {}))
    tokens = {}
    for role in ORDER:
        services.people.add_user(f"the.{role.value}", role.value, actor="test")
        tokens[role.value] = services.people.issue_token(f"the.{role.value}", "test", "act", 30, actor="test")
    services.close()
    command = [sys.executable, "-m", "receiver", "--config", str(config), "admin"]
    with (folder / "admin.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})
    made = StaffServer(port=port, tokens=tokens, log=folder / "admin.log")
    try:
        wait_until(lambda: _answers(process, made), "the staff side is ready", seconds=90)
        yield made
    finally:
        end_process(process)


def _answers(process: subprocess.Popen[bytes], server: StaffServer) -> bool:
    assert process.poll() is None, server.log.read_text()
    try:
        return requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=5).ok
    except OSError:
        return False


_PROBLEM = {"application/problem+json": {"schema": {"type": "object", "required": ["type", "title", "status"]}}}
_TEXT = {"type": "string"}


def staff_document(port: int, items: list[str]) -> dict[str, Any]:
    """The staff API has no published document, being for our own command line; this is what that may rely on."""
    reads = {
        "/cases": ("state", "issuer", "after"),
        "/cases/{code}": (),
        "/items": ("status", "after"),
        "/items/{item}": (),
        "/decisions": (),
        "/dead-letters": ("after",),
        "/pauses": (),
    }
    acts = ("/cases/{code}/release", "/cases/{code}/retry", "/items/{item}/approve", "/items/{item}/refuse")
    answers = ("/decisions/{decision}/agree", "/decisions/{decision}/decline", "/notices/{notice}/resend", "/pauses")
    paths: dict[str, Any] = {path: {"get": _operation(path, query, items)} for path, query in reads.items()}
    body = {"type": "object", "properties": {"reason": _TEXT, "scope": {"enum": ["all", "issuer:hotline", "x"]}}}
    for path in (*acts, *answers):
        made = _operation(path, (), items)
        if not path.endswith(("retry", "agree", "resend")):
            made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        paths.setdefault(path, {})["post"] = made
    paths["/pauses/{scope}"] = {"delete": _operation("/pauses/{scope}", (), items)}
    head = {"openapi": "3.1.0", "info": {"title": "staff", "version": "1"}}
    return {**head, "servers": [{"url": f"http://127.0.0.1:{port}/api/v1"}], "paths": paths}


def _operation(path: str, query: tuple[str, ...], items: list[str]) -> dict[str, Any]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    place = {"anyOf": [{"enum": items}, {"type": "string", "minLength": 1}]}
    given = [{"name": name, "in": "path", "required": True, "schema": place} for name in names]
    given += [{"name": name, "in": "query", "schema": _TEXT} for name in query]
    done = {"description": "done", "content": {"application/json": {"schema": {"type": "object"}}}}
    statuses = (400, 401, 403, 404, 405, 409, 422)
    refused = {str(status): {"description": "no", "content": _PROBLEM} for status in statuses}
    return {"parameters": given, "responses": {"200": done, **refused}}


def shown(tally: Tally) -> str:
    by_status: Counter[int] = Counter()
    for (_, status), count in tally.asked.items():
        by_status[status] += count
    return json.dumps({"cases": by_status.total(), "by status": dict(sorted(by_status.items()))})
