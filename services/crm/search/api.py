"""SearchService: message in, message out."""

from collections.abc import Callable

from chassis import pages
from chassis.database import unit_of_work
from chassis.errors import raise_for
from chassis.interceptors.chain import Context
from kith.crm.v1.search_pb2 import SearchField, SearchRequest, SearchResponse, SearchResult, Suggestion, SuggestRequest, SuggestResponse
from kith.crm.v1.search_pb2_grpc import SearchServiceServicer
from services.crm.search import rules
from services.crm.search.actions import Box, Searched


class SearchService(SearchServiceServicer):
    """Finds records of every noun; `heard` is told of each search once its answer is known, and neither waits nor fails."""

    def __init__(self, box: Box, heard: Callable[[Searched], None]) -> None:
        self._box = box
        self._heard = heard

    async def Search(self, request: SearchRequest, context: Context) -> SearchResponse:
        """Return the best records for a query."""
        raise_for(rules.check(request.query))
        size = pages.size(request.page_size)
        async with unit_of_work() as work:
            hits = await self._box.find(work, request.query, request.kinds, most=rules.SEARCHED, size=size)
        if kinds := self._box.kinds(work.caller, request.kinds):
            self._heard(Searched(work.tenant_id, work.caller.id, request.query, kinds, bool(hits)))
        return SearchResponse(
            results=(
                SearchResult(
                    kind=hit.kind,
                    id=hit.id,
                    title=hit.entry.title,
                    subtitle=hit.entry.subtitle,
                    matched_field=SearchField.ValueType(hit.field),
                )
                for hit in hits.values()
            )
        )

    async def Suggest(self, request: SuggestRequest, context: Context) -> SuggestResponse:
        """Return a few records while a query is typed."""
        raise_for(rules.check(request.query))
        async with unit_of_work() as work:
            hits = await self._box.find(work, request.query, request.kinds, most=rules.SUGGESTED_FROM, size=rules.LOOKED_AT)
        best = {(hit.kind, hit.entry.title): hit for hit in reversed(hits.values())}
        kept = [hit for hit in hits.values() if best[hit.kind, hit.entry.title] is hit][: rules.SUGGESTIONS]
        return SuggestResponse(suggestions=(Suggestion(kind=hit.kind, id=hit.id, title=hit.entry.title) for hit in kept))
