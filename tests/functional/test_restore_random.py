"""Random pasts of a table, restored both ways and reverted, by runs that are killed at random."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from coldtable.cli.archive import open_archive
from coldtable.cli.context import Context
from coldtable.cli.restore import restore_windows
from coldtable.core.records import ROOT
from coldtable.errors import ConfigError
from coldtable.local.process import EmbeddedAws
from coldtable.model_restore import Compare, Way
from coldtable.ops.restore import RestoreReport, restore_table
from coldtable.ops.restore_plan import RestoreWish, plan_table
from coldtable.ops.restore_windows import RestoreWindows
from coldtable.ops.revert import Fate, RevertWish, revert_window
from tests.unit.dying import Death, Killed, Life

from .conftest import until
from .past import (
    BARE,
    FURNISHED,
    WRITES,
    Lifetime,
    Past,
    Point,
    Step,
    Write,
    lifetimes,
    plainly,
    schema,
)
from .proxy import proxied
from .test_restore import begun

pytestmark = pytest.mark.functional
NUMBER = "100000900001"
_NAMES = itertools.count(1)

# Where a run may be killed: everything that it does, and some of what it asks.
ALWAYS = ["scratch.put", "scratch.put_stream", "scratch.remove", "scratch.remove_many",
          "tables.ask", "tables.state", "reader.scan", "store.read"]  # fmt: skip
CALLS = {
    Way.WRITE: [*ALWAYS, *["tables.ask", "writer.put_all"] * 3],
    Way.IMPORT: [*ALWAYS, *["importer.start", "importer.find", "importer.describe"] * 2],
}


def deaths(way: Way) -> st.SearchStrategy[list[Death]]:
    death = st.builds(
        Death,
        call=st.sampled_from(CALLS[way]),
        number=st.sampled_from([0, 0, 0, 0, 1, 2]),
        after=st.booleans(),
        softly=st.booleans(),
    )
    return st.lists(death, min_size=1, max_size=3)


@pytest.fixture(scope="module")
def quick() -> Iterator[EmbeddedAws]:
    """An emulator whose exports and imports end at once."""
    options = ["--restorable-lag", "0", "--min-window", "0", "--export-seconds", "0.01"]
    with EmbeddedAws(options) as running:
        yield running


@pytest.fixture(scope="module")
def context(quick: EmbeddedAws) -> Context:
    """A command's, as the account's root."""
    return Context(
        endpoint_url=quick.endpoint, region=quick.region, access_key=NUMBER, secret_key="test",
        verbosity=-1,
    )  # fmt: skip


class Scene:
    """A past, where its archive lies now, and where restores keep what they need on their way."""

    def __init__(self, past: Past, context: Context, folder: Path, where: str, aside: bool) -> None:
        self.past = past
        self.context = context
        self.archive = {
            "here": f"s3://{past.bucket}",
            "copied": f"s3://elsewhere-{past.name}/old/exports",
            "folder": str(folder),
        }[where]
        if where != "here":
            self._copy(folder, where)
        self.scratch = f"s3://aside-{past.name}/some/where" if aside else None
        if aside:
            past.s3.create_bucket(Bucket=f"aside-{past.name}")
        place = open_archive(context, self.archive)
        self.aside = open_archive(context, self.scratch) if self.scratch else place
        windows = restore_windows(context, place, self.scratch)
        # What is waited for here ends at once.
        self.windows = replace(windows, pause=lambda _: time.sleep(0.002))
        self.place = place
        self.before = self.objects()

    def _copy(self, folder: Path, where: str) -> None:
        past, to = self.past, f"elsewhere-{self.past.name}"
        if where == "folder":
            past.copy(folder)
            return
        past.s3.create_bucket(Bucket=to)
        for key in listed(past, past.bucket):
            source = {"Bucket": past.bucket, "Key": key}
            past.s3.copy_object(Bucket=to, Key=f"old/exports/{key}", CopySource=source)

    def objects(self) -> dict[str, Any]:
        """The archive's, but for what restores wrote: what tells each from a changed one."""
        bucket, folder, prefix = self.place.open.bucket, self.place.open.folder, self.place.prefix
        found: dict[str, Any]
        if folder:
            files = [path for path in folder.rglob("*") if path.is_file()]
            found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
        else:
            found = listed(self.past, bucket or "")
        own = (f"{prefix}{ROOT}/restore/", f"{prefix}{ROOT}/scratch/")
        return {key: tag for key, tag in found.items() if not key.startswith(own)}

    def left(self) -> list[str]:
        """What lies in the scratch place, but for checkpoints."""
        place = f"{self.aside.prefix}{ROOT}/scratch/"
        return list(self.aside.store.keys(place))


def listed(here: Past, bucket: str) -> dict[str, Any]:
    """The keys of a bucket with their ETags."""
    pages = here.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {found["Key"]: found["ETag"] for page in pages for found in page.get("Contents", [])}


def run(wish: RestoreWish, windows: RestoreWindows) -> RestoreReport:
    """What the command does with --yes."""
    return restore_table(plan_table(wish, windows), windows, lambda _: None)


def wish_for(scene: Scene, point: Point, way: Way, to: str, *, told: bool) -> RestoreWish:
    """The wish, with the key if it is told or the archive does not know it. To plan only reads."""
    wish = RestoreWish(
        table=scene.past.name, at=point.at, to=to, compare=Compare.FULL,
        # Where it applies the other one is taken by itself.
        way=way if way is Way.WRITE else None, key=point.key if told else None,
    )  # fmt: skip
    life = Life()
    try:
        plan = plan_table(wish, life.windows(scene.windows))
    except ConfigError:
        wish = replace(wish, key=point.key)
        plan = plan_table(wish, life.windows(scene.windows))
        # One attribute in any line of an increment is enough.
        assert point.key.sort or not sum(e.manifest.items for e in plan.source.increments)
    assert plan.way is way or scene.place.open.folder
    assert {name for name, _ in life.done} <= READS
    return wish


READS = {"store.entries", "store.keys", "store.read", "scratch.read", "tables.state",
         "tables.has_items", "importer.describe"}  # fmt: skip


@settings(max_examples=6, deadline=None, phases=[Phase.generate])
@given(data=st.data(), past=lifetimes("NEW_AND_OLD_IMAGES", "NEW_IMAGE"))
def test_a_killed_restore_ends_as_if_it_had_not_been(
    quick: EmbeddedAws, context: Context, past: list[Lifetime], data: st.DataObject
) -> None:
    """Whatever a table went through, wherever its archive was copied to, and wherever restores of
    it were killed: run again they end, with the very table of that instant; nothing was made or
    imported twice, nothing is left behind, and neither the archive nor the source has changed."""
    here = Past(aws=quick, number=NUMBER, name=f"past-{next(_NAMES)}")
    for lifetime in past:
        here.live(lifetime)
    where = data.draw(st.sampled_from(["here", "copied", "folder"]), label="archive")
    aside = data.draw(st.booleans(), label="scratch elsewhere")
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(here, context, Path(folder), where, aside)
        for number, way in enumerate(Way):
            point = here.points[data.draw(st.integers(0, 9), label="point") % len(here.points)]
            told = data.draw(st.booleans(), label="key told")
            wish = wish_for(scene, point, way, f"{here.name}-{number}", told=told)
            ends = data.draw(deaths(way), label="deaths")
            held_against(scene, point, wish, ends)
        assert scene.left() == []
        assert scene.objects() == scene.before
    assert plainly(here.items_of(here.name)) == plainly(here.current)


def held_against(scene: Scene, point: Point, wish: RestoreWish, ends: list[Death]) -> None:
    """Restore with these deaths on the way, and look at all that came of it."""
    here, lives, tables = scene.past, [Life(death=death) for death in ends], set()
    for life in lives:
        with suppress(Killed):
            run(wish, life.windows(scene.windows))
        tables |= ids(here, wish.to)
    lives.append(Life())
    report = run(wish, lives[-1].windows(scene.windows))
    assert len(tables | ids(here, wish.to)) == 1
    assert plainly(here.items_of(wish.to)) == plainly(point.items)
    assert report.comparison.checked == len(point.items)
    whole = point.noted and not wish.key
    assert here.furniture(wish.to) == (FURNISHED if whole else BARE)
    done = [call for life in lives for call in life.done]
    tables_made = [r for name, r in done if name == "tables.ask" and r.operation == "CreateTable"]
    imports_made = [r for name, r in done if name == "importer.start"]
    described = here.dynamodb.describe_table(TableName=wish.to)["Table"]
    imports = here.dynamodb.list_imports(TableArn=described["TableArn"])["ImportSummaryList"]
    imported = report.plan.way is Way.IMPORT
    assert len(imports) == len(imports_made) == int(imported)
    assert len(tables_made) == int(not imported)


def ids(here: Past, table: str) -> set[str]:
    """The id of the table, if it is there."""
    with suppress(here.dynamodb.exceptions.ResourceNotFoundException):
        return {here.dynamodb.describe_table(TableName=table)["Table"]["TableId"]}
    return set()


@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(data=st.data(), past=lifetimes("NEW_AND_OLD_IMAGES"), since=WRITES)
def test_a_killed_revert_ends_as_if_it_had_not_been(
    quick: EmbeddedAws,
    context: Context,
    past: list[Lifetime],
    since: list[Write],
    data: st.DataObject,
) -> None:
    """On the live table, whatever was written since: what is as the windows left it becomes what it
    was before them, the rest is named and stays, wherever runs of it were killed; and the next one
    finds nothing more to do."""
    here = Past(aws=quick, number=NUMBER, name=f"past-{next(_NAMES)}")
    for lifetime in past:
        here.live(lifetime)
    here.write(since)
    place = open_archive(context, f"s3://{here.bucket}")
    windows = replace(restore_windows(context, place, None), pause=lambda _: None)
    first = data.draw(st.integers(0, len(here.ends) - 2), label="from")
    last = data.draw(st.integers(first + 1, len(here.ends) - 1), label="to")
    old, left, now = (
        plainly(items) for items in (here.ends[first].items, here.ends[last].items, here.current)
    )
    touched = {n for n in old.keys() | left.keys() if old.get(n) != left.get(n)}
    undone = {n for n in touched if now.get(n) == left.get(n)}
    conflicts = {n for n in touched if now.get(n) not in (left.get(n), old.get(n))}
    after = {n: (old if n in undone else now).get(n) for n in touched | now.keys()}
    wish = RevertWish(table=here.name, start=here.ends[first].at, stop=here.ends[last].at)
    for death in data.draw(reversal_deaths(), label="deaths"):
        with suppress(Killed):
            lived = Life(death=death).windows(windows)
            revert_window(wish, lived, apply=True, tell=lambda _: None)
    for again in (False, True):
        life = Life()
        plan = revert_window(wish, life.windows(windows), apply=True, tell=lambda _: None)
        assert plainly(here.items_of(here.name)) == {n: i for n, i in after.items() if i}
        assert plan.counts.fates[Fate.CONFLICT] == len(conflicts)
        assert not (again and [name for name, _ in life.done if name.startswith("writer.")])


def reversal_deaths() -> st.SearchStrategy[list[Death]]:
    calls = st.sampled_from(["writer.put", "writer.delete", "reader.get_all", "store.read"])
    number = st.sampled_from([0, 0, 1, 2])
    return st.lists(
        st.builds(Death, call=calls, number=number, after=st.booleans()), min_size=1, max_size=3
    )


@pytest.mark.parametrize("way", list(Way))
def test_a_process_killed_at_random_moments(quick: EmbeddedAws, way: Way) -> None:
    """SIGKILL at any call to AWS, before it was done or after: the same command goes on, is killed
    again, goes on, and ends with that table, which was made or imported once."""
    here = Past(aws=quick, number=NUMBER, name=f"past-{next(_NAMES)}")
    here.live(Lifetime(key=schema("B", "N"), noted=True, steps=[step(), step(*CHANGES)]))
    table = f"{here.name}-copy"
    words = ["restore", here.name, "--at", "latest", "--to", table, "--way", str(way)]
    words += ["--archive", f"s3://{here.bucket}", "--compare", "full", "--yes"]
    chance = Random()
    # Once when there is a table or an import; then at any time after the plan.
    moments = [(chance.randrange(low, 80), chance.random() < 0.5) for low in (46, 20)]
    for number, after in moments:
        kill_at(here, words, number, after=after)
    with proxied(quick.endpoint) as proxy:
        process = begun(proxy.url, here, *words)
        told = process.communicate(timeout=60)
    assert process.returncode == 0, (moments, told)
    assert plainly(here.items_of(table)) == plainly(here.current), moments
    assert here.furniture(table) == FURNISHED, moments
    arn = here.arn.replace(here.name, table)
    imports = here.dynamodb.list_imports(TableArn=arn)["ImportSummaryList"]
    assert len(imports) == int(way is Way.IMPORT), moments


def step(*writes: Write) -> Step:
    return Step(writes=list(writes), full=False, midway=False, view="NEW_IMAGE", form="ION")


CHANGES: list[Write] = [
    ("put", 0, 1, "v", {"M": {"x": {"BS": [b"", b"x"]}}}),
    ("put", 1, 2, "v", {"N": "12345678901234567890123456789012345678"}),
    ("delete", 0, 1, "v", {}),
    ("update", 3, 4, "w", {"L": [{"NULL": True}]}),
]


def kill_at(here: Past, words: list[str], number: int, *, after: bool) -> None:
    """Run the command as a process of its own and kill it at its call of this number."""
    with proxied(here.aws.endpoint) as proxy:
        proxy.harm = lambda _: (
            None if len(proxy.operations) < number else "stop after" if after else "stop"
        )
        process = begun(proxy.url, here, *words)
        until(lambda: proxy.stopped.is_set() or process.poll() is not None, seconds=60)
        process.kill()
        process.communicate(timeout=30)
