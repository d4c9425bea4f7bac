"""Lists on their way to PostgreSQL."""

from typing import Any

import pytest
from psycopg import DataError
from psycopg.adapt import Transformer

from chassis.database.arrays import Lists


def literal(values: list[Any]) -> bytes:
    return bytes(Lists(list, Transformer()).dump(values) or b"")


def test_every_element_is_quoted() -> None:
    assert literal(["a", 'b"c', "d\\e", "", "null", "{,}"]) == b'{"a","b\\"c","d\\\\e","","null","{,}"}'


def test_what_is_missing_is_null() -> None:
    assert literal([None, "a", None]) == b'{NULL,"a",NULL}'
    assert literal([]) == b"{}"


def test_bytes_are_hexadecimal() -> None:
    assert literal([b"\x00\xff", b""]) == b'{"\\\\x00ff","\\\\x"}'


def test_a_text_with_nul_is_refused() -> None:
    with pytest.raises(DataError):
        literal(["a\0b", "c"])
