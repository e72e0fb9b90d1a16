from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.errors import InvalidError
from clawstate.stores.auth.settings import HOUR, Cooldowns
from clawstate.stores.auth.usage import (
    REASONS,
    UNUSED,
    Usage,
    after_failure,
    after_use,
    cooldown,
    disablement,
    read_usage,
    rests_until,
    write_usage,
)

NOW = 1_800_000_000.0
DEFAULT = Cooldowns()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *("lastUsed", "cooldownUntil", "disabledUntil", "disabledReason"),
        *("errorCount", "failureCounts", "lastFailureAt", "zebra"),
    ]
)


def fail(usage, *reasons, now=NOW, provider="openai", cooldowns=DEFAULT):
    for reason in reasons:
        usage = after_failure(usage, reason, now, provider=provider, cooldowns=cooldowns)
    return usage


def until(usage, now=NOW, provider="openai"):
    return rests_until(usage, now, provider=provider, cooldowns=DEFAULT)


@pytest.mark.parametrize(
    ("errors", "minutes"), [(-1, 1), (0, 1), (1, 1), (2, 5), (3, 25), (4, 60), (5, 60), (9**9, 60)]
)
def test_rests_grow_fivefold_up_to_an_hour(errors, minutes) -> None:
    """The first failure costs a minute, further ones 5, 25 and 60."""
    assert cooldown(errors) == minutes * 60


@pytest.mark.parametrize(
    ("failures", "hours"), [(0, 5), (1, 5), (2, 10), (3, 20), (4, 24), (50, 24)]
)
def test_disablements_double_up_to_a_day(failures, hours) -> None:
    """A failure of billing costs 5 hours, then twice as many, at most 24."""
    assert disablement(failures, provider="openai", cooldowns=DEFAULT) == hours * HOUR


def test_providers_have_disablements_of_their_own() -> None:
    """The configuration may give a provider, by any of its names, another first disablement."""
    own = Cooldowns(billing_by_provider={" Z.AI": 2 * HOUR}, billing_max=3 * HOUR)

    assert disablement(1, provider="zai", cooldowns=own) == 2 * HOUR
    assert disablement(2, provider="zai", cooldowns=own) == 3 * HOUR
    assert disablement(1, provider="openai", cooldowns=own) == 5 * HOUR


@pytest.mark.parametrize("reason", sorted(set(REASONS) - {"billing", "auth_permanent"}))
def test_what_passes_cools_down(reason) -> None:
    """A failure that may pass opens the short window, and counts by its reason."""
    found = fail(UNUSED, reason)

    assert found == Usage(
        error_count=1, failure_counts={reason: 1}, last_failure_at=NOW, cooldown_until=NOW + 60
    )


@pytest.mark.parametrize("reason", ["billing", "auth_permanent"])
def test_what_must_be_mended_disables(reason) -> None:
    """A failure that somebody must mend opens the long window, and says why."""
    found = fail(UNUSED, reason)

    assert (found.disabled_until, found.disabled_reason) == (NOW + 5 * HOUR, reason)
    assert found.cooldown_until is None


def test_an_open_window_is_not_moved() -> None:
    """Failures while a profile rests count, but do not make it rest longer."""
    found = fail(fail(UNUSED, "timeout"), "timeout", "rate_limit", now=NOW + 30)

    assert found.cooldown_until == NOW + 60
    assert found.error_count == 3
    assert found.failure_counts == {"timeout": 2, "rate_limit": 1}
    assert fail(found, "timeout", now=NOW + 60).cooldown_until == NOW + 60 + HOUR


def test_failures_far_apart_do_not_add_up() -> None:
    """A failure after the failure window is a first one again."""
    found = fail(UNUSED, "timeout", "timeout", "billing")

    assert fail(found, "timeout", now=NOW + 24 * HOUR).error_count == 4
    assert fail(found, "timeout", now=NOW + 24 * HOUR + 1).error_count == 1
    assert fail(found, "timeout", now=NOW + 24 * HOUR + 1).failure_counts == {"timeout": 1}


def test_a_success_ends_everything() -> None:
    """After a success there are no windows and no counts; the last failure is remembered."""
    found = after_use(fail(UNUSED, "timeout", "billing"), NOW + 5)

    assert found == Usage(last_used=NOW + 5, last_failure_at=NOW)
    assert until(found) is None


def test_a_router_never_rests() -> None:
    """Profiles of OpenRouter take part whatever happened."""
    failed = fail(UNUSED, "billing")

    assert fail(UNUSED, "billing", provider="OpenRouter") == UNUSED
    assert until(failed, provider=" OpenRouter ") is None


def test_an_unknown_reason_is_refused() -> None:
    """A reason that is none is an error for every provider, and does not show it."""
    for provider in ("openai", "openrouter"):
        with pytest.raises(InvalidError, match="rate_limit"):
            fail(UNUSED, "bad mood", provider=provider)


def test_the_longer_window_counts() -> None:
    """A profile rests until the later of its windows ends, and not at that very moment."""
    found = fail(UNUSED, "timeout", "billing")

    assert until(found) == NOW + 5 * HOUR
    assert until(found, now=NOW + 5 * HOUR - 0.001) == NOW + 5 * HOUR
    assert until(found, now=NOW + 5 * HOUR) is None


@pytest.mark.parametrize("jump", [365 * 24 * HOUR, 10 * 365 * 24 * HOUR])
def test_a_clock_that_is_set_back_locks_nobody_out(jump) -> None:
    """A window that ends later than a failure of now could have set it is over."""
    ahead = fail(UNUSED, "timeout", "billing", now=NOW + jump)

    assert until(ahead) is None
    again = fail(ahead, "timeout", "billing")
    assert (again.cooldown_until, again.disabled_until) == (NOW + 60 * 5**0, NOW + 5 * HOUR)
    assert again.error_count == 2


@given(
    moments=st.lists(
        st.tuples(st.sampled_from(REASONS), st.floats(0, 4e9)), min_size=1, max_size=8
    ),
    now=st.floats(0, 4e9),
)
def test_no_rest_is_eternal(moments, now) -> None:
    """However the clock jumps, nobody rests longer than the longest rest."""
    usage = UNUSED
    for reason, moment in moments:
        usage = fail(usage, reason, now=moment)

    end = until(usage, now=now)

    assert end is None or now < end <= now + 24 * HOUR + 1


@given(record=JSON | st.dictionaries(FIELDS, JSON, max_size=8), now=st.floats(0, 4e9))
def test_any_record_can_be_counted_on(record, now) -> None:
    """Whatever usage says, it is read, changed and written without an unknown error."""
    usage = read_usage(record)

    changed = write_usage(fail(usage, "timeout", now=now), old=record)

    assert read_usage(changed).error_count >= 1
    assert write_usage(usage, old=record) == (record if isinstance(record, dict) else {})


def test_unknown_members_of_usage_stay() -> None:
    """Members that are not known, and strange values, stay where they are."""
    record = {"zebra": [1], "lastUsed": "never", "errorCount": 2}

    found = write_usage(fail(read_usage(record), "timeout"), old=record)

    assert list(found)[:3] == ["zebra", "lastUsed", "errorCount"]
    assert (found["zebra"], found["lastUsed"], found["errorCount"]) == ([1], "never", 3)
    assert found["cooldownUntil"] == 1_800_000_000_000 + 25 * 60_000
