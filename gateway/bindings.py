"""One HTTP binding of an RPC, compiled: path, query, body, cookies and If-Match become the request message."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.errors import Reason
from chassis.json import kinds
from gateway import browser, scalars, strict_json
from gateway.contract import Binding, Contract, Cookie, Method
from gateway.decode import Decoders, Tree
from gateway.invalid import Invalid
from gateway.masks import mask_paths
from gateway.query import Path, QueryDecoder, refuse_rivals, rivals
from gateway.scalars import Decoder
from gateway.templates import Template, TemplateError, Variable

WHOLE: Final = "*"
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE"})


class _PathField(NamedTuple):
    variable: Variable
    decode: Decoder
    rivals: tuple[str, ...]

    @property
    def path(self) -> Path:
        return self.variable.path


class Given(NamedTuple):
    """What a request brings beside its path. `cookies` is empty when no page of ours calls."""

    query: str
    body: bytes
    content_type: str
    etag: str | None
    cookies: Mapping[bytes, bytes]


class RequestBinding:
    """Builds the request message of one binding."""

    def __init__(self, method: Method, binding: Binding, template: Template, contract: Contract, decoders: Decoders) -> None:
        self._input = method.input
        self._new = contract.message_class(method.input)
        self._path_fields = tuple(_path_field(variable, template, method.input) for variable in template.variables)
        self._body = _body_field(binding, method)
        self._whole = binding.body == WHOLE
        self.raw = self._raw_path(binding)
        self._decode_body = self._body_decoder(decoders)
        self._query = QueryDecoder(method.input, self._bound())
        self._cookies = tuple(_cookies(contract, method.input))
        self._etag = self._etag_path()
        self._mask = self._mask_field(binding)

    @property
    def takes_body(self) -> bool:
        """Say whether the binding has a place for a body."""
        return self._whole or self._body is not None

    @property
    def reads_cookies(self) -> bool:
        """Say whether a browser may leave a field to its cookie."""
        return bool(self._cookies)

    def message(self, segments: list[str], given: Given) -> Message:
        """Return the request message, or raise Invalid."""
        tree = self._body_tree(given)
        for field in self._path_fields:
            self._put_path(tree, field, segments)
        if given.query:
            self._add_query(tree, given.query)
        if self._mask is not None and self._mask not in tree and self._body is not None and self._body.message_type is not None:
            tree[self._mask] = {"paths": mask_paths(self._body.message_type, tree[self._body.name], skip=self._ids_in_body())}
        if given.etag is not None:
            self._put_etag(tree, given.etag)
        for name, cookie in self._cookies:
            self._put_cookie(tree, name, cookie, given)
        return self._new(**tree)

    def chunk(self, data: bytes) -> Message:
        """Return a later message of an upload: nothing but the next bytes."""
        if self.raw is None:
            raise TypeError("no upload")
        tree: Tree = {}
        _put(tree, (*self.raw, "data"), data)
        return self._new(**tree)

    def _body_tree(self, given: Given) -> Tree:
        if self.raw is not None:
            tree: Tree = {}
            _put(tree, (*self.raw, "content_type"), given.content_type)
            _put(tree, (*self.raw, "data"), given.body)
            return tree
        if not self.takes_body:
            if given.body:
                raise Invalid("this call takes no body", reason=Reason.BODY_INVALID)
            return {}
        if not given.body:
            return {} if self._body is None else {self._body.name: {} if _is_object(self._body) else None}
        decoded = self._decode_body(strict_json.loads(given.body))
        return decoded if self._body is None else {self._body.name: decoded}

    def _put_path(self, tree: Tree, field: _PathField, segments: list[str]) -> None:
        """Set what the path says; a body that names another value is refused, one that names the same or none is not."""
        name = ".".join(field.path)
        try:
            value = field.decode(field.variable.value(segments))
        except Invalid as wrong:
            raise Invalid(wrong.description, field=name, reason=wrong.reason) from None
        named = _get(tree, field.path)
        if named not in _UNNAMED and named != value:
            raise Invalid("differs from the path", field=name)
        if field.rivals:
            refuse_rivals(_get(tree, field.path[:-1]) or {}, field.rivals, name)
        _put(tree, field.path, value)

    def _add_query(self, tree: Tree, query: str) -> None:
        if self._whole and query.strip("&"):
            raise Invalid("this call takes no query: its body holds everything", reason=Reason.BODY_INVALID)
        self._query.fill(tree, query)

    def _put_etag(self, tree: Tree, etag: str) -> None:
        if self._etag is None:
            raise Invalid("this call takes no If-Match", reason=Reason.BODY_INVALID)
        if _get(tree, self._etag) not in (None, "", etag):
            raise Invalid("differs from If-Match", field=".".join(self._etag))
        _put(tree, self._etag, etag)

    def _put_cookie(self, tree: Tree, name: str, cookie: Cookie, given: Given) -> None:
        if given.cookies and not tree.get(name):
            tree[name] = browser.cookie(given.cookies, cookie.name)

    def _bound(self) -> list[Path]:
        found = [field.path for field in self._path_fields]
        if self._body is not None:
            found.append((self._body.name,))
        return found

    def _ids_in_body(self) -> frozenset[Path]:
        """Return the paths inside the body that the URL binds."""
        return frozenset(field.path[1:] for field in self._path_fields if self._body is not None and field.path[0] == self._body.name)

    def _raw_path(self, binding: Binding) -> Path | None:
        """Return where an HttpBody takes the body as it comes, None where the body is JSON."""
        if self._whole and self._input.full_name == kinds.HTTP_BODY:
            return ()
        field = self._body
        if field is not None and field.message_type is not None and field.message_type.full_name == kinds.HTTP_BODY:
            return (binding.body,)
        return None

    def _body_decoder(self, decoders: Decoders) -> Callable[[Any], Any]:
        return decoders.message(self._input) if self._body is None else decoders.field(self._body)

    def _etag_path(self) -> Path | None:
        if _has_etag(self._input):
            return ("etag",)
        if self._body is not None and self._body.message_type is not None and _has_etag(self._body.message_type):
            return (self._body.name, "etag")
        return None

    def _mask_field(self, binding: Binding) -> str | None:
        """Return the field of the request that says what a PATCH changes."""
        if binding.http_method != "PATCH" or self._body is None or not _is_object(self._body):
            return None
        masks = [field.name for field in self._input.fields if _is(field, kinds.FIELD_MASK)]
        return masks[0] if masks else None


_UNNAMED: Final = (None, "", 0)
"""What a field holds that a body left alone: naming nothing is no contradiction."""


def _path_field(variable: Variable, template: Template, descriptor: Descriptor) -> _PathField:
    """Return the variable with its decoder; it must lead to one scalar of the request."""
    field: FieldDescriptor | None = None
    kind: Descriptor | None = descriptor
    for name in variable.path:
        field = kind.fields_by_name.get(name) if kind else None
        if field is None or field.is_repeated:
            raise TemplateError(f"path template {template.text!r} binds {'.'.join(variable.path)!r}, which is no single field")
        kind = field.message_type
    if field is None or kind is not None:
        raise TemplateError(f"path template {template.text!r} binds {'.'.join(variable.path)!r}, which is a message")
    return _PathField(variable, scalars.text_decoder(field), rivals(field))


def _body_field(binding: Binding, method: Method) -> FieldDescriptor | None:
    if not binding.body:
        return None
    if binding.http_method in _WITHOUT_BODY:
        raise TemplateError(f"{method.full_name} has a body in a {binding.http_method}")
    if binding.body == WHOLE:
        return None
    field = method.input.fields_by_name.get(binding.body)
    if field is None:
        raise TemplateError(f"{method.full_name} takes its body into {binding.body!r}, which is no field")
    return field


def _cookies(contract: Contract, descriptor: Descriptor) -> list[tuple[str, Cookie]]:
    found = ((field.name, contract.cookie(field)) for field in descriptor.fields)
    return [(name, cookie) for name, cookie in found if cookie]


def _is(field: FieldDescriptor, full_name: str) -> bool:
    return field.message_type is not None and field.message_type.full_name == full_name and not field.is_repeated


def _is_object(field: FieldDescriptor) -> bool:
    return field.message_type is not None and not field.is_repeated and not kinds.is_one_value(field.message_type)


def _has_etag(descriptor: Descriptor) -> bool:
    field = descriptor.fields_by_name.get("etag")
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


def _get(tree: Tree, path: Path) -> Any:
    value: Any = tree
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _put(tree: Tree, path: Path, value: Any) -> None:
    *parents, last = path
    for name in parents:
        inner = tree.get(name)
        if inner is None:
            inner = tree[name] = {}
        tree = inner
    tree[last] = value
