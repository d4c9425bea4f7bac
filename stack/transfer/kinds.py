"""The kinds of records that files hold."""

from enum import StrEnum


class Kind(StrEnum):
    """A kind of record, as it is typed."""

    CONTACT = "contact"
    COMPANY = "company"

    @property
    def plural(self) -> str:
        """Return the word that paths have."""
        return {Kind.CONTACT: "contacts", Kind.COMPANY: "companies"}[self]

    @property
    def name_in_contract(self) -> str:
        """Return the value of kith.crm.v1.RecordKind."""
        return f"RECORD_KIND_{self.upper()}"
