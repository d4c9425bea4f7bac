"""ID-11: two tabs get one successor, a thief ends the session, a forged token does nothing to it."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.identity.sessions import rules
from services.identity.sessions.refresh_tokens import RefreshToken
from services.identity.sessions.rules import Decision, Family, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = secrets.token_bytes(32)


@dataclass
class Row:
    """A family as the database would keep it, with the writes that follow each verdict."""

    first: RefreshToken = field(default_factory=lambda: RefreshToken.first(secrets.token_bytes(16)))
    now: datetime = START
    family: Family = field(init=False)

    def __post_init__(self) -> None:
        self.family = Family(
            generation=0,
            secret_hash=self.first.secret_hash(),
            rotate_time=self.now,
            replays=0,
            idle_expire_time=self.now + rules.IDLE,
            expire_time=self.now + rules.ABSOLUTE,
            ended=False,
        )

    def show(self, token: RefreshToken, after: timedelta = timedelta(0)) -> Decision:
        self.now += after
        decision = rules.decide(token, self.family, KEY, self.now)
        if decision.verdict is Verdict.ROTATE:
            assert decision.token is not None
            self.family = replace(
                self.family,
                generation=decision.token.generation,
                secret_hash=decision.token.secret_hash(),
                rotate_time=self.now,
                replays=0,
                idle_expire_time=rules.idle_end(self.now, self.family.expire_time),
            )
        elif decision.verdict is Verdict.REPLAY:
            self.family = replace(self.family, replays=self.family.replays + 1)
        elif decision.verdict is Verdict.REUSED:
            self.family = replace(self.family, ended=True)
        return decision


def test_sixteen_uses_of_one_token_at_once_rotate_once_and_all_get_the_same_successor():
    row = Row()
    decisions = [row.show(row.first) for _ in range(16)]
    assert [each.verdict for each in decisions] == [Verdict.ROTATE] + [Verdict.REPLAY] * 15
    assert len({each.token for each in decisions}) == 1


def test_the_grace_ends_after_ten_seconds_and_after_twenty_replays():
    late = Row()
    late.show(late.first)
    assert late.show(late.first, after=rules.GRACE).verdict is Verdict.REPLAY
    assert late.show(late.first, after=timedelta(microseconds=1)).verdict is Verdict.REUSED
    often = Row()
    often.show(often.first)
    assert {often.show(often.first).verdict for _ in range(rules.MAX_REPLAYS)} == {Verdict.REPLAY}
    assert often.show(often.first).verdict is Verdict.REUSED


def test_a_thief_inside_the_grace_is_caught_when_the_next_of_the_two_comes():
    row = Row()
    mine = row.show(row.first).token
    stolen = row.show(row.first, after=timedelta(seconds=5)).token
    assert mine == stolen
    assert row.show(stolen, after=timedelta(minutes=10)).verdict is Verdict.ROTATE
    assert row.show(mine, after=timedelta(minutes=10)).verdict is Verdict.REUSED
    assert row.family.ended


def test_a_thief_who_comes_first_is_thrown_out_by_the_owner():
    row = Row()
    theirs = row.show(row.first).token
    assert row.show(row.first, after=timedelta(minutes=1)).verdict is Verdict.REUSED
    assert row.show(theirs).verdict is Verdict.REFUSED


def test_two_generations_back_is_reuse_even_inside_the_grace():
    row = Row()
    second = row.show(row.first).token
    row.show(second)
    assert row.show(row.first).verdict is Verdict.REUSED


@given(st.integers(0, 40), st.integers(-5, 45), st.binary(min_size=32, max_size=32))
def test_a_forged_secret_never_ends_the_session(rotations: int, generation: int, secret: bytes):
    row = Row()
    token = row.first
    for _ in range(rotations):
        token = row.show(token, after=timedelta(minutes=1)).token
    before = row.family
    verdict = row.show(RefreshToken(row.first.family, max(0, generation), secret)).verdict
    assert verdict in {Verdict.FORGED, Verdict.REFUSED}
    assert row.family == before


@given(st.integers(0, 30), st.data())
def test_every_rotated_token_outside_the_grace_is_known_as_ours_and_ends_the_session(rotations: int, data: st.DataObject):
    row = Row()
    chain = [row.first]
    for _ in range(rotations + 1):
        chain.append(row.show(chain[-1], after=timedelta(minutes=1)).token)
    old = data.draw(st.sampled_from(chain[:-1]))
    assert row.show(old, after=timedelta(seconds=11)).verdict is Verdict.REUSED


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 30)), max_size=30))
def test_however_tokens_are_shown_one_generation_has_one_token(steps: list[tuple[int, float]]):
    row = Row()
    known = {0: row.first}
    for back, seconds in steps:
        decision = row.show(known[max(0, max(known) - back)], after=timedelta(seconds=seconds))
        if decision.token is not None:
            assert known.setdefault(decision.token.generation, decision.token) == decision.token


def test_an_unused_session_ends_after_seven_days_and_every_session_after_thirty():
    idle = Row()
    assert idle.show(idle.first, after=rules.IDLE).verdict is Verdict.REFUSED
    used = Row()
    token = used.first
    for _ in range(29):
        token = used.show(token, after=timedelta(days=1)).token
    assert used.show(token, after=timedelta(days=1)).verdict is Verdict.REFUSED


def test_a_generation_too_far_back_costs_no_walk():
    row = Row()
    row.family = replace(row.family, generation=rules.MAX_BEHIND + 1)
    assert row.show(row.first).verdict is Verdict.REFUSED
    row.family = replace(row.family, generation=2**32 - 1)
    assert row.show(row.first).verdict is Verdict.REFUSED


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32))
def test_a_token_is_read_back_as_it_was_written(family: bytes, generation: int, secret: bytes):
    token = RefreshToken(family, generation, secret)
    assert RefreshToken.parse(token.text()) == token


@given(st.text(max_size=100))
def test_other_text_is_no_token(text: str):
    assert RefreshToken.parse(text) is None
    assert RefreshToken.parse("crt_" + text) is None


@given(st.integers(4, 78), st.characters(codec="ascii"))
def test_one_changed_character_is_no_token(position: int, character: str):
    text = RefreshToken.first(bytes(16)).text()
    changed = text[:position] + character + text[position + 1 :]
    assert changed == text or RefreshToken.parse(changed) is None


def test_a_longer_or_shorter_or_padded_text_is_no_token():
    text = RefreshToken.first(bytes(16)).text()
    assert all(RefreshToken.parse(other) is None for other in (text[:-1], text + "A", text + "=", " " + text, text + "\n"))
