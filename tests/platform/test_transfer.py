"""`kith import` and `kith export` from outside: the real commands, as a user, against the session's platform."""

import asyncio
import csv
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stack.wiring import Wiring
from tests import running
from tests.platform.signed_in import SignedIn

SECONDS = 300


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int | None
    out: str
    errors: str


Kith = Callable[..., Awaitable[Ended]]
Spawn = Callable[..., Awaitable[Process]]


@pytest.fixture
def spawn(platform: Wiring, owner: SignedIn, tmp_path: Path) -> Spawn:
    """Start `kith ...` as the owner, in a folder of its own."""
    signed_in = ("--data", str(platform.layout.data), "--email", owner.person.email)
    environment = {**os.environ, "KITH_PASSWORD": owner.person.password, "COLUMNS": "200"}

    async def start(*arguments: str, **more: str) -> Process:
        whose = () if "KITH_TOKEN" in more else signed_in
        return await asyncio.create_subprocess_exec(
            running.KITH, *arguments, *whose, cwd=tmp_path, env={**environment, **more}, stdout=PIPE, stderr=PIPE
        )

    return start


@pytest.fixture
def kith(spawn: Spawn) -> Kith:
    """`await kith("import", "people.csv")` runs the command to its end."""

    async def run(*arguments: str, **more: str) -> Ended:
        return await end(await spawn(*arguments, **more))

    return run


async def end(process: Process) -> Ended:
    out, errors = await asyncio.wait_for(process.communicate(), SECONDS)
    return Ended(process.returncode, out.decode(), errors.decode())


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def people(owner: SignedIn) -> list[str]:
    found = await owner.get("/v1/contacts", orderBy="display_name", pageSize=200)
    return [each["displayName"] for each in found["contacts"]]


async def test_a_file_is_looked_at_tried_and_run(kith: Kith, owner: SignedIn, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("First name;Nick;Email\nAnn;Annie;ann@example.com\nBob;Bobby;bob@example.com\n")
    tried = await kith("import", "people.csv", "--dry-run")
    assert (tried.code, await people(owner)) == (0, []), tried.errors
    for said in ("utf-8, semicolons", "given_name", "left out", "nothing was kept"):
        assert said in tried.out
    done = await kith("import", "people.csv", "--map", "Nick=family_name")
    assert (done.code, await people(owner)) == (0, ["Ann Annie", "Bob Bobby"]), done.errors
    again = json.loads((await kith("import", "people.csv", "--map", "Nick=family_name", "--duplicates", "update", "--json")).out)
    assert (again["import"]["state"], again["report"]["skippedCount"], again["errors"]) == ("IMPORT_STATE_SUCCEEDED", 2, None)
    states = [each["state"] for each in (await owner.get("/v1/imports"))["imports"]]
    assert sorted(states) == ["IMPORT_STATE_CANCELLED", "IMPORT_STATE_SUCCEEDED", "IMPORT_STATE_SUCCEEDED"]


async def test_a_file_is_read_as_somebody_says(kith: Kith, owner: SignedIn, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes("name\tЮлия\nemail\tz@example.com\n".encode("koi8-r"))
    read = ("--encoding", "koi8-r", "--delimiter", "tab", "--no-header")
    done = await kith("import", "people.csv", *read, "--map", "Column 1=given_name", "--map", "Column 2=family_name")
    assert (done.code, await people(owner)) == (0, ["email z@example.com", "name Юлия"]), done.errors
    for wrong in (("--encoding", "utf-8"), ("--encoding", "latin-0"), ("--delimiter", "::")):
        refused = await kith("import", "people.csv", *wrong)
        assert (refused.code, wrong[0].strip("-") in refused.errors) == (1, True), refused.errors
    ended = {each["state"] for each in (await owner.get("/v1/imports"))["imports"]}
    assert ended == {"IMPORT_STATE_SUCCEEDED", "IMPORT_STATE_CANCELLED"}


async def test_companies_of_contacts_are_created_when_asked_for(kith: Kith, owner: SignedIn, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("name,Company\nAnn,Acme\nBob,ACME\n")
    assert ((await kith("import", "people.csv", "--dry-run")).code, await people(owner)) == (1, [])
    done = await kith("import", "people.csv", "--create-companies")
    assert (done.code, "Companies created for contacts: 1." in done.out) == (0, True), done.errors
    (acme,) = (await owner.get("/v1/companies"))["companies"]
    assert {each["companyId"] for each in (await owner.get("/v1/contacts"))["contacts"]} == {acme["id"]}


async def test_rows_that_fail_are_written_beside_the_file(kith: Kith, owner: SignedIn, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("name,email\nAnn,ann@example.com\nBob,nowhere\n")
    done = await kith("import", "people.csv")
    assert (done.code, await people(owner)) == (1, ["Ann"])
    failed = list(csv.reader((tmp_path / "people.csv.errors.csv").read_text().splitlines()))
    assert [row[0] for row in failed] == ["line", "3"]
    nothing = await kith("import", "people.csv", "--mode", "all-or-nothing", "--duplicates", "create")
    assert (nothing.code, await people(owner)) == (1, ["Ann"])
    assert "the mode keeps all rows or none" in nothing.errors


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--map", "Nothing=title"], "has no column Nothing; it has name, email"),
        (["--map", "name"], "not of the form COLUMN=FIELD"),
        (["--map", "name=nothing"], "must be one of"),
        (["--kind", "company", "--map", "name=", "--map", "email="], "must name the field of one column"),
    ],
)
async def test_what_cannot_be_is_said_and_leaves_nothing(
    kith: Kith, owner: SignedIn, tmp_path: Path, arguments: list[str], why: str
) -> None:
    (tmp_path / "people.csv").write_text("name,email\nAnn,ann@example.com\n")
    refused = await kith("import", "people.csv", *arguments)
    assert (refused.code, why in refused.errors) == (1, True), refused.errors
    assert [each["state"] for each in (await owner.get("/v1/imports"))["imports"]] == ["IMPORT_STATE_CANCELLED"]


async def test_what_is_no_table_is_refused(kith: Kith, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(b"PK\x03\x04 and so on")
    refused = await kith("import", "people.csv")
    assert (refused.code, "a ZIP archive" in refused.errors) == (1, True)


async def test_ctrl_c_cancels_the_import_and_leaves_nothing(spawn: Spawn, owner: SignedIn, tmp_path: Path) -> None:
    rows = "".join(f"Person {number},p{number}@example.com\n" for number in range(40_000))
    (tmp_path / "people.csv").write_text("name,email\n" + rows)
    process = await spawn("import", "people.csv")
    async with asyncio.timeout(SECONDS):
        while not await runs(owner):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.05)
    process.send_signal(signal.SIGINT)
    ended = await end(process)
    assert (ended.code, "Cancelled; nothing of it is left." in ended.errors) == (130, True), ended.errors
    assert await people(owner) == []


async def runs(owner: SignedIn) -> bool:
    found: list[dict[str, Any]] = (await owner.get("/v1/imports"))["imports"]
    return any(each["state"] == "IMPORT_STATE_RUNNING" and each.get("report", {}).get("doneCount", 0) for each in found)


async def test_what_is_exported_can_be_imported(kith: Kith, owner: SignedIn, tmp_path: Path) -> None:
    phones = [{"number": "+49 30 123456", "label": "work"}]
    made = await owner.post("/v1/contacts", {"givenName": "Ann", "phones": phones, "emails": [{"address": "ann@example.com"}]})
    await owner.post("/v1/contacts", {"givenName": "Bob", "title": "Buyer"})
    done = await kith("export", "contact", "--filter", 'display_name = "ann"')
    assert done.code == 0, done.errors
    (file,) = files(tmp_path)
    assert (file.suffix, file.stat().st_mode & 0o777) == (".csv", 0o600)
    assert "is there already" in (await kith("export", "contact")).errors
    assert (await kith("import", file.name, "--duplicates", "create")).code == 0
    ann, again = (await owner.get("/v1/contacts", filter='display_name = "ann"'))["contacts"]
    assert {ann["id"], again["id"]} > {made["id"]}
    assert ann["phones"] == again["phones"]


async def test_an_export_goes_where_and_how_it_is_said(kith: Kith, owner: SignedIn, tmp_path: Path) -> None:
    await owner.post("/v1/companies", {"name": "Acme", "domain": "acme.example.com"})
    token = owner.person.headers["authorization"].removeprefix("Bearer ")
    url = str(owner.edge.base_url)
    said = await kith("export", "company", "--fields", "name,domain", "--format", "jsonl", "-o", "-", KITH_TOKEN=token, KITH_URL=url)
    assert json.loads(said.out) == {"name": "Acme", "domain": "acme.example.com"}
    assert (await kith("export", "company", "--fields", "name", "--format", "excel", "-o", "a.csv")).code == 0
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbfname\r\nAcme\r\n"
    refused = await kith("export", "company", "--fields", "nothing", "-o", "b.csv")
    assert (refused.code, "nothing is no field" in refused.errors) == (1, True)
    assert [file.name for file in files(tmp_path)] == ["a.csv"]


async def test_a_wrong_password_is_told(kith: Kith, owner: SignedIn) -> None:
    refused = await kith("export", "contact", "-o", "-", KITH_PASSWORD="not the right one")
    assert (refused.code, refused.out) == (1, "")
    assert "CREDENTIALS" in refused.errors
