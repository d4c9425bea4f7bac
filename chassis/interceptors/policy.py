"""Policy: what the contract says about who may call is enforced here, and nowhere else."""

from typing import Any, ClassVar

from chassis import clock, contract, permissions
from chassis.contract import Access
from chassis.errors import Reason, Unauthenticated
from chassis.interceptors.chain import Call, Next


class Policy:
    """Lets a call through only if its method's policy says so."""

    name: ClassVar[str] = "policy"

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Refuse a caller without the permission, or whose authentication is too old for the call."""
        method = call.method
        if method.access is Access.PERMISSION:
            permissions.must(call.request.caller, method.permission)
        if method.step_up_max_age is not None:
            self._check_age(call, method.step_up_max_age)
        if method.resource and call.message is not None:
            call.request.resource_id = contract.at(call.message, method.resource)
        return await proceed(call)

    def _check_age(self, call: Call, seconds: float) -> None:
        if clock.now().timestamp() - call.request.auth_time > seconds:
            raise Unauthenticated(Reason.TOKEN_INVALID, "sign in again: this call needs a fresh authentication", maxAge=str(int(seconds)))
