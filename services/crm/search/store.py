"""Tokens of records: class tenant. The only statements that look for beginnings of words.

Under row-level security only comparisons that cannot leak use an index: a beginning is the range from itself to itself with the
last character behind it.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Index,
    PrimaryKeyConstraint,
    Select,
    SmallInteger,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    lateral,
    literal,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.selectable import LateralFromClause

from chassis.database import Query, Row, UnitOfWork, tenant_table
from services.crm.search.rules import IN_NAME, VERSION, WHOLE, Entry, Field
from services.crm.store import METADATA

BEHIND: Final = "\U0010ffff"
"""The last character there is; it stands in no word."""

COUNTED: Final = 12_000
"""Tokens that are counted of all words together, to begin with the rarest."""

AT_ONCE: Final = 25
"""Tokens that are read in their order in the time that it takes to ask one record at a random place of the table."""

FEW: Final = 200
"""Candidates that are looked at first when all words are frequent: as a rule they fill the page."""

SPACE: Final = " "
"""It stands in no token, either."""

MET: Final = 20_000
"""Records of each of two frequent words, the latest, among which those with both are looked for."""

search_tokens: Final = tenant_table(
    "search_tokens",
    METADATA,
    Column("kind", Text(collation="C"), nullable=False),
    Column("token", Text(collation="C"), nullable=False),
    Column("entity_id", Uuid(as_uuid=False), nullable=False),
    Column("field", SmallInteger, nullable=False),
    Column("version", SmallInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "entity_id", "token", postgresql_include=["field"]),
    Index("search_tokens_token", "tenant_id", "kind", "token", "entity_id", postgresql_include=["field"]),
)
_T: Final = search_tokens.c
_COLUMNS: Final = ("kind", "token", "entity_id", "field")


class Found(NamedTuple):
    """A record that has all words."""

    kind: str
    id: str


class Word(NamedTuple):
    """A word of a query, and how many tokens begin with it, counted up to a limit."""

    text: str
    hits: int


def _texts(name: str) -> Any:
    return bindparam(name, type_=ARRAY(Text(collation="C")))


def _number(name: str) -> Any:
    return bindparam(name, type_=BigInteger())


_kinds: Final = func.unnest(_texts("kinds")).table_valued("kind").render_derived("kinds")
_words: Final = (
    func.unnest(_texts("words"), _texts("ends")).table_valued("word", "beyond", with_ordinality="number").render_derived("words")
)
_word: Final = bindparam("word", type_=_T.token.type)
_beyond: Final = bindparam("beyond", type_=_T.token.type)


def _counts() -> Select[Any]:
    """Return how many tokens begin with each word, counting no further than to a limit."""
    own = (_T.kind == func.any(_texts("kinds")), _T.token >= _words.c.word, _T.token < _words.c.beyond)
    some = select(literal(1).label("one")).select_from(search_tokens).where(*own).limit(_number("counted")).correlate(_words).subquery()
    hits = select(func.count().label("hits")).select_from(some).correlate(_words).lateral("hits")
    return select(hits.c.hits).select_from(_words.join(hits, true())).order_by(_words.c.number)


def _points(is_whole: ColumnElement[bool]) -> ColumnElement[int]:
    return case((is_whole, WHOLE), else_=0) + case((_T.field == Field.NAME, IN_NAME), else_=0)


def _hits(meeting: ColumnElement[Any] | None, most: str = "most") -> LateralFromClause:
    """Return the records of a kind with a word, at most so many of them; those that have another one too as a whole word come first."""
    hit = (_kinds.c.kind, _T.entity_id, _points(_T.token == _word).label("points"))
    own = _T.kind == _kinds.c.kind
    whole = select(*hit).where(own, _T.token == _word).order_by(_T.entity_id.desc())
    begun = select(*hit).where(own, _T.token > _word, _T.token < _beyond).order_by(_T.token)
    parts = [each.limit(_number(most)).correlate(_kinds) for each in (whole, begun)]
    if meeting is not None:
        parts.insert(0, _met(whole, select(_T.entity_id).where(own, _T.token == meeting).order_by(_T.entity_id.desc())))
    return lateral(union_all(*parts).limit(_number(most)), "hits")


def _met(one: Select[Any], other: Select[Any]) -> Select[Any]:
    """Return what two words have in common: both stand in the order of the records, so that they are read side by side."""
    left, right = (each.limit(literal_column(str(MET))).correlate(_kinds).subquery() for each in (one, other))
    both = select(*left.c).select_from(left.join(right, left.c.entity_id == right.c.entity_id))
    return both.order_by(left.c.entity_id.desc()).limit(_number("most"))


def _candidates(meeting: ColumnElement[Any] | None = None) -> Select[Any]:
    """Return the records with the rarest word, of each kind at most so many: those with the whole word first, the latest first."""
    hits = _hits(meeting)
    best = func.max(hits.c.points).label("points")
    return select(_kinds.c.kind, hits.c.entity_id, best).join_from(_kinds, hits, true()).group_by(_kinds.c.kind, hits.c.entity_id)


def _shared() -> Select[Any]:
    """Return the best of the records with the rarest word that have another one too; the tokens of both are read from end to end."""
    hits = _hits(None, "known")
    second, behind_second = (bindparam(name, type_=_T.token.type) for name in ("second", "beyond_second"))
    own = (_T.kind == func.any(_texts("kinds")), _T.token >= second, _T.token < behind_second)
    # The offset keeps the planner from asking each record of the one for the other.
    both = hits.c.entity_id.in_(select(_T.entity_id).where(*own).offset(0))
    best = func.max(hits.c.points).label("points")
    found = select(_kinds.c.kind, hits.c.entity_id, best).join_from(_kinds, hits, true()).where(both)
    return found.group_by(_kinds.c.kind, hits.c.entity_id).order_by(best.desc(), hits.c.entity_id.desc()).limit(_number("most"))


def _ranked() -> Select[Any]:
    """Return the records with one word."""
    hits = _candidates().subquery("candidates")
    return select(hits.c.kind, hits.c.entity_id).order_by(hits.c.points.desc(), hits.c.entity_id.desc()).limit(_number("size"))


def _ranked_by_all(candidates: Select[Any]) -> Select[Any]:
    """Return the records with several words: each candidate is asked for all but the rarest one."""
    hits = candidates.cte("candidates")
    own = (_T.entity_id == hits.c.entity_id, _T.token >= _words.c.word, _T.token < _words.c.beyond)
    # The offset keeps the look-up by record: the planner would rather read all tokens that begin with the word.
    other = select(_points(_T.token == _words.c.word).label("points")).where(*own).offset(0).correlate(hits, _words).lateral("other")
    best = func.max(other.c.points).label("more")
    asked = (
        select(hits.c.kind, hits.c.entity_id, hits.c.points, best)
        .select_from(hits.join(_words, true()).join(other, true()))
        .group_by(hits.c.kind, hits.c.entity_id, hits.c.points, _words.c.number)
        .subquery("asked")
    )
    return (
        select(asked.c.kind, asked.c.entity_id)
        .group_by(asked.c.kind, asked.c.entity_id, asked.c.points)
        .having(func.count() == func.cardinality(_texts("words")))
        .order_by((asked.c.points + func.sum(asked.c.more)).desc(), asked.c.entity_id.desc())
        .limit(_number("size"))
    )


COUNTS: Final = Query(_counts())
RANKED: Final = Query(_ranked())
RANKED_BY_ALL: Final = Query(_ranked_by_all(_candidates()))
RANKED_BY_SHARED: Final = Query(_ranked_by_all(_shared()))
RANKED_BY_FREQUENT: Final = Query(_ranked_by_all(_candidates(bindparam("meeting", type_=_T.token.type))))
_records: Final = (
    func.unnest(bindparam("ids", type_=ARRAY(_T.entity_id.type)), _texts("tokens")).table_valued("id", "tokens").render_derived("records")
)
_given: Final = select(_records.c.id, func.unnest(func.string_to_array(_records.c.tokens, SPACE)).label("token")).subquery("given")
_ADD: Final = Query(
    search_tokens.insert().from_select(
        [*_COLUMNS, "version"],
        select(
            bindparam("kind", type_=_T.kind.type),
            func.substr(_given.c.token, 2),
            _given.c.id,
            func.left(_given.c.token, 1).cast(SmallInteger),
            literal(VERSION, SmallInteger),
        ),
    )
)
"""A record's tokens are one text, each behind the digit of its field: as rows of four arrays they were an eighth of an import's work."""
DROP: Final = Query(search_tokens.delete().where(_T.entity_id == func.any(bindparam("ids", type_=ARRAY(_T.entity_id.type)))))


async def find(work: UnitOfWork, kinds: Sequence[str], words: Sequence[str], *, most: int, size: int) -> list[Found]:
    """Return records that have all words, the best first.

    Of the rarest word at most so many tokens are looked at in each kind; with more than two words fewer, since each asks again.
    """
    rarest, *others = await _by_rarity(work, kinds, words)
    values: dict[str, Any] = {"kinds": list(kinds), "word": rarest.text, "beyond": rarest.text + BEHIND, "size": size}
    if not others:
        return _found(await work.all(RANKED, **values, most=most))
    values |= _ranges([each.text for each in others])
    return _found(await _find_all(work, rarest, others, values, most // len(others)))


async def _find_all(work: UnitOfWork, rarest: Word, others: Sequence[Word], values: dict[str, Any], most: int) -> list[Row]:
    """Return records with several words, by the way that touches the fewest places of the table.

    When all tokens of the two rarest words could be counted, their records are compared, unless it is quicker to ask those of the rarest.
    When these are many, the ones with two whole words come first, and few are looked at as long as these fill the page.
    """
    second, few = others[0], min(FEW, most)
    counted = COUNTED // (1 + len(others))
    if second.hits < min(counted, AT_ONCE * rarest.hits):
        both = {"second": second.text, "beyond_second": second.text + BEHIND}
        return await work.all(RANKED_BY_SHARED, **values, **both, known=counted, most=few if len(others) == 1 else most)
    if rarest.hits <= few:
        return await work.all(RANKED_BY_ALL, **values, most=most)
    rows = await work.all(RANKED_BY_FREQUENT, **values, meeting=second.text, most=few)
    if len(rows) < values["size"] and most > few:
        rows = await work.all(RANKED_BY_FREQUENT, **values, meeting=second.text, most=most)
    return rows


async def add(work: UnitOfWork, kind: str, entries: Iterable[tuple[str, Entry]]) -> None:
    """Keep the tokens of records, which have none so far."""
    tokens = {entity_id: SPACE.join([f"{field:d}{token}" for token, field in entry.tokens.items()]) for entity_id, entry in entries}
    if tokens:
        await work.send(_ADD, kind=kind, ids=list(tokens), tokens=list(tokens.values()))


async def drop(work: UnitOfWork, ids: Collection[str]) -> None:
    """Forget the tokens of records."""
    await work.send(DROP, ids=list(ids))


async def _by_rarity(work: UnitOfWork, kinds: Sequence[str], words: Sequence[str]) -> list[Word]:
    """Return the words, the rarest first; of those that all are frequent, the longest is taken for the rarest."""
    if len(words) == 1:
        return [Word(words[0], COUNTED)]
    rows = await work.all(COUNTS, kinds=list(kinds), counted=COUNTED // len(words), **_ranges(words))
    counted = (Word(word, row["hits"]) for word, row in zip(words, rows, strict=True))
    return sorted(counted, key=lambda word: (word.hits, -len(word.text)))


def _found(rows: Sequence[Row]) -> list[Found]:
    return [Found(row["kind"], row["entity_id"]) for row in rows]


def _ranges(words: Sequence[str]) -> dict[str, list[str]]:
    return {"words": list(words), "ends": [word + BEHIND for word in words]}
