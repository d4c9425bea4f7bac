"""Every RPC says who may call it, how often, what is written down about it and whether it can be repeated."""

from collections.abc import Iterator, Mapping
from typing import Final

from kith.options.v1 import options_pb2
from stack.contract_check.fault import Fault
from stack.contract_check.image import Image, Method

# The verbs that change nothing; every other method is a write.
READS: Final = ("Get", "BatchGet", "List", "Search", "Suggest", "Count", "Check", "Preview", "Stream", "Export")
OTHER_READS: Final[Mapping[str, str]] = {
    "kith.identity.v1.AuditService.VerifyAuditTrail": "it computes anew what is kept; to verify is a write elsewhere, as VerifyEmail is",
}

UNAUDITED_WRITES: Final[Mapping[str, str]] = {
    "kith.common.v1.AuditSealService.SealAuditBatches": "a line about a seal would have to be sealed in its turn, for ever",
    "kith.common.v1.CarrierService.OpenLane": "it does nothing itself: each call on the lane leaves its own line",
    "kith.edge.v1.EventService.IssueTicket": "it leaves nothing behind until the ticket is used, and that is an event",
    "kith.identity.v1.AuthService.Refresh": "each open session calls it every ten minutes; the end of the session is an event",
}

KEYLESS_WRITES: Final[Mapping[str, str]] = {
    "kith.identity.v1.PasswordService.ChangePassword": "a key tells whether a request is the same one, by which passwords could be tried",
}

HTTP_BODY: Final = "google.api.HttpBody"


def check(image: Image) -> Iterator[Fault]:
    """Report what is missing or contradictory in the policies."""
    for method in image.methods:
        yield from _check_access(image, method)
        yield from _check_record(image, method)
        yield from _check_paths(image, method)
    yield from _check_key_set(image)


def is_write(method: Method) -> bool:
    """Tell whether a method changes something, by its verb, or by its name where that verb does not say."""
    return not method.name.startswith(READS) and method.full_name not in OTHER_READS


def _check_access(image: Image, method: Method) -> Iterator[Fault]:
    if method.policy is None:
        yield Fault(method.where, f"{method.name} has no policy")
        return
    if method.access is None:
        yield Fault(method.where, f"the policy of {method.name} does not say who may call")
    if not method.policy.rate_tier:
        yield Fault(method.where, f"the policy of {method.name} has no rate_tier")
    if method.access == "permission":
        yield from _check_permission(image, method, method.policy.permission)
    if method.access == "internal" and method.bindings:
        yield Fault(method.where, f"{method.name} is internal and must have no route")
    if method.access != "internal" and not method.bindings:
        yield Fault(method.where, f"{method.name} has no route and is not internal")


def _check_permission(image: Image, method: Method, number: int) -> Iterator[Fault]:
    name = image.permissions.get(number, "")
    prefix = f"PERMISSION_{method.package.split('.')[1].upper()}_"
    if not name.startswith(prefix):
        yield Fault(method.where, f"{method.name} asks for {name or number}; a permission of this package starts with {prefix}")


def _check_record(image: Image, method: Method) -> Iterator[Fault]:
    """Report an audit or idempotency setting that does not fit what the method does."""
    if method.policy is None:
        return
    if not is_write(method):
        if method.policy.idempotency:
            yield Fault(method.where, f"{method.name} is a read and takes no idempotency key")
        if method.policy.audit == options_pb2.AUDIT_CHANGE:
            yield Fault(method.where, f"{method.name} is a read and leaves no change in the audit trail")
        return
    if not method.policy.audit and method.full_name not in UNAUDITED_WRITES:
        yield Fault(method.where, f"{method.name} is a write and leaves nothing in the audit trail")
    keyless = _why_keyless(image, method)
    if keyless and method.policy.idempotency:
        yield Fault(method.where, f"{method.name} cannot take an idempotency key: {keyless}")
    if not keyless and not method.policy.idempotency:
        yield Fault(method.where, f"{method.name} is a write and does not say what an idempotency key does")


def _why_keyless(image: Image, method: Method) -> str:
    """Say why a write can have no idempotency record; empty when it can."""
    if method.access == "public":
        return "a public caller is nobody whom the key could belong to"
    if method.client_streams or method.server_streams:
        return "a stream is neither compared nor kept"
    if any(field.sensitivity == options_pb2.SENSITIVITY_SECRET for field in image.reachable(method.output)):
        return "its answer carries a secret that must not be kept"
    return KEYLESS_WRITES.get(method.full_name, "")


def _check_paths(image: Image, method: Method) -> Iterator[Fault]:
    if method.policy is None:
        return
    resource = method.policy.resource
    if resource and image.resolve(method.input, resource) is None:
        yield Fault(method.where, f"{method.name} names the resource {resource}, which {method.input} does not have")
    cookies = {field.cookie.name for message in image.messages.values() for field in message.fields.values() if field.cookie}
    if method.policy.clears_cookie and method.policy.clears_cookie not in cookies:
        yield Fault(method.where, f"{method.name} clears the cookie {method.policy.clears_cookie}, which no field is carried in")


def _check_key_set(image: Image) -> Iterator[Fault]:
    """Report a key set that verifiers could not fetch or would have to choose."""
    marked = [method for method in image.methods if method.policy and method.policy.key_set]
    for method in marked:
        if method.access != "public" or method.output != HTTP_BODY:
            yield Fault(method.where, f"{method.name} answers with the key set, so it is public and returns {HTTP_BODY}")
    for method in marked[1:]:
        yield Fault(method.where, f"{method.name} is a second key_set; {marked[0].full_name} is the first")
