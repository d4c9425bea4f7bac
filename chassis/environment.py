"""Settings out of environment variables: read by their type, checked, and all that is wrong said at once, each with what it means.

Dataclasses do what is needed here. Pydantic would be 11 MB and 100 ms of every process, for what it does once at the start.
"""

import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

import orjson


class Settings(Protocol):
    """A dataclass whose fields are made by `setting`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


S = TypeVar("S", bound=Settings)
Reader = Callable[[str], Any]


class SettingsError(Exception):
    """What is wrong with the environment: a line for each variable."""


class UnfitError(ValueError):
    """A setting does not go with another; raised by what a dataclass checks after it was made."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name
        self.why = why


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is not shown by accident."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text, for whoever it is for."""
        return self._text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What is said about a setting, and what its value must be."""

    says: str
    variable: str
    reader: Reader | None
    least: float | None
    above: float | None
    most: float | None
    pattern: str

    def value(self, text: str, kind: Any) -> Any:
        """Return what a variable says. Raises ValueError, whose text says what it must be and never what it is: it may be a secret."""
        value = (self.reader or _reader(kind))(text)
        self._check(value)
        return value

    def _check(self, value: Any) -> None:
        if self.least is not None and value < self.least:
            raise ValueError(f"must be at least {self.least:g}")
        if self.above is not None and value <= self.above:
            raise ValueError(f"must be above {self.above:g}")
        if self.most is not None and value > self.most:
            raise ValueError(f"must be at most {self.most:g}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(f"must be like {self.pattern}")


def setting(
    default: Any = MISSING,
    *,
    default_factory: Any = MISSING,
    says: str,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    pattern: str = "",
    variable: str = "",
    reader: Reader | None = None,
) -> Any:
    """Return the field of a setting: `KITH_` and its name in capitals, unless `variable` says another; `reader` for a type of one's own."""
    rule = _Rule(says=says, variable=variable, reader=reader, least=least, above=above, most=most, pattern=pattern)
    return field(default=default, default_factory=default_factory, metadata={_Rule: rule})


def read(kind: type[S], environment: Mapping[str, str]) -> S:
    """Return the settings that an environment says. Raises SettingsError."""
    values, wrong = {}, []
    for each in fields(kind):
        rule = each.metadata[_Rule]
        variable = _variable(each)
        text = environment.get(variable)
        if text is None:
            if each.default is MISSING and each.default_factory is MISSING:
                wrong.append(f"{variable}: is missing. {rule.says}")
            continue
        try:
            values[each.name] = rule.value(text, each.type)
        except ValueError as error:
            wrong.append(f"{variable}: {error}. {rule.says}")
    if wrong:
        raise SettingsError("\n".join(wrong))
    try:
        return kind(**values)
    except UnfitError as error:
        each = kind.__dataclass_fields__[error.name]
        raise SettingsError(f"{_variable(each)}: {error.why}. {each.metadata[_Rule].says}") from None


def load(kind: type[S]) -> S:
    """Return the settings of this process; stop it with one line for each wrong one."""
    try:
        return read(kind, os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(2) from None


def _variable(of: "Field[Any]") -> str:
    return of.metadata[_Rule].variable or f"KITH_{of.name.upper()}"


def _reader(kind: Any) -> Reader:
    return partial(_choice, kind) if isinstance(kind, type) and issubclass(kind, Enum) else _READERS[kind]


def _choice(kind: type[Enum], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(each.value for each in kind)}") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("must be a number")
    return value


def _truth(text: str) -> bool:
    try:
        return _TRUTHS[text.lower()]
    except KeyError:
        raise ValueError(f"must be one of {', '.join(_TRUTHS)}") from None


def _path_or_none(text: str) -> Path | None:
    return Path(text) if text else None


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _texts_by_name(text: str) -> dict[str, str]:
    value = json_object(text)
    if not all(isinstance(each, str) for each in value.values()):
        raise ValueError("must be a JSON object of texts")
    return value


def json_object(text: str) -> dict[str, Any]:
    """Return what a JSON object holds; ValueError if the text is none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - as of any text that says something else
    return value


_TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}
_READERS: Final[Mapping[Any, Reader]] = {
    str: str,
    int: _whole,
    float: _number,
    bool: _truth,
    Path: Path,
    Path | None: _path_or_none,
    Secret: Secret,
    tuple[str, ...]: _list,
    dict[str, str]: _texts_by_name,
}
