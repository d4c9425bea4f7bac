"""Files that are imported while processes die, and what must have become of each."""

import csv
import io
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.load import Kept, Writer, good

RUNNING: Final = frozenset({"IMPORT_STATE_VALIDATING", "IMPORT_STATE_RUNNING", "IMPORT_STATE_CANCELLING"})
ROWS: Final = 2_500  # some steps of staging, and of applying
BAD: Final = "bad"  # no email address
BETWEEN: Final = 500  # rows from one bad one to the next
UNUSED: Final = "x" * 300  # a cell that is left out, so that the file is read in several pieces


@dataclass
class File:
    """The rows of one import, into an organisation of its own; `bad` are the places of those that must fail."""

    writer: Writer
    mode: str
    bad: frozenset[int]
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    id: str = ""

    @classmethod
    def row_tolerant(cls, writer: Writer) -> "File":
        """Return a file of which some rows fail, each for itself."""
        return cls(writer, "IMPORT_MODE_ROWS", frozenset(range(BETWEEN, ROWS, BETWEEN)))

    @classmethod
    def whole(cls, writer: Writer) -> "File":
        """Return a file that is kept as a whole."""
        return cls(writer, "IMPORT_MODE_ALL", frozenset())

    @classmethod
    def spoilt(cls, writer: Writer) -> "File":
        """Return a file of which nothing is kept, since its last row fails."""
        return cls(writer, "IMPORT_MODE_ALL", frozenset({ROWS - 1}))

    @property
    def names(self) -> Counter[str]:
        """The people that must be there at the end, each once."""
        if self.mode == "IMPORT_MODE_ALL" and self.bad:
            return Counter()
        return Counter(self._name(number) for number in range(ROWS) if number not in self.bad)

    async def upload(self) -> None:
        """Register the organisation and upload the file, once the edge reaches the service again."""
        await self.writer.register()
        await self.writer.listed()
        query = {"kind": "RECORD_KIND_CONTACT", "fileName": "people.csv"}
        bearer = {"authorization": f"Bearer {self.writer.token}", "content-type": "text/csv"}
        answer = await self.writer.edge.post("/v1/imports:upload", params=query, content=self._content(), headers=bearer)
        self.id = good(answer)["id"]

    async def start(self) -> None:
        """Start the import."""
        good(
            await self.writer.insist(
                "POST", f"/v1/imports/{self.id}:start", json={"mode": self.mode, "fields": ["given_name", "emails", ""]}
            )
        )

    async def now(self) -> Mapping[str, Any]:
        """Return the import as it is now."""
        found: Mapping[str, Any] = good(await self.writer.insist("GET", f"/v1/imports/{self.id}"))
        return found

    async def came_out_right(self) -> None:
        """Compare state, counts, failed rows and records with the file, and note the records as what was acknowledged."""
        ended = await self.now()
        kept = self.mode == "IMPORT_MODE_ROWS" or not self.bad
        assert ended["state"] == ("IMPORT_STATE_SUCCEEDED" if kept else "IMPORT_STATE_FAILED"), ended
        report = ended["report"]
        counts = [int(report.get(name, 0)) for name in ("doneCount", "createdCount", "updatedCount", "skippedCount", "failedCount")]
        assert (ended["rowCount"], counts) == (ROWS, [ROWS, ROWS - len(self.bad), 0, 0, len(self.bad)])
        answer = await self.writer.insist("GET", f"/v1/imports/{self.id}/errors")
        assert answer.is_success, answer.text
        _, *failed = csv.reader(io.StringIO(answer.text, newline=""))
        assert [row[2] for row in failed] == [self._name(number) for number in sorted(self.bad)]
        if kept:
            changes = good(await self.writer.insist("GET", f"/v1/changeSets/{ended['changeSetId']}"))
            assert (changes["state"], changes["changeCount"]) == ("CHANGE_SET_STATE_APPLIED", len(self.names))
        else:
            assert not ended.get("changeSetId")
        found = await self.writer.listed()
        assert Counter(name for name, _ in found.values()) == self.names
        self.writer.contacts = [Kept(record_id, name) for record_id, (name, _) in found.items()]

    def _content(self) -> bytes:
        rows = (f"{self._name(number)},{self._address(number)},{UNUSED}\n" for number in range(ROWS))
        return ("First name,Email,Unused\n" + "".join(rows)).encode()

    def _name(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    def _address(self, number: int) -> str:
        return BAD if number in self.bad else f"{self._name(number)}@example.com"
