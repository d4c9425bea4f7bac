"""ID-13: a key is known before it is used and after it was used."""

from datetime import UTC, datetime, timedelta

from services.identity.keys import rules
from services.identity.keys.rules import TIMES, Key, State, Use

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def key(state: State, age: timedelta, use: Use = Use.ACCESS) -> Key:
    return Key(kid=state, use=use, state=state, state_time=NOW - age)


def test_the_first_start_makes_keys():
    assert rules.rotation_due(Use.ACCESS, [], NOW)
    assert rules.rotation_due(Use.ACCESS, [key(State.ACTIVE, timedelta(0), Use.REFRESH)], NOW)


def test_a_key_serves_thirty_days():
    following = key(State.NEXT, timedelta(days=30))
    assert not rules.rotation_due(Use.ACCESS, [following, key(State.ACTIVE, timedelta(days=29))], NOW)
    assert rules.rotation_due(Use.ACCESS, [following, key(State.ACTIVE, timedelta(days=30))], NOW)


def test_a_successor_is_published_a_day_before_its_use():
    old = key(State.ACTIVE, timedelta(days=90))
    assert not rules.rotation_due(Use.ACCESS, [old, key(State.NEXT, timedelta(hours=23))], NOW)
    assert rules.rotation_due(Use.ACCESS, [old, key(State.NEXT, timedelta(hours=24))], NOW)


def test_a_retiring_key_outlives_what_was_made_with_it():
    assert TIMES[Use.ACCESS].retiring > rules.ACCESS_TTL
    assert TIMES[Use.REFRESH].retiring > rules.REFRESH_END
    for use, times in TIMES.items():
        assert not rules.gone(key(State.RETIRING, times.retiring - timedelta(seconds=1), use), NOW)
        assert rules.gone(key(State.RETIRING, times.retiring, use), NOW)


def test_only_a_retiring_key_goes():
    assert not rules.gone(key(State.ACTIVE, timedelta(days=400)), NOW)
    assert not rules.gone(key(State.NEXT, timedelta(days=400)), NOW)
