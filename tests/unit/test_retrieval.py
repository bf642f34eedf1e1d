"""What S3 must bring back before a plan can read: told, asked for, and nothing more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coldtable.cli.app import main
from coldtable.cli.context import Context
from coldtable.cli.retrieval import Retrieval
from coldtable.core.retrieval import Asked, Need, Tier, need_of
from coldtable.errors import AccessDenied, Archived, NotCovered, Retrieving
from coldtable.model_restore import Copy, Stored, Way
from coldtable.ops.archive import find_exports
from coldtable.ops.retrieve import Gate, Notes, ask
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from tests.unit.archiving import HOURS, Cold, stored


def test_a_warm_archive_is_not_looked_at() -> None:
    """Where the listing shows nothing but STANDARD, nothing is listed again or asked for."""
    here = Cold()
    here.retriever.objects = None  # type: ignore[assignment, method-assign]
    assert here.plan().need == Need()


def test_only_cold_folders_are_listed_again() -> None:
    """The folder that all increments share may hold a million objects: it is listed once more only
    if the listing has shown another class in it."""
    here = Cold()
    base = {k for k in here.freeze("/data/") if not k.startswith("AWSDynamoDB/data/")}
    for key in set(here.storage) - base:
        del here.storage[key]
    assert {one.key for one in here.refused().archived} == base
    assert not any(prefix.startswith("AWSDynamoDB/data") for prefix in here.retriever.listed)


@pytest.mark.parametrize("way", [Way.IMPORT, Way.WRITE])
def test_both_ways_stop(way: Way) -> None:
    """ImportTable reads archived objects no more than we do: either way is refused before anything
    is read of them or written."""
    here = Cold()
    keys = here.freeze("/data/")
    need = here.refused(way=way)
    assert {one.key for one in need.archived} == set(keys)
    assert not here.notes


def test_only_what_the_plan_reads() -> None:
    """A restore to the full export's moment needs no increment, however cold; one to the window's
    end needs both."""
    here = Cold()
    every = set(here.freeze("/data/"))
    shared = {key for key in every if key.startswith("AWSDynamoDB/data/")}
    assert {one.key for one in here.refused(at=NOON).archived} == every - shared
    assert not any(prefix.startswith("AWSDynamoDB/data") for prefix in here.retriever.listed)
    assert {one.key for one in here.refused().archived} == every


def test_it_comes_back() -> None:
    """Asked for, it is not there yet: an error of its own that can be tried again. Then the very
    same plan goes on, and knows how long the copies stay."""
    here = Cold()
    keys = here.freeze("/data/")
    here.wake(here.refused())
    assert {asked[0] for asked in here.retriever.asked} == set(keys)
    with pytest.raises(Retrieving) as caught:
        here.plan()
    assert caught.value.retryable
    assert not caught.value.need.archived
    here.retriever.pass_time(13 * HOURS)
    report = here.restore()
    assert report.plan.need.until
    assert len(report.plan.need.copied) == len(keys)
    # A copy that goes while it is read is no damage.
    here.retriever.pass_time(timedelta(days=8))
    assert len(here.refused(to="other").archived) == len(keys)


def test_asking_goes_on_where_it_was() -> None:
    """Broken off half way, the rest is asked for, and what was asked for is not asked again."""
    here = Cold()
    keys = here.freeze("/data/")
    need = here.refused()
    here.wake(need_of(need.archived[:2]))
    rest = here.refused()
    assert (len(rest.archived), len(rest.coming)) == (len(keys) - 2, 2)
    here.wake(rest)
    assert len(here.retriever.asked) == len(keys)


def test_what_intelligent_tiering_archived() -> None:
    """A listing says INTELLIGENT_TIERING and no more: each such object that is needed is looked at,
    and only those that it has archived are asked for."""
    here = Cold()
    warm = here.freeze("/data/", "INTELLIGENT_TIERING")
    cold = here.freeze(warm[0], "DEEP_ARCHIVE_ACCESS")
    need = here.refused()
    assert [one.key for one in need.archived] == cold
    assert set(here.retriever.looked) == set(warm)
    here.wake(need)
    here.retriever.pass_time(13 * HOURS)
    assert here.plan().need == Need()


def test_fees_are_told() -> None:
    """What is read at once and charged by the GB stands in the plan."""
    here = Cold()
    keys = here.freeze("/data/", "GLACIER_IR")
    (lot,) = here.plan().need.fees
    assert (lot.storage, lot.objects) == ("GLACIER_IR", len(keys))


def test_lists_come_first() -> None:
    """An archived list of files is asked for with all of a full export's data; what an increment
    reads is only known when its list is back."""
    here = Cold()
    lists = here.freeze("manifest-files.")
    data = here.freeze("/data/")
    need = here.refused()
    assert need.more
    asked = {one.key for one in need.archived}
    assert set(lists) < asked
    shared = {key for key in data if key.startswith("AWSDynamoDB/data/")}
    assert asked == {*lists, *data} - shared
    here.wake(need)
    here.retriever.pass_time(13 * HOURS)
    need = here.refused()
    assert {one.key for one in need.archived} == shared
    assert not need.more


def test_manifests_that_nobody_can_read() -> None:
    """A summary that is archived is of a table and a time that nobody knows. It stands in the way
    where nothing else covers the instant, or where it may be newer than the newest; else not."""
    here = Cold()
    summaries = sorted(key for key in here.objects if key.endswith("manifest-summary.json"))
    here.freeze(summaries[1].rpartition("/")[0])
    assert [u.archived for u in find_exports(here.bucket_fake).unreadable] == [True]
    need = here.refused()
    assert need.of == "manifests"
    assert {one.key.rpartition("/")[2].partition(".")[0] for one in need.archived} == {
        "manifest-summary",
        "manifest-files",
    }
    assert here.plan(at=NOON).source.moment == NOON
    here.refused(at=NOON + HOURS)
    with pytest.raises(NotCovered):
        Cold().plan(at=NOON + HOURS / 2)
    # The older one is archived instead: the newest is known to be newer.
    here = Cold()
    here.archive.full(NOON + 2 * HOURS, [b'{"Item":{"pk":{"S":"p"}}}'])
    here.freeze(summaries[0].rpartition("/")[0])
    assert here.plan().source.moment == NOON + 2 * HOURS


# The command's part


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--retrieve-days 3", "--retrieve-days goes with --retrieve"),
        ("--retrieve bulk --retrieve-days 0", "--retrieve-days must be at least 1"),
        ("--retrieve soon", "soon"),
    ],
)
def test_wrong_words(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    """Before AWS is asked for anything."""
    for command in (
        "restore orders --at latest --to copy",
        "materialize orders --at latest --to f",
    ):
        with pytest.raises(SystemExit) as caught:
            main([*command.split(), *words.split()])
        assert caught.value.code == 2
        assert said in capsys.readouterr().err


def retrieval(here: Cold, asked: Asked | None, **changes: Any) -> Retrieval:
    notes = Notes(store=FakeObjects(here.notes, piece=100), prefix="", table="orders")
    made = Retrieval(
        context=Context(), schema="s", retriever=here.retriever, notes=notes, asked=asked, yes=True
    )
    return replace(made, **changes)


BULK = Asked(tier=Tier.BULK)


def test_asked_by_a_command() -> None:
    """It asks, notes when it should be there and ends with that; asked by nobody, it only says
    so; when all is there, it is the plan."""
    here = Cold()
    here.freeze("/data/")
    with pytest.raises(Archived) as caught:
        retrieval(here, None).plan(here.plan)
    assert not isinstance(caught.value, Retrieving)
    assert retrieval(here, BULK, yes=False).plan(here.plan) is None
    assert not here.retriever.asked
    with pytest.raises(Retrieving, match="not yet ready, ready about 20"):
        retrieval(here, BULK).plan(here.plan)
    assert here.retriever.asked
    with pytest.raises(Retrieving, match="not yet ready, ready about 20"):
        retrieval(here, None).plan(here.plan)
    here.retriever.pass_time(13 * HOURS)
    assert retrieval(here, None).plan(here.plan) is not None


def test_a_note_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever may not write is told so, and the copies are asked for all the same: later nobody
    can say when they are there, but how long it takes at the most."""

    class ReadOnly(FakeObjects):
        def put(self, key: str, body: bytes) -> None:  # noqa: ARG002
            raise AccessDenied("no", action="s3:PutObject")

    here = Cold()
    here.freeze("/data/")
    notes = Notes(store=ReadOnly({}), prefix="", table="orders")
    with pytest.raises(Retrieving, match="within 48 hours of when it was asked for"):
        retrieval(here, BULK, notes=notes).plan(here.plan)
    assert here.retriever.asked
    assert "could not be noted" in capsys.readouterr().err


def test_copies_that_go_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """A copy that goes within a day is asked to stay, if that is allowed; else it is said."""
    here = Cold()
    keys = here.freeze("/data/")
    here.retriever.now = datetime.now(UTC)
    ask(here.retriever, here.refused().archived, replace(BULK, days=1), lambda _: None)
    here.retriever.pass_time(13 * HOURS)
    need = here.plan().need
    here.retriever.asked.clear()
    retrieval(here, None).keep(replace(need, copied=tuple(soon(one) for one in need.copied)))
    assert not here.retriever.asked
    assert "with --retrieve and --yes they stay longer" in capsys.readouterr().err
    retrieval(here, BULK).keep(replace(need, copied=tuple(soon(one) for one in need.copied)))
    assert {key for key, _, _ in here.retriever.asked} == set(keys)
    retrieval(here, BULK).keep(Need())


def soon(found: Stored) -> Stored:
    return found._replace(copy=Copy(datetime.now(UTC) + HOURS))


# What is noted


def test_when_it_is_there_is_noted() -> None:
    """The note says when the slowest of all that was asked for should be there."""
    notes = Notes(store=FakeObjects({}, piece=100), prefix="p/", table="arn:aws:x:table/orders")
    assert notes.key == "p/coldtable/v1/retrieval/orders.json"
    assert notes.ready() is None
    cold = need_of([stored("DEEP_ARCHIVE")])
    notes.write(cold, Asked(tier=Tier.BULK), NOON)
    assert notes.ready() == NOON + 48 * HOURS
    # More is asked for, faster, while the first is still coming.
    both = need_of([stored("GLACIER"), stored("DEEP_ARCHIVE", copy=Copy())])
    notes.write(both, Asked(tier=Tier.STANDARD), NOON + HOURS)
    assert notes.ready() == NOON + 48 * HOURS
    notes.write(need_of([stored("GLACIER")]), Asked(tier=Tier.STANDARD), NOON + HOURS)
    assert notes.ready() == NOON + 6 * HOURS


def test_a_folder_archives_nothing() -> None:
    """Without a retriever (a folder on a disk) everything can be read."""
    here = Cold()
    here.freeze("/data/")
    archive = find_exports(here.bucket_fake)
    assert Gate(store=here.bucket_fake, archive=archive).admit(archive.exports) == Need()
