"""The operator's choices that stages decide by, as one value. `wiring` fills it from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class IssuerPolicy:
    """What one issuer may do here and where it hears back."""

    id: str
    name: str = ""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Category token to `act`, `review`, `shadow` or `refuse`."""
    callback_url: str | None = None
    allow_private_callback: bool = False
    may_keep_up: bool = False
    max_acts_per_hour: int = 500
    max_customers_per_hour: int = 50


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Defaults are those of the settings (operations.md)."""

    issuers: Mapping[str, IssuerPolicy] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    remove_after_days: int = 30
    retention_days: int = 365
    mistake_retention_days: int = 30
    preserve: str = "sealed_copy"
    max_seal_bytes: int = 64 * 1024**3
    watch_days: int = 90
    confirm_within_seconds: int = 900
    keep_up_max_hours: int = 72
    keep_up_decide_minutes: int = 30
    max_resources_per_item: int = 20
    on_withdrawal: str = "two_people"
    two_people: bool = True
    deadline_hours: int = 24
    give_up_after_hours: int = 72
    test_customer: str = "test"
    """Test notices act on the routes of this customer and on nothing else."""
    served_from: str | None = None
    """ISO 3166 country the content is served from, told to the issuer."""
    source: str = ""
    """The CloudEvents source: our first public origin."""

    def agreement_needed(self) -> int:
        """How many people must agree before content becomes reachable again."""
        return 2 if self.two_people else 1

    def agreement_on_withdrawal(self) -> int:
        """How many people must agree when the issuer itself takes a notice back."""
        return {"two_people": self.agreement_needed(), "one_person": 1, "auto": 0}[self.on_withdrawal]
