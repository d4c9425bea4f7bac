"""`python -m stack.error_catalogue`: write `docs/errors.md`, the reasons of all refusals, from the contract's enums and their comments."""

from collections.abc import Iterator
from typing import Final

from gateway.problems import STATUS
from stack.contract_check.image import Enum, Image
from stack.contract_check.reasons import ENUM, PREFIX, domain_of
from stack.generate import CONTRACT, ROOT

PAGE: Final = ROOT / "docs" / "errors.md"

_HEAD: Final = """# Errors

Every refusal carries one stable reason: over gRPC in `google.rpc.ErrorInfo`, over HTTP as `code` of the problem document
(RFC 9457), beside the domain that it is unique in. Programs decide by the reason, never by the text. This page is made by
`python -m stack.error_catalogue`.
"""


_EXCEPTIONS: Final = """
Where HTTP has a better word it is used: `ETAG_MISMATCH` is 412 when the etag came as If-Match and 409 when it came in the body,
`IDEMPOTENCY_KEY_REUSED` is 422, `IDEMPOTENCY_IN_PROGRESS` is 409. `Retry-After` comes with every refusal that a repetition can mend.
"""


def page(image: Image) -> str:
    """Return the catalogue, the platform's own reasons first."""
    enums = sorted((enum for enum in image.enums if enum.name == ENUM), key=lambda enum: domain_of(enum.package).count("."))
    return "\n".join([_HEAD, *_statuses(), *(line for enum in enums for line in _section(enum))])


def _statuses() -> Iterator[str]:
    yield "## Statuses\n"
    yield "| gRPC | HTTP |"
    yield "|---|---|"
    for code, status in STATUS.items():
        yield f"| `{code.name}` | {status} |"
    yield _EXCEPTIONS


def _section(enum: Enum) -> Iterator[str]:
    yield f"## {domain_of(enum.package)}\n"
    yield "| Reason | What it means |"
    yield "|---|---|"
    for value in enum.proto.value:
        if value.number:
            yield f"| `{value.name.removeprefix(PREFIX)}` | {_meaning(enum.comments[value.name])} |"
    yield ""


def _meaning(comment: str) -> str:
    """Return a comment without the name that it starts with, as a sentence."""
    text = comment.partition(":")[2].strip()
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    PAGE.write_text(page(Image.read(ROOT / "gen" / CONTRACT)))
