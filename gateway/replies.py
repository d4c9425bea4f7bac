"""Answers: a message as JSON or raw bytes, with the headers and cookies that the contract gives it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.json import kinds
from chassis.json.encoders import Encoders
from gateway import browser, media
from gateway.contract import Binding, Contract, Method
from gateway.problems import Header, Problem
from gateway.templates import TemplateError
from kith.common.v1.exports_pb2 import Download

PUBLIC: Final[tuple[Header, ...]] = (browser.API_POLICY, (b"cache-control", b"public, max-age=3600"))
"""The key set may be kept for an hour: a new key is published a day before its use (reference/identity.md 3.2)."""


@dataclass(slots=True)
class Reply:
    """A whole answer. `policy` says what a browser may do with it and who may keep it."""

    status: int
    body: bytes
    headers: list[Header] = field(default_factory=list)
    policy: tuple[Header, ...] = browser.API


class BrokenOff(Exception):
    """An answer cannot be completed whose beginning was sent already."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


@dataclass(slots=True)
class Stream:
    """An answer that comes in pieces."""

    chunks: AsyncGenerator[bytes, None]
    headers: list[Header]


@dataclass(slots=True, kw_only=True)
class LiveStream(Stream):
    """A stream that lasts: `leave` is called at its end, `cut` breaks it off, `code` is what a WebSocket is closed with."""

    leave: Callable[[], None]
    cut: asyncio.Event
    code: Callable[[], int]


class ReplyEncoder:
    """Turns the answer of one binding's RPC into a reply."""

    def __init__(self, method: Method, binding: Binding, contract: Contract, encoders: Encoders) -> None:
        self._new = contract.message_class(method.output)
        self._part = _part(method, binding)
        shown = method.output if self._part is None else self._part.message_type
        self._raw = shown is not None and shown.full_name == kinds.HTTP_BODY
        self._encode = encoders.message(method.output) if self._part is None else encoders.field(self._part)
        cookies = ((each, contract.cookie(each)) for each in method.output.fields)
        self._cookies = tuple((each.name, each.json_name, cookie) for each, cookie in cookies if cookie)
        self._clears = browser.clear_cookie(method.policy.clears_cookie) if method.policy.clears_cookie else None
        self._has_etag = _has_etag(method.output)
        self._policy = PUBLIC if method.policy.key_set else browser.API

    @property
    def raw(self) -> bool:
        """Say whether the answer is an HttpBody, which goes out as it is."""
        return self._raw

    @property
    def touches_cookies(self) -> bool:
        """Say whether the answer sets or clears a cookie in a browser."""
        return bool(self._cookies) or self._clears is not None

    @property
    def takes_json(self) -> bool:
        """Say whether a service may write the JSON of an answer: nothing is to be taken out of the message here."""
        return self._part is None and not self._raw and not self.touches_cookies

    def of_json(self, answer: bytes, etag: str) -> Reply:
        """Return the reply of an answer that the service wrote as JSON, with the etag of what it holds, if any."""
        headers: list[Header] = [(b"etag", etag.encode())] if etag else []
        headers.append((b"content-type", media.JSON))
        return Reply(200, answer, headers, self._policy)

    def reply(self, answer: bytes, *, to_page: bool) -> Reply:
        """Return the reply of an answer; a page of ours gets secrets as cookies, where its scripts cannot read them."""
        message = self._new.FromString(answer)
        headers: list[Header] = []
        if self._has_etag and (etag := message.etag):  # type: ignore[attr-defined]
            headers.append((b"etag", etag.encode()))
        if self._raw:
            part = self._shown(message)
            return Reply(200, part.data, headers + raw_headers(part), self._policy)
        value = self._encoded(message)
        if to_page:
            headers += self._set_cookies(message, value)
        headers.append((b"content-type", media.JSON))
        return Reply(200, orjson.dumps(value), headers, self._policy)

    def json(self, answer: bytes) -> bytes:
        """Return one message of a stream as JSON."""
        return orjson.dumps(self._encoded(self._new.FromString(answer)))

    def http_body(self, answer: bytes) -> Any:
        """Return the HttpBody of one message of a stream."""
        return self._shown(self._new.FromString(answer))

    def _shown(self, message: Message) -> Any:
        return message if self._part is None else getattr(message, self._part.name)

    def _encoded(self, message: Message) -> Any:
        value = self._shown(message)
        return self._encode(value) if self._encode else value

    def _set_cookies(self, message: Message, value: Any) -> list[Header]:
        """Move secrets from the answer into cookies."""
        found = [] if self._clears is None else [self._clears]
        for name, json_name, cookie in self._cookies:
            value.pop(json_name, None)
            secret = getattr(message, name)
            if secret:
                found.append(browser.set_cookie(cookie, secret))
        return found


def raw_headers(body: Any) -> list[Header]:
    """Return what an HttpBody says of itself: its type, and the name by which it is kept where it is a download."""
    packed = (each.value for each in body.extensions if each.type_url.rpartition("/")[2] == Download.DESCRIPTOR.full_name)
    names = [(b"content-disposition", media.attachment(Download.FromString(value).file_name)) for value in packed]
    return [(b"content-type", media.of_raw(body.content_type)), *names]


def _part(method: Method, binding: Binding) -> FieldDescriptor | None:
    """Return the field that `response_body` shows, None for the whole message."""
    if not binding.response_body:
        return None
    found = method.output.fields_by_name.get(binding.response_body)
    if found is None:
        raise TemplateError(f"{method.full_name} answers with {binding.response_body!r}, which is no field")
    return found


def _has_etag(descriptor: Descriptor) -> bool:
    found = descriptor.fields_by_name.get("etag")
    return found is not None and found.type == FieldDescriptor.TYPE_STRING and not found.is_repeated
