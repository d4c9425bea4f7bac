"""Imports as clients of the REST API live them (CRM-30): upload, start, progress, what is found afterwards, the way back, fair turns."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from tests.gateway.live import events
from tests.platform.conftest import SignUp
from tests.platform.signed_in import SignedIn

HEADER = "First name,Last name,Email,Phone\n"
PEOPLE = 40
LONG = 12_000
PIECE = 700  # bytes: rows and characters are cut anywhere
SECONDS = 300
ENDED = {f"IMPORT_STATE_{state}" for state in ("READY", "SUCCEEDED", "FAILED", "CANCELLED")}

Record = dict[str, Any]


def row(number: int) -> str:
    return f"Zoë{number:02},Müller,zoe{number:02}@example.com,+44 20 7946 {number:04}\n"


async def upload(owner: SignedIn, rows: Iterable[str], piece: int = PIECE) -> Record:
    """Send a file as a body of unknown length."""
    content = (HEADER + "".join(rows)).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), piece):
            yield content[start : start + piece]

    query = {"kind": "RECORD_KIND_CONTACT", "fileName": "people.csv"}
    answer = await owner.call("POST", "/v1/imports:upload", params=query, content=pieces(), headers={"content-type": "text/csv"})
    assert answer.status_code == 200, answer.text
    uploaded: Record = answer.json()
    assert uploaded["size"] == str(len(content))
    return uploaded


async def start(owner: SignedIn, rows: Iterable[str], piece: int = PIECE, **how: Any) -> str:
    uploaded = await upload(owner, rows, piece)
    started = await owner.post(f"/v1/imports/{uploaded['id']}:start", how)
    assert started["state"] == "IMPORT_STATE_RUNNING"
    return str(uploaded["id"])


async def ended(owner: SignedIn, path: str, states: set[str]) -> Record:
    """Ask until a long work has ended."""
    async with asyncio.timeout(SECONDS):
        while (now := await owner.get(path))["state"] not in states:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.05)
    found: Record = now
    return found


async def run(owner: SignedIn, rows: Iterable[str], **how: Any) -> Record:
    return await ended(owner, f"/v1/imports/{await start(owner, rows, **how)}", ENDED)


def moment(record: Record) -> datetime:
    """Return when a record was changed last."""
    return datetime.fromisoformat(record["updateTime"])


def counts(report: Record) -> dict[str, int]:
    names = {name: report[f"{name}Count"] for name in ("done", "created", "updated", "skipped", "failed")}
    return {name: count for name, count in names.items() if count}


async def names(owner: SignedIn) -> list[str]:
    listed = await owner.get("/v1/contacts", orderBy="display_name", pageSize=200)
    return [each["displayName"] for each in listed["contacts"]]


async def found(owner: SignedIn, query: str) -> list[str]:
    return [each["title"] for each in (await owner.get("/v1/search", query=query))["results"]]


async def test_what_a_file_brings_is_listed_and_found_and_goes_again(owner: SignedIn) -> None:
    everybody = [f"Zoë{number:02} Müller" for number in range(PEOPLE)]
    backwards = [row(number) for number in reversed(range(PEOPLE))]
    done = await run(owner, [*backwards, "Bob,,nowhere,\n"])
    assert (done["state"], done["rowCount"], counts(done["report"])) == (
        "IMPORT_STATE_SUCCEEDED", PEOPLE + 1, {"done": PEOPLE + 1, "created": PEOPLE, "failed": 1},
    )  # fmt: skip
    assert await names(owner) == everybody
    for query in ("zoe07", "mull zoë07", "ZOE07@example", "2079460007", "9460007", "0007"):
        assert await found(owner, query) == ["Zoë07 Müller"], query
    errors = await owner.call("GET", f"/v1/imports/{done['id']}/errors")
    header, failed = csv.reader(io.StringIO(errors.text))
    assert (header, failed[0], failed[2:]) == (
        ["line", "problem", "First name", "Last name", "Email", "Phone"], str(PEOPLE + 2), ["Bob", "", "nowhere", ""],
    )  # fmt: skip
    again = await run(owner, backwards, duplicates="IMPORT_DUPLICATES_SKIP")
    assert (counts(again["report"]), await names(owner)) == ({"done": PEOPLE, "skipped": PEOPLE}, everybody)
    await owner.post(f"/v1/changeSets/{done['changeSetId']}:revert", {})
    undone = await ended(owner, f"/v1/changeSets/{done['changeSetId']}", {"CHANGE_SET_STATE_REVERTED"})
    assert (undone["changeCount"], undone["revertedCount"], undone["keptCount"]) == (PEOPLE, PEOPLE, 0)
    assert await names(owner) == []
    for query in ("zoe07", "müller", "zoe07@example.com", "0007"):
        assert await found(owner, query) == [], query


async def test_the_live_stream_tells_of_an_import_and_of_each_record(owner: SignedIn) -> None:
    async with events(owner.edge, owner.person.headers) as reader:
        import_id = await start(owner, map(row, range(PEOPLE)))
        told: list[Record] = []
        while not told or told[-1]["resource"].get("state") not in ENDED - {"IMPORT_STATE_READY"}:
            told.append(await reader.data())
            assert told[-1]["type"] != "resync"
        told += [await reader.data() for _ in range(PEOPLE - sum(each["type"] == "crm.contact.created.v1" for each in told))]
    steps = [each["resource"] for each in told if each["type"] == "crm.import.updated.v1"]
    assert {each["id"] for each in steps} == {import_id}
    assert [int(each["etag"].strip('"')) for each in steps] == list(range(2, len(steps) + 2))
    assert [steps[0]["state"], steps[-1]["state"]] == ["IMPORT_STATE_READY", "IMPORT_STATE_SUCCEEDED"]
    assert steps[-2]["state"] == "IMPORT_STATE_RUNNING"
    assert counts(steps[-2]["report"]) == counts(steps[-1]["report"]) == {"done": PEOPLE, "created": PEOPLE}
    assert steps[-1] == {"@type": "type.googleapis.com/kith.crm.v1.Import", **await owner.get(f"/v1/imports/{import_id}")}
    made = {each["resource"]["displayName"] for each in told if each["type"] == "crm.contact.created.v1"}
    assert sorted(made) == await names(owner)


async def test_a_long_import_holds_up_nobody_but_its_own_organisation(owner: SignedIn, sign_up: SignUp) -> None:
    """Looks at the times that the service wrote down: an import may go far until a busy test has looked once more."""
    other = await sign_up()
    rows = (f"Person,{number},p{number}@example.com,\n" for number in range(LONG))
    (long, behind), small = [await upload(owner, each, 100_000) for each in (rows, [row(1)])], await upload(other, [row(2)])
    for who, uploaded in ((owner, long), (owner, behind), (other, small)):
        await who.post(f"/v1/imports/{uploaded['id']}:start", {})
    last = await ended(owner, f"/v1/imports/{behind['id']}", ENDED)
    quick = await ended(other, f"/v1/imports/{small['id']}", ENDED)
    first = await owner.get(f"/v1/imports/{long['id']}")
    assert (counts(quick["report"]), await names(other)) == ({"done": 1, "created": 1}, ["Zoë02 Müller"])
    assert moment(quick) < moment(first), "the long import held up another organisation, or was too short for this test"
    (made,) = (await owner.get("/v1/contacts", filter='display_name = "zoe01*"'))["contacts"]
    assert moment(made) > moment(first)
    assert (first["state"], counts(first["report"])) == ("IMPORT_STATE_SUCCEEDED", {"done": LONG, "created": LONG})
    assert (last["state"], counts(last["report"])) == ("IMPORT_STATE_SUCCEEDED", {"done": 1, "created": 1})
