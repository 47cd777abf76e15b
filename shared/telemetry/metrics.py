"""Every metric of every process, declared once; labels are closed sets."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from shared import release

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

# Children of a worker say the same: one series, not one for each.
build_info = Gauge("recoup_build_info", "1; which version runs.", ["version", "schema", "python"], multiprocess_mode="max")
build_info.labels(release.VERSION, release.SCHEMA, release.PYTHON).set(1)

events = Counter(
    "recoup_events", "Events by what became of them at the door.", ["result"]
)  # accepted duplicate conflict rejected unavailable
http_seconds = Histogram("recoup_http_seconds", "Time to answer a request.", ["service", "method", "route", "status"], buckets=_SECONDS)
# pool: all connections of the process in use; connection: none to be had, or lost; statement: timeout, lock or deadlock
database_unavailable = Counter("recoup_database_unavailable", "Transactions that the database did not carry out.", ["why"])
append_seconds = Histogram("recoup_append_seconds", "Time until the event log has acknowledged.", buckets=_SECONDS)
pending_appends = Gauge("recoup_pending_appends", "Records that wait for the event log's acknowledgement.", multiprocess_mode="livesum")

consumed = Counter("recoup_consumed_records", "Kafka records by what became of them.", ["result"])  # new duplicate poison
consumer_lag = Gauge("recoup_consumer_lag", "Records not yet in the inbox, by partition.", ["partition"])

decided = Counter("recoup_decided", "Cases by automation and the step that settled them.", ["automation", "result"])
decide_seconds = Histogram("recoup_decide_seconds", "Wall time of one batch, claim to commit.", ["automation"], buckets=_SECONDS)
inference_cpu_seconds = Counter("recoup_inference_cpu_seconds", "CPU time in tiers.", ["automation", "tier"])
cache_lookups = Counter("recoup_cache_lookups", "Cases looked up in the exact cache.", ["automation", "result"])  # hit miss unavailable
cache_saved_cpu_seconds = Counter("recoup_cache_saved_cpu_seconds", "CPU time that models did not take because of a hit.", ["automation"])
booked_cpu_seconds = Counter("recoup_booked_cpu_seconds", "CPU time of workers that stands on ledger lines of cases.", ["automation"])
worker_cpu_seconds = Counter("recoup_worker_cpu_seconds", "CPU time of workers since they began, start-up and waiting included.")
remote_calls = Counter("recoup_remote_calls", "Calls of remote models by what came of them.", ["automation", "result"])
# Of `recoup_remote_calls`: every other result says why a call was not made, or of no use.
ANSWERED: Final = "answered"
drifted_models = Gauge("recoup_drifted_models", "Models that say other things than they did, by their newest day.", ["automation"])
models_taken_back = Counter("recoup_models_taken_back", "Versions of models that were taken back by themselves.", ["automation"])
fenced = Counter("recoup_fenced", "Results dropped because the case had been taken over.")
failed = Counter("recoup_failed_cases", "Cases whose run raised.", ["automation"])

pending_age = Gauge("recoup_oldest_pending_seconds", "Age of the oldest case that waits for a worker, but for paused automations.")
open_cases = Gauge("recoup_open_cases", "Cases not decided yet.", ["state"])
outbox_age = Gauge("recoup_oldest_outbox_seconds", "Age of the oldest message whose deliveries are not planned, or that is not published.")
delivery_age = Gauge("recoup_oldest_delivery_seconds", "Age of the oldest message that an endpoint has not taken yet.")
failing_endpoints = Gauge("recoup_failing_endpoints", "Enabled endpoints of which nothing but failures was heard lately.")
review_age = Gauge("recoup_oldest_review_seconds", "Age of the oldest review that nobody has answered.")
behind = Gauge("recoup_horizon_behind_seconds", "Age of the oldest committed fact that a horizon has not passed.", ["horizon"])
redispatched = Counter("recoup_redispatched", "Cases sent to the workers again.", ["why"])  # waiting lease_expired
quarantined = Counter("recoup_quarantined", "Cases given up after the attempt cap.")
poison = Gauge("recoup_poison_records", "Records that could not be read and that nobody has dealt with.", ["owner"])  # tenant nobody
# Not `job`: Prometheus gives every series a label of that name, and renames ours.
job_seconds = Histogram("recoup_job_seconds", "Time of one periodic job.", ["name"], buckets=_SECONDS)
job_last_success = Gauge("recoup_job_last_success_timestamp_seconds", "When a periodic job last succeeded, or its steward began.", ["name"])
job_period = Gauge("recoup_job_period_seconds", "How often a periodic job runs.", ["name"])
invariants_broken = Gauge("recoup_invariants_broken", "Standing invariants that do not hold now.", ["invariant"])
late_outcomes = Counter("recoup_late_outcomes", "What business systems said later about cases, when it was applied.", ["result"])
braked = Gauge("recoup_braked_automations", "Brakes that are on: people decide everything.", ["automation"])
brakes = Counter("recoup_brakes_pulled", "Automations that stopped themselves.", ["automation"])
queue_depth = Gauge("recoup_queue_depth", "Orders waiting in Redis.")

delivered = Counter("recoup_deliveries", "Callback attempts by result.", ["result"])  # delivered retry dead blocked
delivery_seconds = Histogram("recoup_delivery_seconds", "Time of one callback attempt.", buckets=_SECONDS)
published = Counter("recoup_published_decisions", "Decisions acknowledged by the decisions topic.")

# A series that begins with its first event has not risen: what alarms are about is there from the start.
for _metric, _values in (
    (events, ("accepted", "duplicate", "conflict", "rejected", "unavailable")),
    (consumed, ("new", "duplicate", "poison")),
    (delivered, ("delivered", "retry", "dead", "blocked")),
    (database_unavailable, ("pool", "connection", "statement")),
):
    for _value in _values:
        _metric.labels(_value)
