"""Writes decisions, outbox rows, reviews and the states of cases, hundreds per statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import orjson

from shared.casework import callback
from shared.casework.values import QUARANTINED, UNKNOWN_STRATUM, Correction, Decided, GivenUp, Mark, NewReview, ReviewKind
from shared.ids import uuid7

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

DECISION_MADE = "decision.made"
# Followed by a dot and the number of the correction, from 1: a case has one message of each kind.
DECISION_CORRECTED = "decision.corrected"


def mark_processed(connection: Connection, marks: Sequence[Mark]) -> set[UUID]:
    """The fence: the first statement of a worker's effects. Write only for the ids that come back.

    A case is absent from the answer where its lease ran out and somebody else has claimed or settled it since.
    """
    returned = connection.exec_driver_sql(
        "UPDATE cases c SET state = m.state, stratum = m.stratum, covariate = m.covariate, lease_until = NULL, last_error = NULL"
        " FROM unnest(%(ids)b::uuid[], %(attempts)b::int[], %(states)b::text[], %(strata)b::text[], %(covariates)b::float8[])"
        " AS m (id, attempt, state, stratum, covariate)"
        " WHERE c.id = m.id AND c.state = 'processing' AND c.attempt = m.attempt RETURNING c.id",
        {
            "ids": [mark.case_id for mark in marks],
            "attempts": [mark.attempt for mark in marks],
            "states": [mark.state for mark in marks],
            "strata": [mark.stratum for mark in marks],
            "covariates": [mark.covariate for mark in marks],
        },
    )
    return set(returned.scalars())


def mark_decided(connection: Connection, case_ids: Sequence[UUID]) -> set[UUID]:
    """Close cases that a person has answered; returns those that were waiting for a person (`review` or `quarantined`)."""
    returned = connection.exec_driver_sql(
        "UPDATE cases SET state = 'decided', stratum = coalesce(stratum, %(unknown)s), last_error = NULL"
        " WHERE id = ANY(%(ids)b::uuid[]) AND state IN ('review', 'quarantined') RETURNING id",
        {"ids": list(case_ids), "unknown": UNKNOWN_STRATUM},
    )
    return set(returned.scalars())


def quarantine(connection: Connection, given_up: Sequence[GivenUp]) -> set[UUID]:
    """Take cases out of the line after the attempt cap and give each to a person; returns those that were still open.

    The review is `exception` with the reason `quarantined`; in the control arm it is `control`, so that its time is measured as such.
    """
    if not given_up:
        return set()
    rows = connection.exec_driver_sql(
        "UPDATE cases c SET state = 'quarantined', stratum = coalesce(c.stratum, %(unknown)s), lease_until = NULL,"
        " last_error = coalesce(g.error, c.last_error)"
        " FROM unnest(%(ids)b::uuid[], %(attempts)b::int[], %(errors)b::text[]) AS g (id, attempt, error)"
        " WHERE c.id = g.id AND c.attempt = g.attempt AND c.state IN ('pending', 'processing')"
        " RETURNING c.id, c.tenant_id, c.automation, c.arm",
        {
            "unknown": UNKNOWN_STRATUM,
            "ids": [case.case_id for case in given_up],
            "attempts": [case.attempt for case in given_up],
            "errors": [case.error for case in given_up],
        },
    ).all()
    open_reviews(connection, [_review_of_quarantined(*row) for row in rows])
    return {row[0] for row in rows}


def _review_of_quarantined(case_id: UUID, tenant_id: str, automation: str, arm: str) -> NewReview:
    control = arm == "control"
    kind = ReviewKind.CONTROL if control else ReviewKind.EXCEPTION
    return NewReview(case_id=case_id, tenant_id=tenant_id, automation=automation, kind=kind, reasons=() if control else (QUARANTINED,))


def record_decisions(connection: Connection, decided: Sequence[Decided]) -> None:
    """Insert the decisions and the outbox rows that carry them to business systems.

    Raises:
        sqlalchemy.exc.IntegrityError: a case has its decision already; the fence before it must not let that happen.
    """
    if not decided:
        return
    _insert_decisions(connection, decided)
    _insert_outbox(connection, decided)


def _insert_decisions(connection: Connection, decided: Sequence[Decided]) -> None:
    connection.exec_driver_sql(
        "INSERT INTO decisions (case_id, tenant_id, automation, arm, stratum, source, outcome, adverse, confidence, reasons, attributes,"
        " tier, model_version, decided_by, received_at, decided_at, audit_probability, covariate)"
        " SELECT d.case_id, d.tenant_id, d.automation, d.arm, d.stratum, d.source, d.outcome, d.adverse, d.confidence, d.reasons::jsonb,"
        " d.attributes::jsonb, d.tier, d.model_version, d.decided_by, d.received_at, d.decided_at,"
        " d.audit_probability, d.covariate"
        " FROM unnest(%(cases)b::uuid[], %(tenants)b::text[], %(automations)b::text[], %(arms)b::text[], %(strata)b::text[],"
        " %(sources)b::text[], %(outcomes)b::text[], %(adverse)b::bool[], %(confidence)b::float8[], %(reasons)b::text[],"
        " %(attributes)b::text[], %(tiers)b::text[], %(versions)b::text[], %(deciders)b::text[], %(received)b::timestamptz[],"
        " %(decided)b::timestamptz[], %(audited)b::numeric[], %(covariates)b::float8[]) AS d (case_id, tenant_id, automation, arm, stratum,"
        " source, outcome, adverse, confidence, reasons, attributes, tier, model_version, decided_by, received_at, decided_at,"
        " audit_probability, covariate)",
        {
            "cases": [d.case_id for d in decided],
            "tenants": [d.tenant_id for d in decided],
            "automations": [d.automation for d in decided],
            "arms": [d.arm for d in decided],
            "strata": [d.stratum for d in decided],
            "sources": [d.source for d in decided],
            "outcomes": [d.outcome for d in decided],
            "adverse": [d.adverse for d in decided],
            "confidence": [d.confidence for d in decided],
            "reasons": as_json(d.reasons for d in decided),
            "attributes": as_json(dict(d.attributes) for d in decided),
            "tiers": [d.tier for d in decided],
            "versions": [d.model_version for d in decided],
            "deciders": [d.decided_by for d in decided],
            "received": [d.received_at for d in decided],
            "decided": [d.decided_at for d in decided],
            "audited": [d.audit_probability for d in decided],
            "covariates": [d.covariate for d in decided],
        },
    )


def _insert_outbox(connection: Connection, decided: Sequence[Decided]) -> None:
    connection.exec_driver_sql(
        "INSERT INTO outbox (id, tenant_id, case_id, automation, kind, body, traceparent)"
        " SELECT o.id, o.tenant_id, o.case_id, o.automation, %(kind)s, o.body, o.traceparent"
        " FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(cases)b::uuid[], %(automations)b::text[], %(bodies)b::bytea[],"
        " %(traces)b::text[]) AS o (id, tenant_id, case_id, automation, body, traceparent)",
        {
            "kind": DECISION_MADE,
            "ids": [uuid7() for _ in decided],
            "tenants": [d.tenant_id for d in decided],
            "cases": [d.case_id for d in decided],
            "automations": [d.automation for d in decided],
            "bodies": [callback.body(d) for d in decided],
            "traces": [d.traceparent for d in decided],
        },
    )


def record_correction(connection: Connection, correction: Correction) -> None:
    """Keep what holds from now on and tell the business system; the caller has locked the case."""
    decided = correction.decided
    values = {
        "id": correction.id,
        "tenant": decided.tenant_id,
        "case": decided.case_id,
        "review": correction.review_id,
        "automation": decided.automation,
        "previous": correction.previous_outcome,
        "outcome": decided.outcome,
        "adverse": decided.adverse,
        "reasons": orjson.dumps(decided.reasons).decode(),
        "attributes": orjson.dumps(dict(decided.attributes)).decode(),
        "by": decided.decided_by,
        "at": decided.decided_at,
        "amount": None if correction.cash is None else correction.cash.amount,
        "currency": None if correction.cash is None else correction.cash.currency,
        "message": uuid7(),
        "kind": DECISION_CORRECTED,
        "body": callback.correction_body(correction),
        "trace": decided.traceparent,
    }
    connection.exec_driver_sql(_CORRECT, values)
    connection.exec_driver_sql(_TELL, values)


_CORRECT = (
    "INSERT INTO corrections (id, tenant_id, case_id, review_id, automation, previous_outcome, outcome, adverse, reasons, attributes,"
    " corrected_by, corrected_at, cash_amount, cash_currency) VALUES (%(id)s, %(tenant)s, %(case)s, %(review)s, %(automation)s,"
    " %(previous)s, %(outcome)s, %(adverse)s, %(reasons)s::jsonb, %(attributes)s::jsonb, %(by)s, %(at)s, %(amount)s, %(currency)s)"
)
_TELL = (
    "INSERT INTO outbox (id, tenant_id, case_id, automation, kind, body, traceparent)"
    " SELECT %(message)s, %(tenant)s, %(case)s, %(automation)s, %(kind)s || '.' || count(*), %(body)s, %(trace)s"
    " FROM corrections WHERE case_id = %(case)s"
)


def open_reviews(connection: Connection, reviews: Sequence[NewReview]) -> None:
    """Open work for people; a case that has an open review of that kind keeps it, and a reopened one gets the next round."""
    if not reviews:
        return
    connection.exec_driver_sql(
        "INSERT INTO reviews (id, tenant_id, case_id, automation, kind, round, reasons, proposal)"
        " SELECT n.id, n.tenant_id, n.case_id, n.automation, n.kind, coalesce(earlier.rounds, 0), n.reasons::jsonb,"
        " n.proposal::jsonb"
        " FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(cases)b::uuid[], %(automations)b::text[], %(kinds)b::text[],"
        " %(reasons)b::text[], %(proposals)b::text[]) AS n (id, tenant_id, case_id, automation, kind, reasons, proposal)"
        " CROSS JOIN LATERAL (SELECT max(r.round) + 1 AS rounds, bool_or(r.state IN ('open', 'claimed')) AS waiting"
        " FROM reviews r WHERE r.case_id = n.case_id AND r.kind = n.kind) AS earlier"
        " WHERE earlier.waiting IS NOT TRUE",
        {
            "ids": [uuid7() for _ in reviews],
            "tenants": [review.tenant_id for review in reviews],
            "cases": [review.case_id for review in reviews],
            "automations": [review.automation for review in reviews],
            "kinds": [review.kind.value for review in reviews],
            "reasons": as_json(review.reasons for review in reviews),
            "proposals": [None if review.proposal is None else orjson.dumps(review.proposal).decode() for review in reviews],
        },
    )


def as_json(values: Iterable[object]) -> list[str]:
    """For a ``text[]`` parameter, cast to ``jsonb`` row by row: psycopg sends ``jsonb[]`` as escaped text, at seven times the CPU."""
    return [orjson.dumps(value).decode() for value in values]
