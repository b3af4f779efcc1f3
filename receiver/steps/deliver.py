"""The deliver track: one letter at a time to each notice's issuer, which is what keeps its events in order."""

from __future__ import annotations

from receiver.domain.errors import DeliveryError
from receiver.domain.moves import move
from receiver.domain.outcome import Outcome
from receiver.domain.rows import WorkRow
from receiver.report.delivery import delivered, undelivered
from receiver.report.letter import MAX_BATCH, Answer, Letter, read_answer, write_letter
from receiver.steps.hands import must_act
from receiver.steps.tools import Step, Tools

DELIVER = "deliver"


def deliver(work: WorkRow, tools: Tools) -> Step:
    """Send what is waiting, and record what the issuer made of it."""
    waiting = tools.reads.undelivered(work.subject, MAX_BATCH + 1)
    notice = tools.reads.load_notice(work.subject).notice
    url = tools.issuer(notice.issuer).callback_url
    if not waiting or url is None:
        # An issuer without an endpoint reads the status document, which says the same.
        return Step(outcome=Outcome(work=move(work, DELIVER)))
    letter = write_letter(waiting, notice, tools.policy.source)
    # What was read may be old by now, and its successor has sent it and newer letters.
    must_act(tools)
    answer = _send(letter, url, notice.issuer, tools)
    now = tools.now()
    if answer.accepted:
        more = len(waiting) > len(letter.events)
        return Step(outcome=delivered(work, letter.events, now=now, more=more))
    hours = tools.policy.give_up_after_hours
    return Step(outcome=undelivered(work, notice, letter.events, answer, now=now, give_up_hours=hours))


def _send(letter: Letter, url: str, issuer: str, tools: Tools) -> Answer:
    headers = tools.sign_callback(url, {"Content-Type": letter.content_type}, letter.body)
    private = tools.issuer(issuer).allow_private_callback
    try:
        response = tools.sender_for(issuer).post(url, headers=headers, body=letter.body, allow_private=private)
    except DeliveryError as exc:
        return Answer(accepted=False, words=str(exc))
    return read_answer(response.status, response.headers, tools.now())
