"""Restoring, with everything outside faked: what is planned, refused, written and said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.definition import parse_key
from coldtable.core.pace import parse_rate
from coldtable.core.records import Home, base_slot, body, definition_key
from coldtable.errors import (
    ConfigError,
    Conflict,
    DamagedError,
    Different,
    ImportFailed,
    NotCovered,
    NotFound,
    ParameterInvalid,
    ServiceFailed,
    UsageError,
)
from coldtable.model import Table
from coldtable.model_restore import Compare, Merging, Parts, TableRequest, Way
from coldtable.ops.archive import find_exports
from coldtable.ops.crew import Crew
from coldtable.ops.fold_limits import limits
from coldtable.ops.materialize import Destination, materialize, plan_materialize
from coldtable.ops.restore import RestoreReport, restore_table
from coldtable.ops.restore_plan import Progress, RestoreWish, TablePlan, Windows, plan_table
from coldtable.ops.witness import Witness
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.imports import FakeImporter
from coldtable.testing.tables import FakeTables
from tests.unit.test_creation import record

KEY = parse_key(["pk:S"])


@dataclass
class Ground:
    """An archive with a full export of 70 items in three files, and nothing in DynamoDB."""

    archive: ExportsWriter = field(default_factory=ExportsWriter)
    objects: dict[str, bytes] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    tables: FakeTables = field(default_factory=FakeTables)
    bucket: str | None = "archive"
    witness: Witness | None = None
    said: list[str] = field(default_factory=list)
    told: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.objects = self.archive.objects
        lines = [line(n) for n in range(70)]
        self.archive.full(NOON, lines[:30], [], lines[30:])
        self.importer = FakeImporter(self.tables, {"archive": self.objects, "notes": self.notes})

    @property
    def windows(self) -> Windows:
        store = FakeObjects(self.objects, piece=1000)
        return Windows(
            store=store,
            open_store=lambda: store,
            crew=Crew(cores=1),
            prefix="",
            bucket=self.bucket,
            owner=None,
            scratch=FakeObjects(self.notes, piece=1000),
            scratch_prefix="",
            scratch_bucket="notes" if self.bucket else None,
            scratch_owner=None,
            region="eu-north-1",
            tables=self.tables,
            writer=self.tables,
            reader=self.tables,
            importer=self.importer,
            ion=lambda _: {},
            bounds=limits(cores=1),
            now=lambda: NOON,
            pause=lambda _: None,
            say=self.said.append,
            witness=self.witness,
        )

    def plan(self, **changes: Any) -> TablePlan:
        wish = RestoreWish(table="orders", at=None, to="copy", key=KEY)
        return plan_table(replace(wish, **changes), self.windows)

    def restore(self, **changes: Any) -> RestoreReport:
        return restore_table(self.plan(**changes), self.windows, self.told.append)

    def define(self, **changes: Any) -> None:
        """A record of the table's definition, as the catalog keeps it."""
        home = Home.of(Table(name="orders", arn=self.archive.table_arn, table_id="x"))
        key = definition_key(home, self.archive.table_id, base_slot(1))
        described = {"AttributeDefinitions": ATTRIBUTES, "KeySchema": SCHEMA, **changes}
        fields = {"definition": record(**described)}
        self.objects[key] = body("definition", NOON, **fields)

    def change(self) -> None:
        """An increment of the next hour: p3 changed, p4 deleted, p1000 new."""
        self.archive.increment(
            NOON,
            NOON + timedelta(hours=1),
            [
                changed({"pk": {"S": "p3"}}),
                record_line({"pk": {"S": "p4"}}, NOON, old={"pk": {"S": "p4"}}),
                changed({"pk": {"S": "p1000"}}),
            ],
        )

    def damage(self) -> str:
        """Spoils a data file; its key."""
        key = sorted(k for k in self.objects if "/data/" in k)[2]
        self.objects[key] = self.objects[key][:-9]
        return key


ATTRIBUTES = [
    {"AttributeName": "pk", "AttributeType": "S"},
    {"AttributeName": "by", "AttributeType": "S"},
    {"AttributeName": "when", "AttributeType": "N"},
]
SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}]


def line(n: int, **more: Any) -> bytes:
    return item_line(pk={"S": f"p{n}"}, n={"N": str(n)}, **more)


def everything() -> list[dict[str, Any]]:
    return [json.loads(line(n))["Item"] for n in range(70)]


def by_key(items: Any) -> list[Any]:
    return sorted(items, key=lambda item: int(item["n"]["N"]))


@pytest.mark.parametrize("way", list(Way))
def test_both_ways_make_the_table(way: Way) -> None:
    """The table has every item, a plain one has nothing more; the report says how it was done."""
    ground = Ground()
    report = ground.restore(way=way)
    assert by_key(ground.tables.items("copy")) == everything()
    assert report.comparison.same
    assert report.comparison.checked == 70
    assert [r.operation for r in ground.tables.asked("copy")] == ["CreateTable"]
    assert (report.tally is None) == (way is Way.IMPORT)
    assert ground.told[-1].done == 70


def test_nothing_is_done_by_a_plan() -> None:
    """Planning only reads: no table, no import, no object anywhere (so neither does --dry-run)."""
    ground = Ground()
    ground.tables.add("there", KEY)
    before = dict(ground.objects)
    wishes: list[dict[str, Any]] = [{}, {"way": Way.WRITE}, {"to": "there"}]
    for changes in [*wishes, {"merging": Merging.REPLACE}]:
        ground.plan(**changes)
    assert ground.objects == before
    assert not ground.notes
    assert ground.tables.state("copy") is None
    assert (ground.tables.writes, ground.importer.made) == (0, [])
    assert ground.tables.asked("there") == []


def test_a_folded_export_takes_its_definition_along() -> None:
    """What was materialized to another place restores from there alone, with all its indexes."""
    ground = Ground()
    ground.define(LocalSecondaryIndexes=[])
    ground.change()
    source, folded = FakeObjects(ground.objects, piece=1000), FakeObjects({})
    materialize(
        plan_materialize(find_exports(source).exports, None),
        source,
        Destination(store=folded, prefix="kept/here"),
        now=lambda: NOON,
        archive="",
    )
    ground.objects = folded.objects
    plan = plan_table(
        RestoreWish(table="orders", at=None, to="copy"),
        replace(ground.windows, prefix="kept/here/"),
    )
    assert not plan.source.increments
    assert "kept/here/coldtable/" in plan.defined_by
    assert plan.definition.table["GlobalSecondaryIndexes"]


def test_a_definition_is_found_and_followed() -> None:
    """With a record of it the table gets its indexes, and in the end tags, TTL, stream, PITR."""
    ground = Ground()
    ground.define(LocalSecondaryIndexes=[])
    plan = ground.plan(key=None)
    assert plan.way is Way.IMPORT
    assert "000001.definition.json" in plan.defined_by
    ground.restore(key=None)
    made, *after = ground.tables.asked("copy")
    assert [i["IndexName"] for i in made.body["GlobalSecondaryIndexes"]] == ["by-who"]
    assert [r.what for r in after] == [
        "the table class",
        "1 tags",
        "time to live by expires",
        "the stream",
        "point-in-time recovery",
        "deletion protection",
    ]


def test_parts_are_left_out() -> None:
    """--without-… reaches the table."""
    ground = Ground()
    ground.define()
    nothing = Parts(indexes=False, ttl=False, tags=False, streams=False, pitr=False)
    ground.restore(key=None, parts=nothing)
    made, *after = ground.tables.asked("copy")
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & made.body.keys()
    assert [r.what for r in after] == ["the table class", "deletion protection"]


def test_an_unknown_key_asks_for_it() -> None:
    """Without a record, an increment or --key there is no table to make, and the hint says how."""
    with pytest.raises(ConfigError, match="key schema is not known") as caught:
        Ground().plan(key=None)
    assert "--key pk:S" in caught.value.hint


def test_the_key_of_an_increment_is_enough_if_it_is_one_attribute() -> None:
    """Records name their keys; of two, nobody says which comes first."""
    ground = Ground()
    keys = {"pk": {"S": "a"}}
    ground.archive.increment(NOON, NOON + timedelta(hours=1), [changed(keys)])
    plan = ground.plan(key=None)
    assert str(plan.definition.key) == "pk:S"
    keys = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    ground = Ground()
    ground.archive.increment(NOON, NOON + timedelta(hours=1), [changed(keys)])
    with pytest.raises(ConfigError, match="pk:S and sk:N, and which comes first"):
        ground.plan(key=None)


def changed(keys: Mapping[str, Any]) -> bytes:
    return record_line(dict(keys), NOON + timedelta(minutes=1), new={**keys, "n": {"N": "1000"}})


def test_the_source_is_spared() -> None:
    """The table that the exports are of is written to only if that is said, and then merged."""
    ground = Ground()
    ground.tables.add("orders", KEY, arn=ground.archive.table_arn)
    ground.tables.put_all("orders", [b'{"pk":{"S":"p3"},"n":{"N":"333"}}'])
    with pytest.raises(Conflict, match="is the table that the exports are of") as caught:
        ground.plan(to="orders")
    assert "--into-source" in caught.value.hint
    with pytest.raises(Conflict, match="has items") as caught:
        ground.plan(to="orders", into_source=True)
    assert "--merge" in caught.value.hint
    plan = ground.plan(to="orders", into_source=True, merging=Merging.MISSING)
    assert "Items that were deleted after that time come back" in plan.notes
    report = restore_table(plan, ground.windows, ground.told.append)
    assert report.tally
    assert (report.tally.written, report.tally.kept) == (69, 1)
    found = {item["pk"]["S"]: item["n"]["N"] for item in ground.tables.items("orders")}
    assert found["p3"] == "333"


def test_an_empty_table_is_filled_and_stays_what_it_is() -> None:
    """A table that is there keeps its settings: only what this restore made is given any."""
    ground = Ground()
    ground.define()
    ground.tables.add("copy", KEY)
    ground.restore(key=None)
    assert len(ground.tables.items("copy")) == 70
    assert ground.tables.asked("copy") == []


def test_a_table_of_another_key_is_refused() -> None:
    """--key must be the key that the table has."""
    ground = Ground()
    ground.tables.add("copy", parse_key(["id:S"]))
    with pytest.raises(ParameterInvalid, match="id:S"):
        ground.plan()


@pytest.mark.parametrize(
    ("merging", "newer_by", "expected"),
    [
        (Merging.MISSING, None, {"p1": "old", "p2": "old", "p3": None, "p4": None}),
        (Merging.REPLACE, None, {"p1": None, "p2": None, "p3": None, "p4": None}),
        (Merging.NEWER, "n", {"p1": None, "p2": "old", "p3": None, "p4": None}),
    ],
)
def test_three_ways_to_merge(
    merging: Merging, newer_by: str | None, expected: dict[str, str | None]
) -> None:
    """What the table has stays, is replaced, or is replaced if its attribute is less."""
    ground = Ground()
    ground.tables.add("copy", KEY)
    for name, n in (("p1", 0), ("p2", 2)):
        item = {"pk": {"S": name}, "n": {"N": str(n)}, "who": {"S": "old"}}
        ground.tables.put_all("copy", [json.dumps(item).encode()])
    ground.restore(merging=merging, newer_by=newer_by)
    found = {i["pk"]["S"]: i.get("who", {}).get("S") for i in ground.tables.items("copy")}
    assert {name: found[name] for name in expected} == expected
    assert len(found) == 70


def existing(ground: Ground) -> dict[str, Any]:
    return {"to": ground.tables.add("there", KEY).name}


def folder(ground: Ground) -> dict[str, Any]:
    ground.bucket = None
    return {}


def merge(_: Ground) -> dict[str, Any]:
    return {"merging": Merging.MISSING}


def local_index(ground: Ground) -> dict[str, Any]:
    ground.define()
    return {"key": None}


def stray(ground: Ground) -> dict[str, Any]:
    key = next(k for k in ground.objects if "/data/" in k)
    ground.objects[f"{key.rpartition('/')[0]}/stray.json.gz"] = b""
    return {}


@pytest.mark.parametrize(
    ("reason", "arrange"),
    [
        ("this one exists", existing),
        ("the archive is a folder", folder),
        ("cannot merge", merge),
        ("local secondary indexes (by-when)", local_index),
        ("is not of the export", stray),
    ],
)
def test_what_cannot_be_imported_is_written(
    reason: str, arrange: Callable[[Ground], dict[str, Any]]
) -> None:
    """Each obstacle makes write the default, with the reason, and --way import an error."""
    ground = Ground()
    changes = arrange(ground)
    plan = ground.plan(**changes)
    assert plan.way is Way.WRITE
    assert reason in plan.because
    with pytest.raises(UsageError) as caught:
        ground.plan(way=Way.IMPORT, **changes)
    assert reason in caught.value.message


@pytest.mark.parametrize("way", list(Way))
def test_damage_is_found_before_anything_is_written(way: Way) -> None:
    """A wrong byte anywhere ends the restore with its object named, and no table made."""
    ground = Ground()
    key = ground.damage()
    plan = ground.plan(way=way)
    with pytest.raises(DamagedError, match=key):
        restore_table(plan, ground.windows, ground.told.append)
    assert ground.tables.state("copy") is None
    assert ground.importer.made == []
    assert not ground.notes


def test_without_proof_damage_is_found_on_the_way() -> None:
    """--unproven begins at once; a spoilt file still ends it, and is never done."""
    ground = Ground()
    key = ground.damage()
    with pytest.raises(DamagedError, match=key):
        ground.restore(way=Way.WRITE, prove=False)
    assert ground.tables.items("copy") != []


def test_times_outside_coverage() -> None:
    """An instant that the archive does not cover is refused as such."""
    with pytest.raises(NotCovered):
        Ground().plan(at=NOON - timedelta(hours=1))
    with pytest.raises(NotFound):
        Ground().plan(table="nothing")


def test_a_restore_that_died_is_gone_on_with() -> None:
    """Died while writing, the same wish knows the table as its own and writes only the rest."""
    ground = Ground()

    def die() -> None:
        if ground.tables.writes > 2:
            raise KeyboardInterrupt

    ground.tables.before = die
    with pytest.raises(KeyboardInterrupt):
        ground.restore(way=Way.WRITE)
    first = len(ground.tables.items("copy"))
    assert 0 < first < 70
    ground.tables.before = lambda: None
    plan = ground.plan()
    assert plan.resumes
    assert plan.way is Way.WRITE
    report = restore_table(plan, ground.windows, ground.told.append)
    assert by_key(ground.tables.items("copy")) == everything()
    assert report.tally
    assert report.tally.written <= 70 - first + 25
    assert ground.told[-1].done <= 70


def test_another_table_of_the_name_begins_anew() -> None:
    """A checkpoint is of one TableId: a table that was made again is not half full."""
    ground = Ground()
    ground.restore(way=Way.WRITE)
    ground.tables.delete_table("copy")
    assert not ground.plan(way=Way.WRITE).resumes
    ground.tables.add("copy", KEY)
    assert not ground.plan(way=Way.WRITE).resumes
    ground.restore(way=Way.WRITE)
    assert len(ground.tables.items("copy")) == 70


def test_another_wish_does_not_resume() -> None:
    """Restoring something else into the same table is no continuation, and finds items there."""
    ground = Ground()
    ground.restore(way=Way.WRITE)
    ground.archive.full(NOON + timedelta(days=1), [line(1)])
    with pytest.raises(Conflict, match="has items"):
        ground.plan()


def test_what_is_asked_for_afterwards_is_asked_again() -> None:
    """Died after the items were written, the same wish gives the table what it still lacks."""
    ground = Ground()
    ground.define()
    ground.tables.hear = dying
    with pytest.raises(KeyboardInterrupt):
        ground.restore(key=None)
    ground.tables.hear = lambda _: None
    writes = ground.tables.writes
    ground.restore(key=None)
    assert ground.tables.writes == writes
    assert ground.tables.asked("copy")[-1].what == "deletion protection"


def dying(request: TableRequest) -> None:
    if request.operation == "TagResource":
        raise KeyboardInterrupt


@pytest.mark.parametrize("ended", [False, True])
def test_a_lost_answer_starts_no_second_import(*, ended: bool) -> None:
    """Died between asking for an import and noting it, the same wish follows that one, also when
    it has ended meanwhile."""
    ground = Ground()

    def lose() -> None:
        raise ServiceFailed("no answer")

    ground.importer.before_answer = lose
    with pytest.raises(ServiceFailed):
        ground.restore(way=Way.IMPORT)
    ground.importer.before_answer = lambda: None
    if ended:
        ground.importer.describe(ground.importer.made[0].arn)
    ground.restore()
    assert len(ground.importer.made) == 1
    assert len(ground.tables.items("copy")) == 70


def test_a_failed_import_is_named_and_never_done() -> None:
    """The error has AWS's words, the item's place and the partial table; again it fails again."""
    ground = Ground()
    files = [line(1), item_line(id={"S": "no pk"})]
    ground.archive.full(NOON + timedelta(days=1), files)
    for _ in range(2):
        with pytest.raises(ImportFailed, match="ItemValidationError") as caught:
            ground.restore(way=None)
        assert "item 1" in caught.value.message
        assert "delete-table --table-name copy" in caught.value.hint
    assert len(ground.importer.made) == 1
    ground.tables.delete_table("copy")
    with pytest.raises(ImportFailed):
        ground.restore(way=None)
    assert len(ground.importer.made) == 2


def test_another_way_after_a_failed_import() -> None:
    """Once the partial table is deleted the restore may be written instead, and imported later."""
    ground = Ground()
    ground.importer.lose = 1
    with pytest.raises(ImportFailed):
        ground.restore(way=Way.IMPORT)
    ground.tables.delete_table("copy")
    ground.importer.lose = 0
    ground.restore(way=Way.WRITE)
    assert len(ground.tables.items("copy")) == 70
    assert ground.plan().way is Way.WRITE
    ground.tables.delete_table("copy")
    ground.restore(way=Way.IMPORT)
    first, second = (ground.importer.token(made) for made in ground.importer.made)
    assert first != second


def test_an_imported_table_that_was_replaced_is_not_ours() -> None:
    """A table of the name that somebody made since is neither continued nor given anything."""
    ground = Ground()
    ground.define(LocalSecondaryIndexes=[])
    ground.restore(key=None)
    ground.tables.delete_table("copy")
    ground.tables.add("copy", KEY)
    assert not ground.plan(key=None).resumes
    ground.tables.put_all("copy", [b'{"pk":{"S":"theirs"}}'])
    with pytest.raises(Conflict, match="has items"):
        ground.plan(key=None)


def test_an_import_that_brought_less_is_a_failure() -> None:
    """COMPLETED with another number of items than the manifest's is not done."""
    ground = Ground()
    ground.importer.lose = 1
    with pytest.raises(ImportFailed, match="69 items, and the export has 70"):
        ground.restore(way=Way.IMPORT)


@pytest.mark.parametrize("level", [Compare.SAMPLE, Compare.FULL])
@pytest.mark.parametrize("way", list(Way))
def test_a_table_that_differs_is_told(way: Way, level: Compare) -> None:
    """An item that changed or vanished meanwhile makes the restore fail, and nothing follows."""
    for change in ("content", "missing"):
        ground = Ground()
        ground.define(LocalSecondaryIndexes=[])
        spoil(ground, change)
        with pytest.raises(Different, match="p5" if level is Compare.SAMPLE else "archive"):
            ground.restore(key=None, way=way, compare=level)
        assert [r.operation for r in ground.tables.asked("copy")] == ["CreateTable"]


def spoil(ground: Ground, change: str) -> None:
    """Whoever reads the table reads something else of p5."""

    def other(items: Any) -> Iterator[Any]:
        for item in items:
            if item["pk"]["S"] != "p5":
                yield item
            elif change == "content":
                yield {**item, "n": {"N": "6"}}

    ground.tables.see = other


def test_no_comparison_on_request() -> None:
    """--compare none reads nothing back."""
    ground = Ground()
    spoil(ground, "content")
    report = ground.restore(compare=Compare.NONE)
    assert report.comparison.level is Compare.NONE


@pytest.mark.parametrize("way", list(Way))
def test_increments_are_folded_first(way: Way) -> None:
    """Changed, deleted and new items; the fold is gone when the table is there."""
    ground = Ground()
    ground.change()
    for _ in range(2):
        report = ground.restore(way=way)
        found = {item["pk"]["S"]: item["n"]["N"] for item in ground.tables.items("copy")}
        assert len(found) == 70
        assert (found["p3"], found["p1000"]) == ("1000", "1000")
        assert "p4" not in found
        assert report.comparison.checked == 70
        assert [key for key in ground.notes if "/scratch/" in key] == []
        ground.tables.delete_table("copy")


@pytest.mark.parametrize("spoil_it", [False, True])
def test_a_fold_outlives_an_interruption(*, spoil_it: bool) -> None:
    """Died after the fold, the same wish uses it again, once it is proven to be whole."""
    ground = Ground()
    ground.change()
    ground.tables.before = _die
    with pytest.raises(KeyboardInterrupt):
        ground.restore(way=Way.WRITE)
    ground.tables.before = lambda: None
    folded = {key: body for key, body in ground.notes.items() if "/scratch/" in key}
    data = [key for key in folded if "/data/" in key]
    if spoil_it:
        ground.notes[max(data, key=lambda key: len(folded[key]))] = b"spoilt"
        with pytest.raises(DamagedError, match="data"):
            ground.restore()
        return
    report = ground.restore()
    assert report.plan.resumes
    assert len(ground.tables.items("copy")) == 70


def _die() -> None:
    raise KeyboardInterrupt


def test_an_empty_export_makes_an_empty_table() -> None:
    """An export of nothing is restored, too."""
    for way in Way:
        ground = Ground()
        ground.archive.full(NOON + timedelta(days=1), [], [])
        ground.restore(way=way)
        assert ground.tables.items("copy") == []


def test_the_estimate_is_of_these_items() -> None:
    """Items and bytes as they are; a price and a time by what the table takes."""
    ground = Ground()
    ground.define(BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"}, LocalSecondaryIndexes=[])
    plan = ground.plan(key=None, way=Way.WRITE)
    found = plan.estimate
    assert (found.items, found.units) == (70, 140)  # a unit for the table, one for its index
    assert found.seconds == pytest.approx(70 / 4000)
    assert found.dollars == pytest.approx(140 * 0.625 / 1e6)
    assert found.stored_bytes == sum(len(b) for k, b in ground.objects.items() if "/data/" in k)
    slow = ground.plan(key=None, way=Way.WRITE, rate=parse_rate("7")).estimate
    assert slow.seconds == 10
    ground.define()
    provisioned = ground.plan(key=None, rate=parse_rate("50%")).estimate
    assert provisioned.dollars is None
    assert provisioned.seconds == pytest.approx(70 / 3.5)
