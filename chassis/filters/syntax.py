"""The filter language itself (AIP-160): text to a syntax tree that knows its positions, no meaning yet.

Differences to AIP-160, all refused with their position: no bare words, no functions, no `.` paths, a wildcard only at the end.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, TypeAlias

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

from chassis.errors import InvalidArgument, Reason, Violation
from chassis.filters.trees import And, Not, Or, Tree, fold

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 16
MAX_TERMS: Final = 50

# OR binds closer than AND, and AND closer than words side by side would suggest: that is how AIP-160 has it.
GRAMMAR: Final = r"""
    start: expression
    expression: sequence (_AND sequence)*
    sequence: factor+
    factor: term (_OR term)*
    ?term: (_NOT | _MINUS) simple -> negation
         | simple
    ?simple: NAME COMPARATOR (VALUE | STRING) -> comparison
           | _OPEN expression _CLOSE

    _AND.2: /AND(?![A-Za-z0-9_.])/
    _OR.2: /OR(?![A-Za-z0-9_.])/
    _NOT.2: /NOT(?![A-Za-z0-9_.])/
    _MINUS: "-"
    _OPEN: "("
    _CLOSE: ")"
    NAME: /[A-Za-z_][A-Za-z0-9_.]*/
    COMPARATOR: /<=|>=|!=|[<>=:]/
    VALUE: /[^\s"'()<>=!:~,][^\s"'()]*/
    STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
    %ignore /\s+/
"""

_WORDS: Final = {
    "NAME": "a field",
    "COMPARATOR": "one of = != < <= > >= :",
    "VALUE": "a value",
    "STRING": "a value",
    "_AND": "AND",
    "_OR": "OR",
    "_NOT": "NOT",
    "_MINUS": "NOT",
    "_OPEN": "(",
    "_CLOSE": ")",
    "$END": "the end",
}


@dataclass(frozen=True, slots=True)
class Value:
    """The right side of a comparison: its text without quotes and escapes, and whether an unescaped `*` ended it."""

    text: str
    open_ended: bool
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field, operator and value, at its 1-based position in the filter."""

    field: str
    operator: str
    value: Value
    position: int


Expression: TypeAlias = Tree[Comparison]


def refused(position: int, expected: str) -> InvalidArgument:
    """Return the refusal of a filter that is wrong at a 1-based position."""
    text = f"at {position}: expected {expected}"
    violation = Violation("filter", text)
    return InvalidArgument(Reason.FILTER_INVALID, f"filter: {text}", fields=[violation], position=str(position), expected=expected)


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Return the syntax tree of a filter that is not blank. Refuses with FILTER_INVALID what is malformed or too large."""
    if len(text) > MAX_LENGTH:
        raise refused(MAX_LENGTH + 1, f"at most {MAX_LENGTH} characters")
    if "\0" in text:
        raise refused(text.index("\0") + 1, "no NUL character")
    try:
        tree: Expression = _parser().parse(text)  # type: ignore[assignment]  # the transformer makes trees of ours, not lark's
    except UnexpectedInput as error:
        raise _unexpected(error, text) from None
    _check_size(tree)
    return tree


def _unexpected(error: UnexpectedInput, text: str) -> InvalidArgument:
    terminals: Iterable[str] = getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    token = getattr(error, "token", None)
    at = len(text) if token is not None and token.type == "$END" else error.pos_in_stream or 0
    if text[at : at + 1] in {'"', "'"} and "STRING" in terminals:
        return refused(at + 1, "a closing quote")
    return refused(at + 1, " or ".join(dict.fromkeys(word for name, word in _WORDS.items() if name in terminals)))


def _check_size(tree: Expression) -> None:
    terms = 0

    def count(_: Comparison) -> int:
        nonlocal terms
        terms += 1
        return 1

    def deeper(depths: list[int]) -> int:
        return 1 + max(depths)

    depth = fold(tree, count, negate=lambda depth: depth + 1, every=deeper, some=deeper)
    if depth > MAX_DEPTH:
        raise refused(1, f"at most {MAX_DEPTH} levels")
    if terms > MAX_TERMS:
        raise refused(1, f"at most {MAX_TERMS} comparisons")


@v_args(inline=True)
class _Builder(Transformer[Token, Expression]):
    """Turns lark's reductions into our tree, without a tree of its own in between."""

    def start(self, expression: Expression) -> Expression:
        return expression

    def negation(self, term: Expression) -> Expression:
        return Not(term)

    def expression(self, *terms: Expression) -> Expression:
        return terms[0] if len(terms) == 1 else And(terms)

    def sequence(self, *terms: Expression) -> Expression:
        return terms[0] if len(terms) == 1 else And(terms)

    def factor(self, *terms: Expression) -> Expression:
        return terms[0] if len(terms) == 1 else Or(terms)

    def comparison(self, name: Token, operator: Token, value: Token) -> Expression:
        return Comparison(str(name), str(operator), _value(value), (name.start_pos or 0) + 1)


def _value(token: Token) -> Value:
    position = (token.start_pos or 0) + 1
    quoted = token.type == "STRING"
    raw = str(token)[1:-1] if quoted else str(token)
    # Split at escapes: every odd piece is one, and a `*` in an even piece is a wildcard.
    pieces = re.split(r"(\\.)", raw, flags=re.DOTALL) if quoted else [raw]
    open_ended = pieces[-1].endswith("*")
    if open_ended:
        pieces[-1] = pieces[-1][:-1]
    if any("*" in piece for piece in pieces[::2]):
        raise refused(position, r"* at the end of the value alone, or \* in quotes for the character")
    return Value("".join(piece[1:] if index % 2 else piece for index, piece in enumerate(pieces)), open_ended, position)


@cache
def _parser() -> Lark:
    """Return the parser; building it takes 30 ms, which whoever is asked for no filter need not pay."""
    return Lark(GRAMMAR, parser="lalr", transformer=_Builder(), propagate_positions=False)
