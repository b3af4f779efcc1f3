"""What an issuer can ask of us: hand in a notice, direct it, read its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.services.answers import Answer, to_json
from receiver.services.metrics import WebMetrics
from receiver.steps.admission import WebPorts
from receiver.steps.read_status import read_status
from receiver.steps.receive import receive_notice
from receiver.steps.receive_direction import receive_direction
from receiver.steps.signed_answers import AnswerSigner

ACCEPTED, OK = 202, 200


class NoticeService:
    """Every method raises RefusedError where the request is not taken."""

    def __init__(self, *, web: WebPorts, signer: AnswerSigner, metrics: WebMetrics) -> None:
        self._web = web
        self._signer = signer
        self._metrics = metrics

    def hand_in(self, request: UnverifiedRequest) -> Answer:
        """A notice; answered with its signed receipt, the first one again where the notice was here before."""
        taken = receive_notice(request, self._web)
        self._metrics.count_taken("notice", repeated=taken.repeated)
        return self._signed(taken.verified, ACCEPTED, taken.receipt)

    def direct(self, request: UnverifiedRequest, notice_id: str) -> Answer:
        """A direction about the notice of that id."""
        taken = receive_direction(request, notice_id, self._web)
        self._metrics.count_taken("direction", repeated=taken.repeated)
        return self._signed(taken.verified, ACCEPTED, taken.receipt)

    def status(self, request: UnverifiedRequest, notice_id: str) -> Answer:
        status = read_status(request, notice_id, self._web)
        self._metrics.count_taken("status")
        return self._signed(status.verified, OK, status.body)

    def _signed(self, verified: VerifiedRequest, status: int, value: Mapping[str, Any]) -> Answer:
        body = to_json(value)
        return Answer(status=status, headers=self._signer.sign(verified, status, body), body=body)
