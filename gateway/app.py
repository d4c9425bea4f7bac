"""The edge: find the operation, count the call, let it answer, say it in HTTP."""

import time
from collections.abc import Mapping
from typing import Final

import structlog

from chassis.errors import Reason
from chassis.telemetry import metrics, tracing
from gateway import browser, headers, problems
from gateway.addresses import Addresses, block
from gateway.browser import Browser
from gateway.health import EdgeHealth
from gateway.invalid import Invalid
from gateway.limits import TierLimit
from gateway.operations import Operation
from gateway.pages import Page
from gateway.principals import Principals
from gateway.problems import HIDDEN, Problem
from gateway.replies import BrokenOff, LiveStream, Reply, Stream
from gateway.requests import Disconnected, Request
from gateway.routes import Routes, UnknownPath, WrongMethod
from gateway.sending import fixed, lines, send_reply, send_socket, send_stream
from gateway.settings import EdgeSettings

log = structlog.get_logger()

_READS: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLOSED: Final = 499  # what logs and metrics say of a client that went away; nobody reads the answer
_CLOSE: Final = b"connection: close\r\n"
_IDS: Final = b"x-request-id: %b\r\nx-trace-id: %b\r\n"

Target = Page | tuple[Operation, list[str]] | Problem


class Edge:
    """The application."""

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        routes: Routes[Operation],
        pages: Mapping[str, Page],
        browser: Browser,
        principals: Principals,
        health: EdgeHealth,
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._pages = pages
        self._browser = browser
        self._principals = principals
        self._health = health
        self._base = settings.public_url.rstrip("/")
        self._addresses = Addresses(settings.trusted_proxies)
        self.limits = {name: TierLimit(name, tier) for name, tier in settings.tiers().items()}
        self._in_flight = 0
        metrics.HTTP_SERVER_ACTIVE_REQUESTS.set_function(lambda: self._in_flight)

    async def __call__(self, request: Request) -> None:
        """Serve one request."""
        began = time.perf_counter()
        request.base = self._base
        self._in_flight += 1
        try:
            target = self._target(request)
            with tracing.serve(f"{request.method} {request.route or metrics.OTHER}", _traceparent(request)) as span:
                request.trace_id = span.trace_id
                status = await self._serve(request, target)
                self._observe(request, span, status, began)
        finally:
            self._in_flight -= 1

    def _target(self, request: Request) -> Target:
        """Read the headers and find what answers; what is wrong already now is the answer."""
        try:
            request.headers = headers.read(request.raw, max_bytes=self._settings.header_bytes)
            return self._find(request)
        except Problem as problem:
            return problem
        finally:
            request.client = self._addresses.client(request.peer, request.headers.get(b"x-forwarded-for"))
            request.request_id = headers.request_id(request.headers)

    def _find(self, request: Request) -> Target:
        if len(request.path) + len(request.query) > self._settings.url_bytes:
            raise Problem(414, Reason.HEADERS_TOO_LARGE, f"The URL is longer than {self._settings.url_bytes} bytes.")
        page = self._pages.get(request.path)
        if page is not None:
            request.route = request.path
            return page if request.method in _READS else _not_allowed({"GET"})
        if self._in_flight > self._settings.concurrent_requests:
            raise Problem(503, Reason.OVERLOADED, "The edge has more work than it can take.", retry_after=1)
        try:
            found = self._route(request)
        except UnknownPath:
            raise Problem(404, Reason.ROUTE_UNKNOWN, "There is no such path.") from None
        except WrongMethod as wrong:
            return _not_allowed(wrong.allowed)
        request.route = found[0].route
        return found

    def _route(self, request: Request) -> tuple[Operation, list[str]]:
        """Find the operation; HEAD is a GET without its body unless the contract has a HEAD of its own."""
        try:
            return self._routes.find(request.method, request.path)
        except WrongMethod as wrong:
            if request.method == "HEAD" and "GET" in wrong.allowed:
                return self._routes.find("GET", request.path)
            raise

    async def _serve(self, request: Request, target: Target) -> int:
        try:
            answer = await self._answer(request, target)
        except Problem as problem:
            answer = _refusal(request, problem)
        except Invalid as wrong:
            answer = _refusal(request, Problem.of_value(wrong))
        except Disconnected:
            return _CLOSED
        except Exception:
            log.exception("request_failed", request_id=request.request_id, http_route=request.route)
            answer = _refusal(request, Problem(500, Reason.INTERNAL, HIDDEN))
        common = self._common_headers(request)
        if isinstance(answer, LiveStream):
            return await self._keep_open(request, answer, common)
        if isinstance(answer, Stream):
            return await self._pass_on(request, answer, common)
        return send_reply(request, answer, common)

    async def _pass_on(self, request: Request, stream: Stream, common: bytes) -> int:
        """Send a stream; one that cannot be completed takes its connection along, which every client sees, whatever its version of HTTP."""
        try:
            return await send_stream(request, stream, common)
        except BrokenOff as broken:
            log.warning("stream_broken_off", request_id=request.request_id, http_route=request.route, reason=str(broken))
            request.wire.abort()
            return broken.problem.status

    async def _keep_open(self, request: Request, stream: LiveStream, common: bytes) -> int:
        """Send a live stream; meanwhile it is no request in flight, since there is a bound of its own."""
        self._in_flight -= 1
        try:
            return await (send_socket if request.socket else send_stream)(request, stream, common)
        except Problem as problem:
            return send_reply(request, _refusal(request, problem), common)
        finally:
            self._in_flight += 1
            stream.leave()

    async def _answer(self, request: Request, target: Target) -> Reply | Stream:
        if isinstance(target, Problem):
            return self._options(request, target) if request.method == "OPTIONS" and target.status == 405 else _refusal(request, target)
        if not isinstance(target, tuple):
            return target()
        operation, segments = target
        if request.socket and not operation.method.policy.live_ticket:
            raise Problem(400, Reason.BODY_INVALID, "The path takes no WebSocket.")
        await self._admit(request, operation)
        return await operation.answer(request, segments)

    async def _admit(self, request: Request, operation: Operation) -> None:
        """Count the call for its principal; refuse early, before the body is read, what no service would take."""
        policy = operation.method.policy
        authorization = request.headers.get(b"authorization")
        principal = await self._principals.principal(authorization.decode("latin-1")) if authorization is not None else None
        tenant = principal.tenant_id if principal else ""
        key = f"{tenant} {principal.user_id if principal else ''} {block(request.client)}"
        request.extra += self.limits[policy.tier].take(principal=key, tenant=tenant)
        if authorization is None and policy.access != "public" and not policy.live_ticket:
            raise Problem(401, Reason.TOKEN_MISSING, "The call needs a token.")

    def _options(self, request: Request, known: Problem) -> Reply:
        """Answer OPTIONS: what the path takes, and to an allowed origin what it may send."""
        allow = known.headers[0][1]
        return Reply(204, b"", [*known.headers, *self._browser.preflight(request.headers, allow)])

    def _common_headers(self, request: Request) -> bytes:
        """Return the lines that every answer has beside what was found out about its request."""
        found = fixed(browser.SECURITY) + _IDS % (request.request_id.encode(), request.trace_id.encode())
        if self._health.draining:
            found += _CLOSE
        cors = self._browser.cors(request.headers)
        return found + lines(cors) if cors else found

    def _observe(self, request: Request, span: tracing.Span, status: int, began: float) -> None:
        method = request.method if request.method in _METHODS else metrics.OTHER
        span.set("http.request.method", method)
        span.set("http.route", request.route)
        span.set("http.response.status_code", status)
        if status >= 500:
            span.fail(str(status))
        seconds = time.perf_counter() - began
        metrics.http_server_request(method, request.route or metrics.OTHER, status).observe(seconds, span.exemplar)


def _refusal(request: Request, problem: Problem) -> Reply:
    """Return a problem as a reply. The limits are told in the problem itself where it is they that refuse."""
    return Reply(problem.status, request.document(problem), [*problem.all_headers(), (b"content-type", problems.MEDIA_TYPE)])


def _not_allowed(methods: frozenset[str] | set[str]) -> Problem:
    """Return the 405 of a known path. HEAD and OPTIONS come with what the contract has."""
    allowed = sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
    allow = (b"allow", ", ".join(allowed).encode())
    return Problem(405, Reason.METHOD_NOT_ALLOWED, f"The path takes {', '.join(allowed)}.", headers=(allow,))


def _traceparent(request: Request) -> str:
    return headers.plain(request.headers, b"traceparent", headers.MAX_VALUE)
