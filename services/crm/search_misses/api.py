"""SearchMissService: message in, message out."""

from google.protobuf.empty_pb2 import Empty

from chassis import ids
from chassis.database import UnitOfWork, unit_of_work
from chassis.errors import NotFound, Reason
from chassis.interceptors.chain import Context
from chassis.listing import Ask
from kith.crm.v1.search_misses_pb2 import (
    DeleteSearchMissRequest,
    ListSearchMissesRequest,
    ListSearchMissesResponse,
    PurgeSearchMissesRequest,
    PurgeSearchMissesResponse,
    SearchMiss,
)
from kith.crm.v1.search_misses_pb2_grpc import SearchMissServiceServicer
from services.crm.search.actions import Box
from services.crm.search.rules import SUGGESTED_FROM
from services.crm.search_misses import store


class SearchMissService(SearchMissServiceServicer):
    """Reports what people searched for and did not find."""

    def __init__(self, box: Box) -> None:
        self._box = box

    async def ListSearchMisses(self, request: ListSearchMissesRequest, context: Context) -> ListSearchMissesResponse:
        """Return one page, each entry with what a search for it finds today."""
        async with unit_of_work() as work:
            page = await store.LISTING.page(work, Ask.of(request))
            misses = [store.message(row) for row in page.rows]
            for miss in misses:
                miss.found_now = await self._finds(work, miss)
        return ListSearchMissesResponse(search_misses=misses, next_page_token=page.next_page_token)

    async def DeleteSearchMiss(self, request: DeleteSearchMissRequest, context: Context) -> Empty:
        """Take one entry out of the report."""
        async with unit_of_work() as work:
            miss = await store.STORE.lock(work, ids.parse(request.id))
            if miss is None:
                raise NotFound(Reason.NOT_FOUND, "no such search miss", resource="search_miss")
            await work.check_etag(miss.id, miss.etag, request.etag)
            await store.STORE.delete(work, miss.id)
            return work.answer(Empty())

    async def PurgeSearchMisses(self, request: PurgeSearchMissesRequest, context: Context) -> PurgeSearchMissesResponse:
        """Empty the report."""
        async with unit_of_work() as work:
            return work.answer(PurgeSearchMissesResponse(purged_count=await store.clear(work)))

    async def _finds(self, work: UnitOfWork, miss: SearchMiss) -> bool:
        return bool(await self._box.find(work, miss.query, miss.kinds, most=SUGGESTED_FROM, size=1))
