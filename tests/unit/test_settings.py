"""From parameters to settings: every rule of the README's table, and every error."""

from __future__ import annotations

from datetime import time

import pytest

from coldtable.core.settings import parse_path, parse_settings
from coldtable.errors import ConfigError, ParameterInvalid, ParameterMissing

PATH = "/test/stg/infra"
PLAIN = {
    "BACKUP_BUCKET_NAME": "archive-bucket",
    "BACKUP_DAY_STR": "0",
    "BACKUP_HOUR_STR": "3",
    "BACKUP_MINUTE_STR": "30",
    "BACKUP_SECOND_STR": "15",
    "TEST_TABLE_NAME": "orders",
}


def test_the_six_parameters_are_enough() -> None:
    """With the six plain parameters the rest takes its documented defaults."""
    found = parse_settings(PATH, PLAIN)
    assert found.bucket == "archive-bucket"
    assert found.tables == ("orders",)
    assert found.rule.day is None
    assert found.rule.at == time(3, 30, 15)
    assert found.rule.zone.key == "Asia/Tokyo"
    assert found.prefix_template == "{date:%Y/%m/%d}/{table}"


def test_the_plural_wins() -> None:
    """TABLE_NAMES wins over TEST_TABLE_NAME; spaces, empty parts and repeats are dropped."""
    found = parse_settings(PATH, {**PLAIN, "TABLE_NAMES": " users,orders ,,users"})
    assert found.tables == ("users", "orders")


@pytest.mark.parametrize("text", ["0", "00", "*", "", "daily", "every day", " 0 "])
def test_zero_or_no_number_is_every_day(text: str) -> None:
    """BACKUP_DAY_STR of 0, or anything that is not a number, means every day."""
    assert parse_settings(PATH, {**PLAIN, "BACKUP_DAY_STR": text}).rule.day is None


@pytest.mark.parametrize(("text", "day"), [("1", 1), ("31", 31), ("07", 7), (" 15 ", 15)])
def test_a_number_is_that_day(text: str, day: int) -> None:
    """1 to 31 means that day of the month."""
    assert parse_settings(PATH, {**PLAIN, "BACKUP_DAY_STR": text}).rule.day == day


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BACKUP_DAY_STR", "32", "'32' is not a day of the month"),
        ("BACKUP_DAY_STR", "-1", "'-1' is not a day of the month"),
        ("BACKUP_DAY_STR", "1.5", "'1.5' is not a day of the month"),
        ("BACKUP_HOUR_STR", "24", "'24' is not a whole number from 0 to 23"),
        ("BACKUP_HOUR_STR", "three", "'three' is not a whole number from 0 to 23"),
        ("BACKUP_HOUR_STR", "", "'' is not a whole number from 0 to 23"),
        ("BACKUP_MINUTE_STR", "60", "'60' is not a whole number from 0 to 59"),
        ("BACKUP_SECOND_STR", "-5", "'-5' is not a whole number from 0 to 59"),
        ("BACKUP_SECOND_STR", "1.0", "'1.0' is not a whole number from 0 to 59"),
        ("TIMEZONE", "Tokyo", "'Tokyo' is not an IANA time zone"),
        ("TIMEZONE", "../etc/passwd", "'../etc/passwd' is not an IANA time zone"),
        ("TIMEZONE", "America", "'America' is not an IANA time zone"),
        ("TIMEZONE", "", "'' is not an IANA time zone"),
        ("BACKUP_BUCKET_NAME", "Archive", "'Archive' cannot be a bucket name"),
        ("BACKUP_BUCKET_NAME", "s3://x", "'s3://x' cannot be a bucket name"),
        ("TEST_TABLE_NAME", "my table", "'my table' cannot be a table name"),
        ("TABLE_NAMES", " , ", "names no table"),
        ("S3_PREFIX_TEMPLATE", "{date}/{id}", "the unknown field {id}"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str, said: str) -> None:
    """The error has the parameter's full name and the value that cannot be used."""
    with pytest.raises(ParameterInvalid) as caught:
        parse_settings(PATH, {**PLAIN, name: value})
    assert f"{PATH}/{name}" in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", PLAIN)
def test_a_missing_parameter_is_named_and_never_a_default(name: str) -> None:
    """Each of the six without a default is an error with its name and path."""
    rest = {k: v for k, v in PLAIN.items() if k != name}
    with pytest.raises(ParameterMissing) as caught:
        parse_settings(PATH, rest)
    wanted = "TABLE_NAMES" if name == "TEST_TABLE_NAME" else name
    assert f"{PATH}/{wanted} does not exist" in caught.value.message
    assert caught.value.exit_code == 10


def test_all_problems_come_at_once() -> None:
    """Whoever has three mistakes hears of three."""
    rest = {k: v for k, v in PLAIN.items() if k != "BACKUP_BUCKET_NAME"}
    with pytest.raises(ConfigError) as caught:
        parse_settings(PATH, {**rest, "BACKUP_HOUR_STR": "99", "TIMEZONE": "Mars"})
    for part in ("BACKUP_BUCKET_NAME does not exist", "'99'", "'Mars'", "3 parameters"):
        assert part in caught.value.message


@pytest.mark.parametrize("text", ["/coldtable/prod", "/test/stg/infra/", " /a ", "/a.b/c-d_e"])
def test_a_path_loses_its_trailing_slash(text: str) -> None:
    """A path is taken with and without a slash at its end."""
    assert parse_path(text) == text.strip().rstrip("/")


@pytest.mark.parametrize(
    "text", ["", "/", "coldtable", "//a", "/a b", "/aws/x", "/SSM/x", "/a/../é"]
)
def test_what_cannot_be_a_path(text: str) -> None:
    """A path that SSM would refuse is refused here, with an example."""
    with pytest.raises(ParameterInvalid):
        parse_path(text)
