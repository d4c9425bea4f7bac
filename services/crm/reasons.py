"""Why crm refuses a call: kith.crm.v1.ErrorReason."""

from chassis.errors import ErrorReason


class Reason(ErrorReason):
    """Reasons that crm adds to the platform's own."""

    COMPANY_UNKNOWN = "COMPANY_UNKNOWN"
    RECORD_DELETED = "RECORD_DELETED"
    RECORD_NOT_DELETED = "RECORD_NOT_DELETED"
    OWNER_UNKNOWN = "OWNER_UNKNOWN"
    CHANGE_SET_NOT_REVERTIBLE = "CHANGE_SET_NOT_REVERTIBLE"
    IMPORT_FILE_REFUSED = "IMPORT_FILE_REFUSED"
    IMPORT_STATE = "IMPORT_STATE"
    COMPANY_AMBIGUOUS = "COMPANY_AMBIGUOUS"

    @property
    def domain(self) -> str:
        """Return the domain in which these reasons are unique."""
        return "crm.kith.dev"
