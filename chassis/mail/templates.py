"""The texts of mails: one file for each kind and language, from which both the plain text and the HTML are made.

`<kind>.<language>.txt` has the subject in its first line and then paragraphs. A paragraph that ends in a line `$link` is what the
mail is for: the lines before it name the link. Only `$name` is replaced, so a text can call nothing and needs no sandbox.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from importlib.resources.abc import Traversable
from string import Template
from textwrap import fill
from typing import Final, NamedTuple

from chassis.mail.kinds import Kind, Mail

FALLBACK: Final = "en"
WIDTH: Final = 76  # characters of a line of plain text (RFC 5322 asks for at most 78)
LONGEST: Final = 200  # characters of a value that are shown
LINK: Final = "$link"

_PAGE: Final = Template(
    '<!doctype html>\n<html lang="$language"><head><meta charset="utf-8"><title>$subject</title></head>'
    '<body style="margin:0;padding:24px;font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#ffffff">'
    '<div style="max-width:36em;margin:0 auto">\n$body\n</div></body></html>\n'
)
_BUTTON: Final = Template(
    '<p><a href="$link" style="display:inline-block;padding:10px 18px;border-radius:6px;background:#1f4fd8;color:#ffffff;'
    'text-decoration:none">$label</a></p>\n<p style="font-size:13px;color:#555555;word-break:break-all">$link</p>'
)


class Rendered(NamedTuple):
    """A mail as a text."""

    language: str
    subject: str
    plain: str
    html: str


class Text(NamedTuple):
    """The template of a kind in a language."""

    language: str
    subject: str
    paragraphs: tuple[str, ...]

    def names(self) -> set[str]:
        """Return the names of what it is filled with."""
        return {name for part in (self.subject, *self.paragraphs) for name in Template(part).get_identifiers()}

    def render(self, values: Mapping[str, str], link: str) -> Rendered:
        """Fill it; KeyError if a value is missing."""
        shown = {**{name: _one_line(value) for name, value in values.items()}, "link": link}
        escaped = {name: escape(value) for name, value in shown.items()}
        subject = Template(self.subject).substitute(shown)
        plain = "\n\n".join(_plain(each, shown) for each in self.paragraphs)
        html = "\n".join(_html(each, escaped) for each in self.paragraphs)
        page = _PAGE.substitute(language=self.language, subject=escape(subject), body=html)
        return Rendered(self.language, subject, f"{plain}\n", page)


class Templates:
    """The templates of a service's kinds, read when the first mail of a kind is sent."""

    def __init__(self, folder: Traversable, kinds: Iterable[Kind]) -> None:
        self.kinds: Mapping[str, Kind] = {kind.name: kind for kind in kinds}
        self._folder = folder
        self._read = cache(self._text)

    def render(self, mail: Mail, public_url: str) -> Rendered:
        """Return a mail as a text in the language of its reader, or else in English."""
        language = mail.locale.partition("-")[0]
        text = self._read(mail.kind.name, language) or self._read(mail.kind.name, FALLBACK)
        if text is None:
            raise LookupError(f"mails of kind {mail.kind.name} have no text in {FALLBACK}")
        return text.render(mail.values, _link(public_url, mail))

    def _text(self, kind: str, language: str) -> Text | None:
        file = self._folder / f"{kind}.{language}.txt"
        return parse(language, file.read_text("utf-8")) if file.is_file() else None


def parse(language: str, text: str) -> Text:
    """Return the template that a file holds."""
    subject, *paragraphs = (part.strip() for part in text.split("\n\n"))
    return Text(language, subject, tuple(paragraphs))


def _link(public_url: str, mail: Mail) -> str:
    """Return the link, nothing for a kind without one. The token stands behind the #, which no log of a server and no Referer shows."""
    link = f"{public_url.rstrip('/')}/{mail.kind.page}" if mail.kind.page else ""
    return f"{link}#{mail.token}" if mail.token else link


def _one_line(value: str) -> str:
    """Return a value so that it can begin no line of its own in the text."""
    return " ".join(value.split())[:LONGEST]


def _plain(paragraph: str, shown: Mapping[str, str]) -> str:
    label, _, last = paragraph.rpartition("\n")
    if last == LINK:
        return f"{label}:\n{shown['link']}"
    return fill(Template(paragraph).substitute(shown), WIDTH, break_long_words=False, break_on_hyphens=False)


def _html(paragraph: str, escaped: Mapping[str, str]) -> str:
    label, _, last = paragraph.rpartition("\n")
    if last == LINK:
        return _BUTTON.substitute(link=escaped["link"], label=escape(label))
    return f"<p>{Template(escape(paragraph)).substitute(escaped)}</p>"
