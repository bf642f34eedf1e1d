"""Schedule expressions: what EventBridge Scheduler takes, and when a plain one fires."""

from __future__ import annotations

from datetime import time

import pytest

from coldtable.core.expression import check_expression, daily_time
from coldtable.errors import ParameterInvalid


@pytest.mark.parametrize(
    "text",
    [
        "cron(0 4 * * ? *)",
        "cron(0/15 8-17 ? * MON-FRI *)",
        "cron(0 4 L * ? 2026-2030)",
        "cron(0 4 15W * ? *)",
        "cron(0 4 ? JAN,jul 6#3 *)",
        "cron(0 4 ? * 6L *)",
        "rate(1 day)",
        "rate(12 hours)",
        "at(2026-11-01T04:00:00)",
    ],
)
def test_good_expressions(text: str) -> None:
    """Every form of AWS's documentation passes unchanged."""
    assert check_expression(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 4 * * ? *", "is not cron(...), rate(...) or at(...)"),
        ("cron(0 4 * * ?)", "has 5 fields"),
        ("cron(0 4 * * * *)", "must have '?'"),
        ("cron(0 4 ? * ? *)", "must have '?'"),
        ("cron(60 4 * * ? *)", "'60' as minute"),
        ("cron(0 24 * * ? *)", "'24' as hour"),
        ("cron(0 4 32 * ? *)", "'32' as day of month"),
        ("cron(0 4 * FOO ? *)", "'FOO' as month"),
        ("cron(0 4 ? * 0 *)", "'0' as day of week"),
        ("cron(0 4 * * ? 1969)", "'1969' as year"),
        ("cron(0/0 4 * * ? *)", "'0/0' as minute"),
        ("cron(1-2-3 4 * * ? *)", "'1-2-3' as minute"),
        ("rate(0 days)", "is not like rate(12 hours)"),
        ("rate(5 weeks)", "is not like rate(12 hours)"),
        ("at(2026-11-01 04:00)", "is not like at(2026-11-01T04:00:00)"),
        ("at(2026-02-30T04:00:00)", "is not like at(2026-11-01T04:00:00)"),
        ("rate(1 day)" + " " * 300, "is not cron(...), rate(...) or at(...)"),
    ],
)
def test_bad_expressions(text: str, words: str) -> None:
    """What AWS would refuse in the middle of the stack's creation is refused before, by name."""
    with pytest.raises(ParameterInvalid) as caught:
        check_expression(text)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cron(0 4 * * ? *)", time(4)),
        ("cron(30 23 1 * ? *)", time(23, 30)),
        ("cron(0 4,16 * * ? *)", None),
        ("cron(*/5 4 * * ? *)", None),
        ("rate(1 day)", None),
    ],
)
def test_daily_time(text: str, expected: time | None) -> None:
    """One minute of one hour is a time of day; anything else is not just one."""
    assert daily_time(text) == expected
