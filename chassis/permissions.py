"""Refusing whom the contract's permissions do not let."""

from chassis.context import Caller
from chassis.contract import permission_name
from chassis.errors import PermissionDenied, Reason
from chassis.telemetry import metrics


def must(caller: Caller, permission: int) -> None:
    """Refuse a caller without the permission, and count the refusal."""
    if not caller.may(permission):
        name = permission_name(permission)
        metrics.DENIED.labels(name).inc()
        raise PermissionDenied(Reason.PERMISSION_MISSING, f"this needs the permission {name}", permission=name)
