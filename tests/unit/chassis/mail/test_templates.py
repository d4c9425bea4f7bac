"""One file becomes a plain text and HTML; what people wrote stays text in both."""

from pathlib import Path

import pytest

from chassis.mail.templates import WIDTH, Templates, parse
from tests.unit.chassis.mail.conftest import GREETING, PUBLIC_URL, TO


def rendered(templates: Templates, locale: str = "en", name: str = "Reader", url: str = PUBLIC_URL):
    return templates.render(GREETING.mail(to=TO, locale=locale, token="t0ken", name=name), url)


@pytest.mark.parametrize(("locale", "language"), [("de", "de"), ("de-AT", "de"), ("en-GB", "en"), ("fr-FR", "en"), ("", "en")])
def test_the_reader_s_language_is_written_or_else_english(templates: Templates, locale: str, language: str) -> None:
    assert rendered(templates, locale).language == language


def test_the_link_stands_on_a_line_of_its_own_below_what_it_is_for(templates: Templates) -> None:
    lines = rendered(templates).plain.splitlines()
    assert lines[-2:] == ["Look at it:", "https://kith.example.com/greet#t0ken"]


def test_what_people_wrote_is_escaped_in_html_and_replaced_once(templates: Templates) -> None:
    text = rendered(templates, name='<img src="x"> & $link $name')
    assert "&lt;img src=&quot;x&quot;&gt; &amp; $link $name" in text.html
    assert "<img" not in text.html
    assert "t0ken" not in text.subject


def test_what_people_wrote_begins_no_line_and_is_not_long(templates: Templates) -> None:
    text = rendered(templates, name=f"Reader\r\n\r\nhttps://evil.example {'x ' * 500}")
    assert "\n" not in text.subject
    assert not [line for line in text.plain.splitlines() if line.startswith("https://evil")]
    assert len(text.subject) < 250


def test_lines_are_short_and_links_whole() -> None:
    text = parse("en", f"A subject\n\n{'many words ' * 40}\n\nOpen\n$link")
    lines = text.render({}, f"https://kith.example.com/{'x' * 200}").plain.splitlines()
    assert [line for line in lines if len(line) > WIDTH] == [f"https://kith.example.com/{'x' * 200}"]


def test_an_address_with_a_slash_at_its_end_makes_the_same_link(templates: Templates) -> None:
    assert rendered(templates, url="https://kith.example.com/").plain == rendered(templates).plain


def test_a_mail_with_other_values_than_its_kind_is_refused_at_once() -> None:
    with pytest.raises(LookupError, match="greeting"):
        GREETING.mail(to=TO, locale="en")


def test_a_kind_without_an_english_text_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="greeting"):
        rendered(Templates(tmp_path, [GREETING]))
