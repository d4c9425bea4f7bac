"""Field masks change what they name and nothing else."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from chassis import masks
from chassis.errors import InvalidArgument, Reason
from kith.crm.v1.contacts_pb2 import Contact, ContactStatus

FIELDS = sorted({each.name for each in Contact.DESCRIPTOR.fields} - masks.SERVER_OWNED - {"display_name"})

contacts = st.builds(
    Contact,
    given_name=st.text(max_size=5),
    title=st.text(max_size=5),
    tags=st.lists(st.text(max_size=3), max_size=3),
    emails=st.lists(st.builds(dict, address=st.text(max_size=3)), max_size=2),
    status=st.sampled_from(ContactStatus.values()),
    address=st.none() | st.builds(dict, city=st.text(max_size=3), lines=st.lists(st.text(max_size=2), max_size=2)),
)


@given(before=contacts, wanted=contacts, paths=st.lists(st.sampled_from(FIELDS), min_size=1, unique=True))
def test_a_mask_takes_the_fields_it_names_and_leaves_the_others(before: Contact, wanted: Contact, paths: list[str]) -> None:
    after = masks.apply(before, wanted, FieldMask(paths=paths))
    for name in FIELDS:
        assert getattr(after, name) == getattr(wanted if name in paths else before, name)


@given(before=contacts, wanted=contacts)
def test_a_star_replaces_every_field(before: Contact, wanted: Contact) -> None:
    assert masks.apply(before, wanted, FieldMask(paths=["*"])) == wanted


@given(wanted=contacts, owned=st.builds(Contact, id=st.text(max_size=3), etag=st.text(max_size=3), display_name=st.text(max_size=3)))
def test_a_new_resource_is_what_a_star_makes_of_none(wanted: Contact, owned: Contact) -> None:
    wanted.MergeFrom(owned)
    assert masks.taken(wanted) == masks.apply(Contact(), wanted, FieldMask(paths=["*"]))


def test_a_new_resource_has_nothing_that_is_not_known_here() -> None:
    unknown = b"\xfa\x7f\x02hi"  # field 2047, two bytes
    assert (
        masks.taken(Contact.FromString(Contact(title="Buyer").SerializeToString() + unknown)).SerializeToString()
        == Contact(title="Buyer").SerializeToString()
    )


@given(before=contacts, wanted=contacts)
def test_without_a_mask_the_set_fields_count(before: Contact, wanted: Contact) -> None:
    after = masks.apply(before, wanted, FieldMask())
    given_names = {descriptor.name for descriptor, _ in wanted.ListFields()}
    for name in FIELDS:
        assert getattr(after, name) == getattr(wanted if name in given_names else before, name)


@given(before=contacts, after=contacts)
def test_changed_names_exactly_the_fields_that_differ(before: Contact, after: Contact) -> None:
    set_before, set_after = ({field.name: value for field, value in each.ListFields()} for each in (before, after))
    assert set(masks.changed(before, after).paths) == {name for name in FIELDS if set_before.get(name) != set_after.get(name)}


def test_a_nested_path_changes_one_field_of_the_part() -> None:
    before = Contact(address={"city": "Before", "postal_code": "1"})
    after = masks.apply(before, Contact(address={"city": "After", "postal_code": "2"}), FieldMask(paths=["address.city"]))
    assert (after.address.city, after.address.postal_code) == ("After", "1")


def test_what_the_server_keeps_is_left_alone() -> None:
    before = Contact(id="a", etag='"1"', display_name="Shown")
    wanted = Contact(id="b", etag='"9"', display_name="Other", create_time={"seconds": 5})
    assert masks.apply(before, wanted, FieldMask(paths=["id", "etag", "display_name", "create_time"])) == before
    assert masks.apply(before, wanted, FieldMask(paths=["*"])) == before


@pytest.mark.parametrize("path", ["nothing", "address.nothing", "emails.address", "given_name.x", "", "address."])
def test_a_path_that_is_not_there_is_refused_with_its_name(path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        masks.apply(Contact(), Contact(), FieldMask(paths=[path]))
    assert refused.value.reason == Reason.UNKNOWN_FIELD
    assert refused.value.metadata == {"path": path}
    assert refused.value.fields[0].field == "update_mask"


def test_a_star_stands_alone() -> None:
    with pytest.raises(InvalidArgument):
        masks.apply(Contact(), Contact(), FieldMask(paths=["*", "title"]))
