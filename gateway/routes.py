"""The routing tree: which binding a path and an HTTP method mean."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.templates import ANY, ONE, Template, TemplateError

T = TypeVar("T")

_Leaves = dict[str, dict[str, T]]


class UnknownPath(Exception):
    """No template matches the path."""


class WrongMethod(Exception):
    """Templates match the path, but none with this HTTP method."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__(allowed)
        self.allowed = allowed


@dataclass(slots=True)
class _Node(Generic[T]):
    """What may follow a prefix. Leaves are kept by verb and HTTP method."""

    literals: "dict[str, _Node[T]]" = field(default_factory=dict)
    one: "_Node[T] | None" = None
    leaves: _Leaves[T] = field(default_factory=dict)
    tails: list[tuple[tuple[str, ...], _Leaves[T]]] = field(default_factory=list)


class Routes(Generic[T]):
    """Routes by template.

    A literal goes before `*`, `*` before `**`, a longer tail behind `**` before a shorter; the order of adding never matters.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._verbs: set[str] = set()

    def add(self, http_method: str, template: Template, target: T) -> None:
        """Add a route; a second one of the same shape and method is refused."""
        leaves = self._leaves(template.segments)
        methods = leaves.setdefault(template.verb, {})
        if http_method in methods:
            raise TemplateError(f"{http_method} {template.text!r} has the shape of another route")
        methods[http_method] = target
        if template.verb:
            self._verbs.add(template.verb)

    def find(self, http_method: str, path: str) -> tuple[T, list[str]]:
        """Return the target of a raw path and the path's segments without the verb, or raise UnknownPath or WrongMethod.

        A registered verb is never taken for a part of an id, not even when only another HTTP method has it.
        """
        segments = path.split("/")
        if segments[0] or "" in segments[1:]:
            raise UnknownPath
        del segments[0]
        before, colon, verb = segments[-1].rpartition(":")
        if colon and verb in self._verbs:
            if not before:
                raise UnknownPath
            bare = [*segments[:-1], before]
            target = _search(self._root, bare, 0, verb, http_method)
            if target is not None:
                return target, bare
            self._refuse_if_known(bare, verb)
        target = _search(self._root, segments, 0, "", http_method)
        if target is None:
            self._refuse_if_known(segments, "")
            raise UnknownPath
        return target, segments

    def _refuse_if_known(self, segments: list[str], verb: str) -> None:
        allowed: set[str] = set()
        _collect(self._root, segments, 0, verb, allowed)
        if allowed:
            raise WrongMethod(frozenset(allowed))

    def _leaves(self, segments: tuple[str, ...]) -> _Leaves[T]:
        node = self._root
        for index, segment in enumerate(segments):
            if segment == ANY:
                return _tail(node, segments[index + 1 :])
            if segment == ONE:
                node.one = node.one or _Node()
                node = node.one
            else:
                node = node.literals.setdefault(segment, _Node())
        return node.leaves


def _tail(node: _Node[T], tail: tuple[str, ...]) -> _Leaves[T]:
    for known, leaves in node.tails:
        if known == tail:
            return leaves
    fresh: _Leaves[T] = {}
    node.tails.append((tail, fresh))
    node.tails.sort(key=lambda each: -len(each[0]))
    return fresh


def _search(node: _Node[T], segments: list[str], place: int, verb: str, http_method: str) -> T | None:
    if place == len(segments):
        methods = node.leaves.get(verb)
        found = methods.get(http_method) if methods else None
    else:
        child = node.literals.get(segments[place])
        found = _search(child, segments, place + 1, verb, http_method) if child else None
        if found is None and node.one:
            found = _search(node.one, segments, place + 1, verb, http_method)
    if found is None:
        for tail, leaves in node.tails:
            if _ends_with(segments, place, tail) and http_method in leaves.get(verb, ()):
                return leaves[verb][http_method]
    return found


def _collect(node: _Node[T], segments: list[str], place: int, verb: str, allowed: set[str]) -> None:
    """Gather the methods of everything that matches, whatever the precedence: what a 405 names in `Allow`."""
    if place == len(segments):
        allowed.update(node.leaves.get(verb, ()))
    else:
        for child in (node.literals.get(segments[place]), node.one):
            if child:
                _collect(child, segments, place + 1, verb, allowed)
    for tail, leaves in node.tails:
        if _ends_with(segments, place, tail):
            allowed.update(leaves.get(verb, ()))


def _ends_with(segments: list[str], place: int, tail: tuple[str, ...]) -> bool:
    return len(segments) - place >= len(tail) and tuple(segments[len(segments) - len(tail) :]) == tail
