"""The settings that stages decide by, as the one value they know."""

from __future__ import annotations

from receiver.config.models import Config, Issuer
from receiver.domain.policy import IssuerPolicy, Policy


def policy_of(config: Config) -> Policy:
    chosen = config.policy
    return Policy(
        issuers={issuer.id: _issuer(issuer, config) for issuer in config.issuers},
        protected=chosen.protected,
        remove_after_days=chosen.remove_after_days,
        retention_days=chosen.retention_days,
        mistake_retention_days=chosen.mistake_retention_days,
        preserve=chosen.preserve,
        max_seal_bytes=config.vault.max_seal_gib * 1024**3,
        watch_days=chosen.watch_days,
        confirm_within_seconds=chosen.confirm_within_seconds,
        keep_up_max_hours=chosen.keep_up_max_hours,
        keep_up_decide_minutes=chosen.keep_up_decide_minutes,
        max_resources_per_item=chosen.max_resources_per_item,
        on_withdrawal=chosen.on_withdrawal,
        two_people=chosen.two_people,
        deadline_hours=chosen.deadline_hours,
        give_up_after_hours=config.callbacks.give_up_after_hours,
        test_customer=chosen.test_customer,
        served_from=config.server.country,
        source=config.server.public_origins[0],
    )


def _issuer(issuer: Issuer, config: Config) -> IssuerPolicy:
    return IssuerPolicy(
        id=issuer.id,
        name=issuer.name or issuer.id,
        categories=dict(issuer.categories),
        callback_url=issuer.callback_url,
        allow_private_callback=issuer.allow_private_callback,
        may_keep_up=issuer.may_keep_up,
        max_acts_per_hour=issuer.max_acts_per_hour or config.policy.max_acts_per_hour,
        max_customers_per_hour=issuer.max_customers_per_hour or config.policy.max_customers_per_hour,
    )
