"""The prefix template: the four fields, and nothing else."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from coldtable.core.prefix import DEFAULT_TEMPLATE, check_template, render_prefix
from coldtable.errors import ParameterInvalid

MOMENT = datetime(2026, 11, 1, 3, 4, 5, tzinfo=ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize(
    ("template", "prefix"),
    [
        (DEFAULT_TEMPLATE, "2026/11/01/orders"),
        ("{table}/{date:%Y-%m-%d}T{date:%H%M%S}", "orders/2026-11-01T030405"),
        ("{account}/{region}/{table}/", "123456789012/eu-north-1/orders"),
        ("fixed", "fixed"),
        ("", ""),
    ],
)
def test_the_four_fields(template: str, prefix: str) -> None:
    """A template may hold date, table, account and region; its trailing slash goes."""
    found = render_prefix(
        check_template(template),
        moment=MOMENT,
        table="orders",
        account="123456789012",
        region="eu-north-1",
    )
    assert found == prefix


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{name}", "unknown field {name}"),
        ("{}", "unknown field {}"),
        ("{0}", "unknown field {0}"),
        ("{table.__class__}", "unknown field {table.__class__}"),
        ("{date.year}", "unknown field {date.year}"),
        ("{table!r}", "conversion"),
        ("{table:>10000000}", "the format '>10000000' on {table}"),
        ("{date:%A}", "the format '%A' on {date}"),
        ("{date:%Y{table}}", "the format"),
        ("{table", "not a template"),
        ("a}b", "not a template"),
        ("/a", "leading or a double slash"),
        ("a//b", "leading or a double slash"),
        ("a/../b", "'..'"),
        ("a\nb", "not safe"),
        ("{date:%Y\n}", "not safe"),
        ("ü", "not safe"),
    ],
)
def test_what_a_template_may_not_hold(template: str, said: str) -> None:
    """Anything else is refused before it is used, and the error says what."""
    with pytest.raises(ParameterInvalid) as caught:
        check_template(template)
    assert said in caught.value.message


def test_a_prefix_that_leaves_no_room_for_keys() -> None:
    """An S3 key holds 1024 characters; a prefix that eats them is an error, not a failed export."""
    with pytest.raises(ParameterInvalid, match="over 924"):
        render_prefix("{table}" * 10, moment=MOMENT, table="t" * 255, account="1", region="r")
