"""Every metric of the platform, in one catalogue. Names follow the OpenTelemetry semantic conventions where there is one.

No metric has a tenant label: tenants stand in logs and on spans. `test_metrics` holds dashboards and rules against this list.
"""

from functools import cache
from typing import Final

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram, Info

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody reads

# .3, .8 and 2.5 are the bounds of the service level objectives (reference/contract-edge-sre.md, section 5).
CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 0.8, 1, 2.5, 5, 10)
QUERY_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

_RPC_LABELS: Final = ("rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type")
_MESSAGE_LABELS: Final = ("messaging_destination_template", "messaging_consumer_group_name", "error_type")

OTHER: Final = "_OTHER"  # the name of what is not in the contract, so that strangers cannot make up series

# Calls that come in.
RPC_SERVER_CALL_DURATION = Histogram(
    "rpc_server_call_duration_seconds", "Duration of RPCs that this process served.", _RPC_LABELS, buckets=CALL_BUCKETS
)
RPC_IN_FLIGHT = Gauge("kith_rpc_in_flight", "RPCs that this process serves now.")
HTTP_SERVER_REQUEST_DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests that the edge answered.",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=CALL_BUCKETS,
)
HTTP_SERVER_ACTIVE_REQUESTS = Gauge("http_server_active_requests", "HTTP requests that the edge works on now.")
RATE_LIMITED = Counter("kith_rate_limited_total", "Calls refused because their caller made too many.", ("tier",))
OVERLOAD_REFUSALS = Counter(
    "kith_overload_refusals_total", "Calls that the edge refused because too many were under way to the service.", ("target", "tier")
)
DENIED = Counter("kith_denied_total", "Calls refused because their caller lacks the permission.", ("permission",))
REPLAYS = Counter("kith_idempotent_replays_total", "Calls answered from the record of their idempotency key.")

# Calls that go out.
RPC_CLIENT_CALL_DURATION = Histogram(
    "rpc_client_call_duration_seconds",
    "Duration of RPCs that this process made, each attempt by itself.",
    _RPC_LABELS,
    buckets=CALL_BUCKETS,
)
RPC_CLIENT_RETRIES = Counter("kith_rpc_client_retries_total", "RPCs that were tried again.", ("target",))
BREAKER_OPEN = Gauge("kith_breaker_open", "1 while calls to the target are refused at once because it kept failing.", ("target",))
EGRESS_DURATION = Histogram(
    "kith_egress_duration_seconds",
    "Duration of requests to URLs of users, by the class of their answer's status or the cause of there being none.",
    ("use", "outcome"),
    buckets=CALL_BUCKETS,
)

# The database.
DB_CLIENT_OPERATION_DURATION = Histogram(
    "db_client_operation_duration_seconds",
    "Duration of units of work in the database.",
    ("db_operation_name", "error_type"),
    buckets=QUERY_BUCKETS,
)
POOL_CONNECTIONS = Gauge(  # semconv says _count, which promtool reserves for histograms
    "db_client_connections", "Connections to the database by state: idle or used.", ("state",)
)
POOL_WAIT = Histogram("db_client_connection_wait_time_seconds", "Time that units of work waited for a connection.", buckets=QUERY_BUCKETS)

# Events.
OUTBOX_PENDING = Gauge("kith_outbox_pending", "Events that are committed and not published yet.")
OUTBOX_OLDEST_AGE = Gauge("kith_outbox_oldest_age_seconds", "Age of the oldest event that is not published yet.")
OUTBOX_HELD = Gauge("kith_outbox_held_keys", "Keys that wait because their next event is larger than the stream takes.")
OUTBOX_PUBLISHED = Counter("kith_outbox_published_total", "Events that the relay published.")
MESSAGING_PROCESS_DURATION = Histogram(
    "messaging_process_duration_seconds", "Duration of handling an event, its commit included.", _MESSAGE_LABELS, buckets=CALL_BUCKETS
)
MESSAGING_CONSUMED = Counter("messaging_client_consumed_messages_total", "Events that were delivered to this process.", _MESSAGE_LABELS)
CONSUMER_PENDING = Gauge(
    "kith_consumer_pending", "Events of the stream that the consumer has not settled yet.", ("messaging_consumer_group_name", "stream")
)
CONSUMER_REDELIVERIES = Counter(
    "kith_consumer_redeliveries_total", "Events that were delivered once more.", ("messaging_consumer_group_name",)
)
EVENTS_SKIPPED = Counter(
    "kith_events_skipped_total", "Events that nobody here handles, or that were handled before.", ("messaging_consumer_group_name", "cause")
)
DEAD_LETTERS = Gauge(
    "kith_dead_letters",
    "Events of the stream that the consumer could not handle and that wait for somebody.",
    ("messaging_consumer_group_name", "stream"),
)

# The audit trail.
AUDIT_ROWS_SEALED = Counter("kith_audit_rows_sealed_total", "Rows of the audit trail that were sealed.")
AUDIT_LAST_SEAL = Gauge(
    "kith_audit_last_seal_timestamp_seconds",
    "When nothing was left to be sealed, in seconds since 1970; 0 in a process that does not seal.",
)
AUDIT_BATCHES_REFUSED = Counter("kith_audit_batches_refused_total", "Batches whose number was sealed with other rows before; must stay 0.")

# Live changes.
LIVE_STREAMS = Gauge("kith_live_streams", "Live streams that this edge holds open.")
LIVE_EVENTS = Counter("kith_live_events_total", "Events that were put into a live stream.")
LIVE_RESYNCS = Counter("kith_live_resyncs_total", "Readers of live streams that were told to read again.", ("cause",))

# The isolation canary.
ISOLATION_PROBES = Counter("kith_isolation_probes_total", "Calls with another organisation's ids that were answered.", ("rpc_method",))
ISOLATION_BREACHES = Counter(
    "kith_isolation_breaches_total", "Probes that were shown something of another organisation; must stay 0.", ("rpc_method",)
)
ISOLATION_PROBE_FAILURES = Counter(
    "kith_isolation_probe_failures_total", "Probes that could not be made, so that they say nothing.", ("rpc_method",)
)
ISOLATION_LAST_ROUND = Gauge(
    "kith_isolation_last_round_timestamp_seconds", "When a round in which every probe was answered last ended, in seconds since 1970."
)

# Jobs.
JOB_LAST_SUCCESS = Gauge("kith_job_last_success_timestamp_seconds", "When the job last ended well, in seconds since 1970.", ("job",))
JOB_DURATION = Histogram("kith_job_duration_seconds", "Duration of a job's run.", ("job", "error_type"), buckets=CALL_BUCKETS)

# Mail.
MAILS = Counter("kith_mails_total", "Mails that were tried, by what became of them: sent, put_off, given_up.", ("kind", "outcome"))
MAIL_OLDEST_AGE = Gauge("kith_mail_oldest_age_seconds", "Age of the oldest mail that is not sent yet.")

# The process.
EVENT_LOOP_LAG = Histogram("kith_event_loop_lag_seconds", "How late the event loop ran its heartbeats.", buckets=QUERY_BUCKETS)
READY = Gauge("kith_ready", "1 while the process takes calls.")
BUILD = Info("kith_build", "Which code this process runs.")


@cache
def rpc_server_call(method: str, code: str) -> Histogram:
    """Return the bound series of a served RPC; `method` is of the contract or OTHER, `code` a status code's name."""
    return RPC_SERVER_CALL_DURATION.labels("grpc", method, code, _error(code))


@cache
def rpc_client_call(method: str, code: str) -> Histogram:
    """Return the bound series of an RPC that this process made."""
    return RPC_CLIENT_CALL_DURATION.labels("grpc", method, code, _error(code))


@cache
def http_server_request(method: str, route: str, status: int) -> Histogram:
    """Return the bound series of a route of the edge; `method` and `route` are of the contract or OTHER."""
    return HTTP_SERVER_REQUEST_DURATION.labels(method, route, status)


@cache
def egress(use: str, outcome: str) -> Histogram:
    """Return the bound series of requests to URLs of users; a use is a constant of the code."""
    return EGRESS_DURATION.labels(use, outcome)


@cache
def db_client_operation(operation: str, error_type: str = "") -> Histogram:
    """Return the bound series of a unit of work; the operation is the RPC, event or job that it belongs to."""
    return DB_CLIENT_OPERATION_DURATION.labels(operation, error_type)


@cache
def messaging_process(template: str, group: str, error_type: str = "") -> Histogram:
    """Return the bound series of a handler; `template` is the subject without its tenant."""
    return MESSAGING_PROCESS_DURATION.labels(template, group, error_type)


@cache
def messaging_consumed(template: str, group: str, error_type: str = "") -> Counter:
    """Return the bound series of a kind of event that a group of consumers gets."""
    return MESSAGING_CONSUMED.labels(template, group, error_type)


def _error(code: str) -> str:
    return "" if code == "OK" else code
