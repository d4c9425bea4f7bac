"""The operations of a contract: each binding compiled, checked and put at its route."""

from collections.abc import Callable, Mapping

from chassis.json import kinds
from chassis.json.encoders import Encoders
from gateway.admission import Gates
from gateway.bindings import RequestBinding
from gateway.browser import Browser
from gateway.calls import Rpc, ServiceToken
from gateway.contract import Binding, Contract, Method
from gateway.decode import Decoders
from gateway.limits import STARTING
from gateway.operations import Bounds, Operation, Unary
from gateway.replies import ReplyEncoder
from gateway.routes import Routes
from gateway.streams import Streaming
from gateway.templates import TemplateError, parse
from gateway.uploads import Upload
from gateway.upstreams import Upstreams

Own = Mapping[str, Callable[..., Operation]]
"""What makes the operations of the RPCs that the edge answers itself, by full name."""


class Assembly:
    """Makes operations of one contract."""

    def __init__(
        self, contract: Contract, upstreams: Upstreams, *, browser: Browser, bounds: Bounds, service_token: ServiceToken, own: Own
    ) -> None:
        self._contract = contract
        self._upstreams = upstreams
        self._browser = browser
        self._bounds = bounds
        self._gates = Gates(bounds.concurrent_calls, writes=bounds.concurrent_writes)
        self._service_token = service_token
        self._own = own
        self._decoders = Decoders(contract.pool)
        self._encoders = Encoders(contract.pool)

    def routes(self) -> Routes[Operation]:
        """Return the routes; raise TemplateError for a binding that cannot be served."""
        routes: Routes[Operation] = Routes()
        for method in self._contract.methods:
            _check(method)
            stub = None if method.full_name in self._own else self._upstreams.call(method)
            rpc = Rpc(method, stub, service_token=self._service_token)
            for binding in method.bindings:
                template = parse(binding.template)
                request = RequestBinding(method, binding, template, self._contract, self._decoders)
                if method.client_streaming and request.raw is None:
                    raise TemplateError(f"{method.full_name} streams what is no HttpBody")
                routes.add(binding.http_method, template, self._operation(method, binding, request, rpc))
        return routes

    def _operation(self, method: Method, binding: Binding, request: RequestBinding, rpc: Rpc) -> Operation:
        make = self._own.get(method.full_name) or _kind(method)
        return make(
            method,
            binding.template,
            binding=request,
            replies=ReplyEncoder(method, binding, self._contract, self._encoders),
            rpc=rpc,
            browser=self._browser,
            bounds=self._bounds,
            gate=self._gates.gate(method.upstream, method.policy.tier),
        )


def _kind(method: Method) -> type[Unary | Streaming | Upload]:
    if method.client_streaming:
        return Upload
    return Streaming if method.server_streaming else Unary


def _check(method: Method) -> None:
    """Refuse what HTTP has no form for, and what no limit would hold."""
    if method.client_streaming and method.server_streaming:
        raise TemplateError(f"{method.full_name} streams both ways")
    if method.policy.tier not in STARTING:
        raise TemplateError(f"{method.full_name} has no rate tier")
    if kinds.is_one_value(method.input):
        raise TemplateError(f"{method.full_name} takes a message that is no object of fields")
