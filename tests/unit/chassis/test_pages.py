"""Page sizes and tokens."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import pages
from chassis.errors import InvalidArgument, Reason

LIST = ("contacts", "tenant", "age > 5", "create_time", "True")


@pytest.fixture(autouse=True)
def page_key() -> None:
    pages.use_key(b"k" * 32)


@pytest.mark.parametrize(("wanted", "given_size"), [(0, 20), (1, 1), (200, 200), (201, 200), (2**31 - 1, 200)])
def test_page_sizes_are_bounded(wanted: int, given_size: int) -> None:
    assert pages.size(wanted) == given_size


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        pages.size(-1)
    assert [violation.field for violation in refused.value.fields] == ["page_size"]


def test_a_token_gives_back_what_was_sealed() -> None:
    token = pages.seal(["ann", "id-1"], LIST)
    assert pages.unseal(token, LIST) == ["ann", "id-1"]
    assert "=" not in token


@pytest.mark.parametrize("place", range(len(LIST)))
def test_a_token_of_another_list_is_refused_as_such(place: int) -> None:
    other = (*LIST[:place], "another", *LIST[place + 1 :])
    with pytest.raises(InvalidArgument) as refused:
        pages.unseal(pages.seal(["ann", "id-1"], LIST), other)
    assert refused.value.reason is Reason.PAGE_TOKEN_MISMATCH


def test_the_parts_of_a_list_cannot_run_into_each_other() -> None:
    with pytest.raises(InvalidArgument, match="another list"):
        pages.unseal(pages.seal([1], ("ab", "c")), ("a", "bc"))


def test_a_token_of_another_key_is_refused() -> None:
    token = pages.seal(["ann", "id-1"], LIST)
    pages.use_key(b"o" * 32)
    with pytest.raises(InvalidArgument) as refused:
        pages.unseal(token, LIST)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize("nonsense", ["", "x", "0" * 5000, "ä", "....", "AAAA", urlsafe_b64encode(b"x" * 80).decode()])
def test_nonsense_is_no_token(nonsense: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        pages.unseal(nonsense, LIST)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


@given(st.data())
def test_no_bit_of_a_token_can_be_changed(data: st.DataObject) -> None:
    token = pages.seal(["ann", "id-1"], LIST)
    sealed = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidArgument) as refused:
        pages.unseal(urlsafe_b64encode(sealed).rstrip(b"=").decode(), LIST)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


def test_a_token_has_one_spelling() -> None:
    token = pages.seal(["annn", "id-1"], LIST)
    for other in (token + "=", token + "\n", token[:-1] + chr(ord(token[-1]) + 1)):
        with pytest.raises(InvalidArgument, match="no page token"):
            pages.unseal(other, LIST)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        pages.use_key(b"short")
