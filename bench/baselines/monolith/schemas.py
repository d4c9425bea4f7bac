"""Bodies of requests and answers as pydantic models."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, EmailStr, Field, StringConstraints
from pydantic.alias_generators import to_camel

Short = Annotated[str, StringConstraints(max_length=100)]
Label = Annotated[str, StringConstraints(max_length=50)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=50)]


class Schema(BaseModel):
    """Base: lowerCamel names on the wire, unknown fields refused, read from ORM objects."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True, extra="forbid")


class Email(Schema):
    """An email address."""

    address: EmailStr
    label: Label = ""


class Phone(Schema):
    """A phone number as it was typed, and how it is dialled."""

    number: Label
    e164: str = ""
    label: Label = ""


class Address(Schema):
    """A postal address."""

    lines: list[Short] = Field(default_factory=list, max_length=5)
    city: Short = ""
    state: Short = ""
    postal_code: Label = ""
    region: Label = ""


class SocialProfile(Schema):
    """A page about the person elsewhere."""

    network: Label
    url: AnyHttpUrl


class ContactBody(Schema):
    """What a client says about a contact."""

    given_name: Short = ""
    family_name: Short = ""
    emails: list[Email] = Field(default_factory=list, max_length=20)
    phones: list[Phone] = Field(default_factory=list, max_length=20)
    title: Short = ""
    department: Short = ""
    company_id: UUID | None = None
    owner_id: UUID | None = None
    source: Short = ""
    status: Literal["ACTIVE", "INACTIVE", "ARCHIVED"] = "ACTIVE"
    address: Address | None = None
    social_profiles: list[SocialProfile] = Field(default_factory=list, max_length=20)
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    last_contacted_time: datetime | None = None


class ContactChange(ContactBody):
    """What a client changes of a contact: the fields that it names."""

    def changed(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"company_id", "owner_id", "last_contacted_time"}) | {
            name: getattr(self, name) for name in self.model_fields_set & {"company_id", "owner_id", "last_contacted_time"}
        }


class Contact(ContactBody):
    """A contact as clients see it."""

    id: UUID
    version: int
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    display_name: str
    owner_id: UUID


class ContactPage(Schema):
    """One page of a list."""

    contacts: list[Contact]
    next_page_token: str


class SearchResult(Schema):
    """A contact that was found."""

    id: UUID
    title: str
    subtitle: str


class SearchPage(Schema):
    """What was found."""

    results: list[SearchResult]
