"""Why identity refuses a call: kith.identity.v1.ErrorReason."""

from chassis.errors import ErrorReason


class Reason(ErrorReason):
    """Reasons that identity adds to the platform's own."""

    EMAIL_TAKEN = "EMAIL_TAKEN"
    PASSWORD_WEAK = "PASSWORD_WEAK"
    CREDENTIALS_WRONG = "CREDENTIALS_WRONG"
    SIGN_IN_SLOWED = "SIGN_IN_SLOWED"
    SESSION_INVALID = "SESSION_INVALID"
    HASHING_BUSY = "HASHING_BUSY"
    ROLE_UNKNOWN = "ROLE_UNKNOWN"
    VERIFICATION_INVALID = "VERIFICATION_INVALID"
    RESET_INVALID = "RESET_INVALID"

    @property
    def domain(self) -> str:
        """Return the domain in which these reasons are unique."""
        return "identity.kith.dev"
