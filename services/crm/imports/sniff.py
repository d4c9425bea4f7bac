"""What a file is, found out while it is uploaded: no table at all, or a text in some encoding with some delimiter."""

import codecs
import csv
from collections import Counter
from typing import Final, NamedTuple

from services.crm.imports import columns, rules
from services.crm.imports.failure import EncodingError, FileError

HEAD: Final = 256 * 1024
"""Bytes from the beginning that are looked at closely."""
AROUND: Final = 64 * 1024
"""Bytes around the first place that is no UTF-8."""
LOOKED_AT: Final = 100
"""Rows that tell delimiter and header."""

_MAGIC: Final = {
    b"PK\x03\x04": "a ZIP archive or a workbook (.xlsx)",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0": "a workbook (.xls)",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
}
_MAGIC_LENGTH: Final = max(map(len, _MAGIC))
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, longer ones first where one begins with another."""
_ENCODINGS: Final = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "euc_kr", "gb18030", "big5"]
_USUAL: Final = "cp1252"
"""What Western spreadsheets write; it is preferred where others fit as well."""
_DELIMITERS: Final = (",", ";", "\t", "|")
_SAID: Final = "sep="


_UNMARKED: Final = {"utf-8": (codecs.BOM_UTF8,), "utf-16-le": (codecs.BOM_UTF16_LE,), "utf-16-be": (codecs.BOM_UTF16_BE,)}
"""Byte order marks that fit an encoding which does not ask for one."""


class Said(NamedTuple):
    """What somebody says of a file, so that it need not be detected: a codec of Python, a delimiter, whether there is a header."""

    encoding: str = ""
    delimiter: str = ""
    has_header: bool | None = None


class Sheet(NamedTuple):
    """How the rows of a file are read, and what its columns are called."""

    encoding: str
    delimiter: str
    has_header: bool
    headers: list[str]
    samples: list[list[str]]


class Sniffer:
    """Looks at the bytes of one file as they pass by. What is said of it is not detected, but the bytes must fit."""

    def __init__(self, said: Said | None = None) -> None:
        self.size = 0
        self._said = said or Said()
        self._strict = codecs.getincrementaldecoder(self._said.encoding)() if self._said.encoding else None
        self._head = b""
        self._odd = b""
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data: bytes) -> None:
        """Look at the next bytes; raise FileError as soon as the file is known to be no table."""
        if self.size < _MAGIC_LENGTH:
            _check_magic(self._head + data[:_MAGIC_LENGTH])
        self._must_fit(data)
        self.size += len(data)
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        if self._utf8 is not None:
            try:
                self._utf8.decode(data)
            except UnicodeDecodeError as error:
                self._utf8 = None
                self._odd = data[max(0, error.start - AROUND // 2) : error.start + AROUND // 2]

    def sheet(self) -> Sheet:
        """Return what was found; raise FileError when there is nothing to import."""
        self._must_fit(b"", final=True)
        encoding = self._encoding()
        text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(self._head)
        if not text.strip():
            raise FileError("the file is empty")
        named = text.startswith(_SAID) and text[len(_SAID) + 1 : len(_SAID) + 2] in {"\r", "\n"}
        lines = text.splitlines(keepends=True)[1:] if named else text.splitlines(keepends=True)
        lines = lines if len(self._head) < HEAD or len(lines) == 1 else lines[:-1]
        delimiter = self._said.delimiter or (text[len(_SAID)] if named else _delimiter(lines))
        rows = [row for row in _rows(lines, delimiter) if any(cell.strip() for cell in row)]
        if not rows:
            raise FileError("the file holds no row")
        has_header = columns.is_header(rows) if self._said.has_header is None else self._said.has_header
        width = max(map(len, rows))
        if width > rules.MOST_COLUMNS:
            raise FileError(f"the file has more than {rules.MOST_COLUMNS} columns")
        names = [cell.strip() for cell in rows[0]] if has_header else []
        headers = [name or f"Column {index + 1}" for index, name in enumerate(names + [""] * (width - len(names)))]
        return Sheet(encoding, delimiter, has_header, headers, rows[1:] if has_header else rows)

    def _must_fit(self, data: bytes, *, final: bool = False) -> None:
        """Raise EncodingError for bytes that are not of the encoding that was said."""
        if self._strict is None:
            return
        try:
            self._strict.decode(data, final)
        except UnicodeError:
            raise EncodingError(
                f"the file is not of this encoding; that shows between its bytes {self.size:,} and {self.size + len(data):,}"
            ) from None

    def _encoding(self) -> str:
        said = self._said.encoding
        for mark, encoding in _MARKS.items():
            if self._head.startswith(mark):
                if said and mark not in _UNMARKED.get(said, ()):
                    raise EncodingError(f"the file begins with the byte order mark of {encoding}")
                return encoding
        if said:
            return said
        if self._head.count(0) > len(self._head) // 4:
            return "utf-16-le" if self._head[1::2].count(0) > self._head[::2].count(0) else "utf-16-be"
        if self._utf8 is not None or _is_utf8_beyond_ascii(self._head):
            return "utf-8"
        from charset_normalizer import from_bytes  # noqa: PLC0415 - 3 MB that few uploads need

        matches = from_bytes(self._head[:AROUND] + self._odd, cp_isolation=_ENCODINGS)
        best = matches.best()
        western = next((match for match in matches if _USUAL in match.could_be_from_charset), None)
        if best is None or (western is not None and western.chaos <= best.chaos):
            return _USUAL
        return best.encoding


def _check_magic(head: bytes) -> None:
    """Refuse what begins as other files do, however small the pieces are in which it comes."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise FileError(f"the file is {what}, whatever its name says; save it as CSV")


def _is_utf8_beyond_ascii(head: bytes) -> bool:
    """Say whether a beginning is UTF-8 beyond doubt. A wrong byte far behind it is a fault of the file, and must not garble the rest."""
    try:
        return not codecs.getincrementaldecoder("utf-8")().decode(head).isascii()
    except UnicodeDecodeError:
        return False


def _delimiter(lines: list[str]) -> str:
    """Return the delimiter that cuts most rows into the same number of cells, and into the most."""
    return max(_DELIMITERS, key=lambda delimiter: _evenness(_rows(lines, delimiter)))


def _evenness(rows: list[list[str]]) -> tuple[float, int]:
    widths = Counter(len(row) for row in rows if row)
    width, count = max(widths.items(), key=lambda item: item[1], default=(1, 0))
    return (count / max(1, widths.total()), width) if width > 1 else (0.0, 1)


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append(row)
            if len(rows) == LOOKED_AT:
                break
    except csv.Error:
        return rows
    return rows
