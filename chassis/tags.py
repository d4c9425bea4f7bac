"""Tags: short words that a tenant hangs on its records."""

from collections.abc import Iterator, Sequence
from typing import Final

from chassis import texts
from chassis.errors import Violation

MOST: Final = 50
LENGTH: Final = 50


def tidy(tags: Sequence[str]) -> list[str]:
    """Return the tags without surrounding spaces, each once, in their order."""
    return list(dict.fromkeys(tag.strip() for tag in tags))


def check(tags: Sequence[str]) -> Iterator[Violation]:
    """Yield what is wrong with a record's tags."""
    yield from texts.check_count("tags", len(tags), MOST)
    for index, tag in enumerate(tags[:MOST]):
        yield from texts.check(f"tags[{index}]", tag, LENGTH, least=1)
