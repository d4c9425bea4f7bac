"""Trees of NOT, AND and OR over leaves of any kind; hashable, so that what is built from one can be cached by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

L = TypeVar("L")
N = TypeVar("N")


@dataclass(frozen=True, slots=True)
class Not(Generic[L]):
    """True where its term is not."""

    term: "Tree[L]"


@dataclass(frozen=True, slots=True)
class And(Generic[L]):
    """True where all of its terms are."""

    terms: "tuple[Tree[L], ...]"


@dataclass(frozen=True, slots=True)
class Or(Generic[L]):
    """True where at least one of its terms is."""

    terms: "tuple[Tree[L], ...]"


Tree: TypeAlias = L | Not[L] | And[L] | Or[L]


def replace_leaves(tree: Tree[L], new: Callable[[L], Tree[N]]) -> Tree[N]:
    """Return the same tree with each leaf replaced, from left to right."""
    match tree:
        case Not(term):
            return Not(replace_leaves(term, new))
        case And(terms):
            return And(tuple(replace_leaves(term, new) for term in terms))
        case Or(terms):
            return Or(tuple(replace_leaves(term, new) for term in terms))
        case _:
            return new(tree)


def fold(
    tree: Tree[L],
    leaf: Callable[[L], N],
    *,
    negate: Callable[[N], N],
    every: Callable[[list[N]], N],
    some: Callable[[list[N]], N],
) -> N:
    """Return the value of the tree, computed from its leaves upwards."""

    def value(part: Tree[L]) -> N:
        match part:
            case Not(term):
                return negate(value(term))
            case And(terms):
                return every([value(term) for term in terms])
            case Or(terms):
                return some([value(term) for term in terms])
            case _:
                return leaf(part)

    return value(tree)
