"""The SQL of spending: one counter per tenant, automation and day, locked while calls are held back or settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.worker.remote.pricing import Price
from services.worker.remote.spending import Planned, Settled
from shared.db import unit_of_work
from shared.money import Money

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


_RATE: Final = (
    "SELECT DISTINCT ON (tenant_id) tenant_id, value FROM rates WHERE tenant_id = ANY(%(tenants)b::text[]) AND name = %(input)s"
    " AND automation = '*' AND currency = %(currency)s AND valid_from <= now() ORDER BY tenant_id, valid_from DESC, created_at DESC"
)
_AGREED: Final = f"SELECT i.tenant_id, i.value, o.value FROM ({_RATE}) i JOIN ({_RATE.replace('input', 'output')}) o USING (tenant_id)"  # noqa: S608


class StoredSpending:
    """`Spending` in PostgreSQL: two workers never pass the cap together, and a restart forgets nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prices(self, rate: str, otherwise: Price, tenants: Collection[str]) -> Mapping[str, Price]:
        """See `Spending`. Of two rates from one moment the one stored last holds."""
        with unit_of_work(self._engine) as connection:
            rows = connection.exec_driver_sql(
                _AGREED,
                {"tenants": list(tenants), "input": f"{rate}:input", "output": f"{rate}:output", "currency": otherwise.currency},
            ).all()
        return {tenant: replace(otherwise, input_per_million=asked, output_per_million=said) for tenant, asked, said in rows}

    def hold(self, calls: Sequence[Planned], cap: Money) -> set[UUID]:
        """See `Spending`; a call in another currency than the cap's never fits."""
        by_counter: dict[tuple[str, str], list[Planned]] = defaultdict(list)
        for call in calls:
            if call.most.currency == cap.currency:
                by_counter[call.tenant_id, call.automation].append(call)
        held: list[Planned] = []
        with unit_of_work(self._engine) as connection:
            # In one order, so that two workers wait for each other and never deadlock.
            for counter, wanted in sorted(by_counter.items(), key=lambda entry: entry[0]):
                held += _hold(connection, *counter, wanted, cap)
            _insert(connection, held)
        return {call.call_id for call in held}

    def settle(self, calls: Sequence[Settled]) -> None:
        """See `Spending`. Raises Retryable where the database is away: what was held back then stays so, and is booked as paid."""
        if calls:
            with unit_of_work(self._engine) as connection:
                _settle(connection, calls)


def _hold(connection: Connection, tenant: str, automation: str, calls: Sequence[Planned], cap: Money) -> list[Planned]:
    """Those that fit, in their order; the counter stays locked until the transaction ends."""
    counter = {"tenant": tenant, "automation": automation, "currency": cap.currency}
    connection.exec_driver_sql(
        "INSERT INTO remote_spend (tenant_id, automation, day, currency, committed)"
        " VALUES (%(tenant)s, %(automation)s, (now() AT TIME ZONE 'UTC')::date, %(currency)s, 0) ON CONFLICT DO NOTHING",
        counter,
    )
    committed: Decimal = connection.exec_driver_sql(
        "SELECT committed FROM remote_spend WHERE tenant_id = %(tenant)s AND automation = %(automation)s"
        " AND day = (now() AT TIME ZONE 'UTC')::date AND currency = %(currency)s FOR UPDATE",
        counter,
    ).scalar_one()
    fitting = []
    for call in calls:
        if committed + call.most.amount <= cap.amount:
            committed += call.most.amount
            fitting.append(call)
    connection.exec_driver_sql(
        "UPDATE remote_spend SET committed = %(committed)s WHERE tenant_id = %(tenant)s AND automation = %(automation)s"
        " AND day = (now() AT TIME ZONE 'UTC')::date AND currency = %(currency)s",
        {**counter, "committed": committed},
    )
    return fitting


def _insert(connection: Connection, calls: Sequence[Planned]) -> None:
    if not calls:
        return
    connection.exec_driver_sql(
        "INSERT INTO remote_calls (id, tenant_id, automation, case_id, model, day, tokens, amount, currency)"
        " SELECT c.id, c.tenant_id, c.automation, c.case_id, c.model, (now() AT TIME ZONE 'UTC')::date, c.tokens, c.amount, c.currency"
        " FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(automations)b::text[], %(cases)b::uuid[], %(models)b::text[],"
        " %(tokens)b::bigint[], %(amounts)b::numeric[], %(currencies)b::text[])"
        " AS c (id, tenant_id, automation, case_id, model, tokens, amount, currency)",
        {
            "ids": [call.call_id for call in calls],
            "tenants": [call.tenant_id for call in calls],
            "automations": [call.automation for call in calls],
            "cases": [call.case_id for call in calls],
            "models": [call.model for call in calls],
            "tokens": [call.tokens.total for call in calls],
            "amounts": [call.most.amount for call in calls],
            "currencies": [call.most.currency for call in calls],
        },
    )


def _settle(connection: Connection, calls: Sequence[Settled]) -> None:
    ids = {"ids": [call.call_id for call in calls]}
    connection.exec_driver_sql(
        "SELECT FROM remote_spend s WHERE EXISTS (SELECT FROM remote_calls c WHERE c.id = ANY(%(ids)b::uuid[])"
        " AND c.tenant_id = s.tenant_id AND c.automation = s.automation AND c.day = s.day AND c.currency = s.currency)"
        " ORDER BY s.tenant_id, s.automation, s.day, s.currency FOR UPDATE OF s",
        ids,
    )
    # A call that somebody has booked meanwhile, at the most that it could take, keeps that: the ledger does not change.
    connection.exec_driver_sql(
        "WITH settled AS ("
        " UPDATE remote_calls c SET state = CASE WHEN n.charged THEN 'settled' ELSE 'free' END, tokens = n.tokens, amount = n.amount,"
        " counted = n.counted, settled_at = now()"
        " FROM unnest(%(ids)b::uuid[], %(tokens)b::bigint[], %(amounts)b::numeric[], %(counted)b::bool[], %(charged)b::bool[])"
        " AS n (id, tokens, amount, counted, charged)"
        " JOIN remote_calls earlier ON earlier.id = n.id"
        " WHERE c.id = n.id AND c.state = 'held'"
        " RETURNING c.tenant_id, c.automation, c.day, c.currency, c.amount - earlier.amount AS change)"
        " UPDATE remote_spend s SET committed = s.committed + d.change FROM (SELECT tenant_id, automation, day, currency,"
        " sum(change) AS change FROM settled GROUP BY tenant_id, automation, day, currency) d"
        " WHERE s.tenant_id = d.tenant_id AND s.automation = d.automation AND s.day = d.day AND s.currency = d.currency",
        {
            **ids,
            "tokens": [call.tokens.total for call in calls],
            "amounts": [call.money.amount for call in calls],
            "counted": [call.tokens.known for call in calls],
            "charged": [call.charged for call in calls],
        },
    )
