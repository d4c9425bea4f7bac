"""The records that nobody else may see: few, made once, and looked for at the beginning of every round."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stack.canary.answers import Answer
from stack.canary.organisation import Organisation
from stack.canary.requests import Probe, creates, rpc, sweep
from stack.canary.samples import CONTACT, IMPORTS, SAMPLES, imported, named
from stack.contract_check.image import Image, Method

SHOWN: Final = 2  # records of each list that are asked for


@dataclass(frozen=True)
class Bait:
    """What must not be shown: the ids of the tenant and its owner, and those of records by the service whose lists hold them."""

    tenant: str
    owner: str
    ids: Mapping[str, Sequence[str]]

    @property
    def word(self) -> str:
        """Return a word that stands in the name of every record, and nowhere else in the world."""
        return f"bait{self.tenant.replace('-', '')}"

    @property
    def beginning(self) -> str:
        """Return what to search for: it finds the word, and where searches are written down it is not the word."""
        return self.word[:-1]

    def of(self, method: Method) -> Sequence[str]:
        """Return the ids that an RPC may be about: its own service's, or all where that has no lists."""
        return self.ids.get(_service(method)) or self._all()

    def shown_by(self, answer: Answer, asked: Probe) -> list[str]:
        """Return the ids that an answer gives away. What was asked with may be repeated, but not as a record or as a granted path."""
        if answer.is_yes and (granted := [each for each in self._all() if each in asked.path]):
            return granted
        records = set(_ids(answer.said))
        shown = [each for each in self._all() if each in answer.text and (each in records or each not in asked.text)]
        named = self.word in answer.text and self.word not in asked.text
        return shown or ([self.tenant] if named else [])

    def _all(self) -> list[str]:
        return [self.tenant, self.owner, *(identifier for ids in self.ids.values() for identifier in ids)]


class Keeper:
    """Looks after the bait with the calls that any client has."""

    def __init__(self, organisation: Organisation, image: Image) -> None:
        self._organisation = organisation
        self._image = image
        self._lists = [method for method in image.methods if method.name.startswith("List") and sweep(image, method, "")]

    async def bait(self) -> Bait:
        """Return the bait; what was never made, or is gone, is made. Raise UnansweredError."""
        bait = await self._look()
        return await self._look() if await self._make(bait) else bait

    async def touch(self, bait: Bait, mark: str) -> None:
        """Change a record, so that there is something to hear for whoever listens. Raise UnansweredError."""
        create = creates(self._image, CONTACT)
        contact = bait.ids[_service(create)][0]
        await self._organisation.ask("PATCH", f"{create.bindings[0].path}/{contact}", json=named(CONTACT, f"{bait.word} {mark}"))

    async def _look(self) -> Bait:
        ids = {_service(method): await self._listed(method) for method in self._lists}
        own = self._organisation.me
        return Bait(own["tenant"]["id"], own["user"]["id"], ids)

    async def _listed(self, method: Method) -> list[str]:
        asked = sweep(self._image, method, "")
        return list(_ids(await self._organisation.ask(asked.verb, asked.path, params=asked.query)))[:SHOWN] if asked else []

    async def _make(self, bait: Bait) -> bool:
        """Make what there is none of; say whether there was anything."""
        missing = [kind for kind in SAMPLES if not bait.ids[_service(creates(self._image, kind))]]
        for kind in missing:
            await self._organisation.ask("POST", creates(self._image, kind).bindings[0].path, json=named(kind, bait.word))
        if bait.ids[IMPORTS]:
            return bool(missing)
        made = await self._organisation.ask("POST", "/v1/imports:upload", **imported(bait.word))
        await self._organisation.ask("POST", f"/v1/imports/{made['id']}:start", json={})
        return True


def _service(method: Method) -> str:
    return rpc(method).partition("/")[0]


def _ids(said: Any) -> Iterator[str]:
    """Yield the id of every record in an answer, at any depth."""
    if isinstance(said, list):
        for each in said:
            yield from _ids(each)
    elif isinstance(said, dict):
        if isinstance(said.get("id"), str):
            yield said["id"]
        for each in said.values():
            yield from _ids(each)
