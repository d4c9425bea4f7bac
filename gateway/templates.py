"""Path templates of google.api.http: `/v1/{parent=shelves/*}/books/{id}:verb`."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from chassis.errors import Reason
from gateway.invalid import Invalid

ONE: Final = "*"
"""Matches one non-empty segment."""
ANY: Final = "**"
"""Matches zero or more segments."""

_TOKEN: Final = re.compile(r"\*\*|\*|/|:|=|\{|\}|[A-Za-z0-9._~%-]+")
_FIELD_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SLASH: Final = re.compile(r"(%2[Ff])")


class TemplateError(ValueError):
    """A template that cannot be served; the edge refuses to start with it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a template: the field it fills and the segments it spans, counted from the end behind a `**`."""

    path: tuple[str, ...]
    start: int
    stop: int | None
    single: bool

    def value(self, segments: list[str]) -> str:
        """Return the variable's text in a matched path.

        One segment is decoded whole; several keep %2F as written, so that it cannot be taken for a separator.
        """
        if self.single:
            return unescape(segments[self.start])
        return "/".join(_keep_slashes(segment) for segment in segments[self.start : self.stop])


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    text: str
    segments: tuple[str, ...]
    variables: tuple[Variable, ...]
    verb: str


def parse(text: str) -> Template:
    """Parse a template, or raise TemplateError saying what is wrong with it."""
    return _Parser(text).template()


def unescape(segment: str) -> str:
    """Decode percent escapes; a broken escape, bytes that are not UTF-8 and NUL are refused."""
    if "%" not in segment:
        return segment
    if _BAD_ESCAPE.search(segment):
        raise Invalid("a percent sign must be followed by two hexadecimal digits", reason=Reason.BODY_INVALID)
    try:
        value = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Invalid("escaped bytes must be UTF-8", reason=Reason.BODY_INVALID) from None
    if "\0" in value:
        raise Invalid("NUL is not allowed", reason=Reason.BODY_INVALID)
    return value


def _keep_slashes(segment: str) -> str:
    if "%" not in segment:
        return segment
    return "".join(part if _SLASH.fullmatch(part) else unescape(part) for part in _SLASH.split(segment))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != text:
            raise self._error("has a character that no segment may have")
        self._place = 0
        self._segments: list[str] = []
        self._spans: list[tuple[tuple[str, ...], int, int]] = []

    def template(self) -> Template:
        self._expect("/")
        self._walk(inside_variable=False)
        verb = self._verb()
        if self._segments.count(ANY) > 1:
            raise self._error("has two **")
        if ANY in self._segments and ONE in self._segments[self._segments.index(ANY) :]:
            raise self._error("has * after **")
        if len({path for path, _, _ in self._spans}) != len(self._spans):
            raise self._error("binds a field twice")
        return Template(self._text, tuple(self._segments), tuple(self._variable(*span) for span in self._spans), verb)

    def _walk(self, *, inside_variable: bool) -> None:
        while True:
            part = self._take()
            if part == "{":
                if inside_variable:
                    raise self._error("nests variables")
                self._span()
            elif part in {"/", ":", "=", "}", ""}:
                raise self._error("has an empty segment")
            else:
                self._segments.append(part)
            if self._peek() != "/":
                return
            self._take()

    def _span(self) -> None:
        path = self._take()
        if not _FIELD_PATH.fullmatch(path):
            raise self._error("names no field in a variable")
        start = len(self._segments)
        if self._peek() == "=":
            self._take()
            self._walk(inside_variable=True)
        else:
            self._segments.append(ONE)
        self._expect("}")
        self._spans.append((tuple(path.split(".")), start, len(self._segments)))

    def _verb(self) -> str:
        if self._peek() == "":
            return ""
        self._expect(":")
        verb = self._take()
        if not verb or verb in {"/", ":", "=", "{", "}", ONE, ANY}:
            raise self._error("has an empty verb")
        if self._peek():
            raise self._error("goes on after its verb")
        return verb

    def _variable(self, path: tuple[str, ...], start: int, stop: int) -> Variable:
        """Count what stands behind a `**` from the end, since it may match any number of segments."""
        size = len(self._segments)
        wide = self._segments.index(ANY) if ANY in self._segments else size
        single = stop - start == 1 and self._segments[start] != ANY
        return Variable(
            path,
            start=start if start <= wide else start - size,
            stop=stop if stop <= wide else (stop - size or None),
            single=single,
        )

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._place += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise self._error(f"lacks a {token!r}")

    def _error(self, what: str) -> TemplateError:
        return TemplateError(f"path template {self._text!r} {what}")
