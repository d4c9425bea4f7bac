"""What a filter means for one list: its comparisons checked against the declared fields, and the SQL condition of its shape."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from cachetools import LRUCache
from sqlalchemy import ColumnElement, and_, not_, or_

from chassis.errors import InvalidArgument, Reason, Violation
from chassis.filters.fields import Field, after_prefix
from chassis.filters.syntax import Comparison, parse, refused
from chassis.filters.trees import Not, Tree, fold, replace_leaves

EQUALITY: Final = frozenset({"=", ":"})
_READ_FILTERS: Final = 1024


@dataclass(frozen=True, slots=True)
class Test:
    """One test of one field; its values are bind parameters, so that filters that differ in values alone share their SQL."""

    field: str
    how: str
    parameters: tuple[str, ...] = ()


Shape: TypeAlias = Tree[Test]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read: its shape (None lets everything through) and the values of its parameters."""

    shape: Shape | None
    values: Mapping[str, object]


EVERYTHING: Final = Filter(None, {})


class Fields:
    """The fields that the filter of one list may name."""

    def __init__(self, *fields: Field) -> None:
        self._fields: Final = {field.name: field for field in fields}
        self._filters: Final[LRUCache[str, Filter]] = LRUCache(_READ_FILTERS)

    def read(self, text: str) -> Filter:
        """Return the meaning of a filter. Refuses with FILTER_INVALID and the position, or with UNKNOWN_FIELD."""
        text = text.strip()
        if not text:
            return EVERYTHING
        found = self._filters.get(text)
        if found is None:
            found = self._filters[text] = self._read(text)
        return found

    def condition(self, shape: Shape) -> ColumnElement[bool]:
        """Return the SQL condition of a shape that `read` gave."""
        return fold(
            shape,
            lambda test: self._fields[test.field].condition(test.how, test.parameters),
            negate=not_,
            every=lambda conditions: and_(*conditions),
            some=lambda conditions: or_(*conditions),
        )

    def _read(self, text: str) -> Filter:
        values: dict[str, object] = {}

        def tests(comparison: Comparison) -> Shape:
            field = self._fields.get(comparison.field)
            if field is None:
                raise self._unknown(comparison)
            return _meaning(field, comparison, values)

        return Filter(replace_leaves(parse(text), tests), values)

    def _unknown(self, comparison: Comparison) -> InvalidArgument:
        text = f"at {comparison.position}: {comparison.field}: no such field; one of {', '.join(self._fields)}"
        return InvalidArgument(
            Reason.UNKNOWN_FIELD,
            f"filter: {text}",
            fields=[Violation("filter", text)],
            position=str(comparison.position),
            path=comparison.field,
        )


def outline(shape: Shape | None) -> str:
    """Return a shape as a text without the values that it compares with, which may be about somebody; "" lets everything through."""
    if shape is None:
        return ""
    return fold(
        shape,
        lambda test: " ".join((test.field, test.how, *("?" for _ in test.parameters))),
        negate=lambda term: f"NOT ({term})",
        every=" AND ".join,
        some=lambda terms: f"({' OR '.join(terms)})",
    )


def _meaning(field: Field, comparison: Comparison, values: dict[str, object]) -> Shape:
    """Return the tests that a comparison stands for, and add what they compare with to the values."""
    value = comparison.value
    if comparison.operator == "!=":
        return Not(_meaning(field, replace(comparison, operator="="), values))
    if value.text == "" and field.can_be_unset and comparison.operator in EQUALITY:
        return _presence(field, comparison)
    if value.open_ended:
        return _prefix(field, comparison, values)
    if comparison.operator not in EQUALITY and not field.ordered:
        raise refused(comparison.position, f"= or != after {field.name}")
    how = "=" if comparison.operator == ":" else comparison.operator
    return _test(field, how, values, _operand(field, comparison))


def _presence(field: Field, comparison: Comparison) -> Shape:
    """`field:*` asks whether it is set, `field = ""` whether it is not."""
    is_set = Test(field.name, "set")
    if not comparison.value.open_ended:
        return Not(is_set)
    if comparison.operator == ":":
        return is_set
    raise refused(comparison.value.position, f"a text before *; {field.name}:* asks whether there is one")


def _prefix(field: Field, comparison: Comparison, values: dict[str, object]) -> Shape:
    if not field.prefixes or comparison.operator not in EQUALITY:
        raise refused(comparison.value.position, f"{field.expected} without *")
    first = str(_operand(field, comparison))
    behind = after_prefix(first)
    return _test(field, ">=", values, first) if behind is None else _test(field, "prefix", values, first, behind)


def _operand(field: Field, comparison: Comparison) -> object:
    try:
        return field.read(comparison.value.text)
    except ValueError:
        raise refused(comparison.value.position, field.expected) from None


def _test(field: Field, how: str, values: dict[str, object], *operands: object) -> Test:
    names = tuple(f"filter_{len(values) + index}" for index in range(len(operands)))
    values.update(zip(names, operands, strict=True))
    return Test(field.name, how, names)
