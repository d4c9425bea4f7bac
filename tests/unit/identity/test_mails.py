"""Every kind of mail says the same in every language, and all that it is filled with."""

from html.parser import HTMLParser

import pytest

from chassis.mail import Kind
from chassis.mail.templates import parse
from services.identity.mails.kinds import INVITATION, KINDS, LANGUAGES, templates
from stack.topology import ROOT

TEXTS = ROOT / "services" / "identity" / "mails" / "texts"
URL = "https://kith.example.com"
HOSTILE = '<script>"$link" &'

each_text = pytest.mark.parametrize(("kind", "language"), [(kind, language) for kind in KINDS for language in LANGUAGES])


def text_of(kind: Kind, language: str):
    return parse(language, (TEXTS / f"{kind.name}.{language}.txt").read_text("utf-8"))


def rendered(kind: Kind, language: str, value: str = "{}"):
    values = {name: value.format(name) for name in kind.values}
    return templates().render(kind.mail(to="a@example.com", locale=language, token="t0ken", **values), URL)


def shape(kind: Kind, language: str) -> list[bool]:
    return [paragraph.endswith("$link") for paragraph in text_of(kind, language).paragraphs]


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]


def test_every_kind_has_every_language_and_nothing_else_lies_there() -> None:
    assert {file.name for file in TEXTS.iterdir()} == {f"{kind.name}.{language}.txt" for kind in KINDS for language in LANGUAGES}


@each_text
def test_a_text_uses_what_its_kind_is_filled_with(kind: Kind, language: str) -> None:
    assert text_of(kind, language).names() == kind.values | ({"link"} if kind.page else set())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_has_the_same_paragraphs_in_every_language(kind: Kind) -> None:
    assert len({tuple(shape(kind, language)) for language in LANGUAGES}) == 1
    assert sum(shape(kind, "en")) == bool(kind.page)


@each_text
def test_a_text_shows_its_values_and_leads_to_the_public_address_alone(kind: Kind, language: str) -> None:
    text = rendered(kind, language, "value-of-{}")
    link = f"{URL}/{kind.page}#t0ken"
    assert text.language == language
    for value in kind.values:
        assert f"value-of-{value}" in text.plain
        assert f"value-of-{value}" in text.html
    assert Links(text.html).links == ([link] if kind.page else [])
    assert [line for line in text.plain.splitlines() if "://" in line] == ([link] if kind.page else [])


@each_text
def test_what_people_wrote_is_text(kind: Kind, language: str) -> None:
    plain, hostile = rendered(kind, language), rendered(kind, language, HOSTILE)
    assert Links(hostile.html).tags == Links(plain.html).tags
    assert hostile.html.count("t0ken") == plain.html.count("t0ken")


def test_a_name_forges_no_header_and_no_line() -> None:
    values = {"inviter": "A\r\nBcc: all@example.com", "organisation": "B\n\nhttps://evil.example"}
    text = templates().render(INVITATION.mail(to="a@example.com", locale="en", token="t0ken", **values), URL)
    assert text.subject == "You are invited to B https://evil.example"
    assert not [line for line in text.plain.splitlines() if line.startswith(("Bcc", "https://evil"))]
