"""A restore point as a full export: what is written, in which order, and when nothing is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from coldtable.core.archive import ArchivedExport
from coldtable.core.restore_point import plan_restore
from coldtable.errors import Conflict, DamagedError, NotCovered
from coldtable.ops.archive import find_exports, load_files
from coldtable.ops.materialize import Destination, Materialized, materialize, plan_materialize
from coldtable.ops.proof import read_items
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from coldtable.testing.fakes import FakeObjects
from tests.unit.folding import SMALL

HOUR = timedelta(hours=1)
LATER = datetime(2026, 2, 1, 8, 30, 0, 123000, UTC)
A, B, C = ({"pk": {"S": name}} for name in "abc")


def written() -> ExportsWriter:
    """Three items in two files, of which one is changed and one deleted, over two windows."""
    made = ExportsWriter(prefix="daily")
    made.full(NOON, [item_line(**A), item_line(**B)], [item_line(**C)])
    made.increment(NOON, NOON + HOUR, [record_line(A, NOON, {**A, "v": {"N": "1"}})])
    made.increment(NOON + HOUR, NOON + 2 * HOUR, [], [record_line(B, NOON + HOUR)])
    return made


def run(
    source: dict[str, bytes],
    to: FakeObjects,
    *,
    at: datetime | None = None,
    prefix: str = "folded",
    allow_gap: bool = False,
) -> Materialized:
    store = FakeObjects(source, piece=1000)
    plan = plan_materialize(find_exports(store).exports, at, allow_gap=allow_gap)
    place = Destination(store=to, prefix=prefix, bucket="here")
    return materialize(plan, store, place, now=lambda: LATER, bounds=SMALL)


def lines_of(store: FakeObjects, export: ArchivedExport) -> list[bytes]:
    """Every line of an export, each file of which is proven on the way."""
    found = load_files(store, export)
    return [line for file in found.files for line in read_items(file, store)]


class Watched(FakeObjects):
    """A bucket that remembers the order in which its objects were written, and may break."""

    def __init__(self, break_at: str = "") -> None:
        super().__init__({})
        self.order: list[str] = []
        self.break_at = break_at

    def put(self, key: str, body: bytes) -> None:
        self._about_to(key)
        super().put(key, body)

    def put_stream(self, key: str, pieces: Iterable[bytes]) -> str:
        self._about_to(key)
        return super().put_stream(key, pieces)

    def _about_to(self, key: str) -> None:
        if self.break_at and self.break_at in key:
            raise KeyboardInterrupt
        self.order.append(key)


def test_it_is_an_export_like_any_other() -> None:
    """Our own readers find it, prove every byte of it, and see the table as it was."""
    to = FakeObjects({})
    report = run(written().objects, to)
    (found,) = find_exports(to).exports
    assert found.is_full
    assert found.stop == NOON + 2 * HOUR
    assert (found.table.name, found.table.table_id) == ("orders", written().table_id)
    assert sorted(lines_of(to, found)) == [
        b'{"Item":{"pk":{"S":"a"},"v":{"N":"1"}}}',
        b'{"Item":{"pk":{"S":"c"}}}',
    ]
    assert report.new
    assert report.manifest.items == found.manifest.items == 2
    assert report.json_bytes == sum(len(line) + 1 for line in lines_of(to, found))
    assert report.stored_bytes == sum(
        len(body) for key, body in to.objects.items() if "/data/" in key
    )


def test_every_restore_point_can_be_had() -> None:
    """The base's own moment and each window's end; between them there is nothing."""
    expected = {
        NOON: ["a", "b", "c"],
        NOON + HOUR: ["a", "b", "c"],
        NOON + 2 * HOUR: ["a", "c"],
    }
    for at, names in expected.items():
        to = FakeObjects({})
        run(written().objects, to, at=at)
        (found,) = find_exports(to).exports
        items = [json.loads(line)["Item"] for line in lines_of(to, found)]
        assert sorted(item["pk"]["S"] for item in items) == names
    with pytest.raises(NotCovered):
        run(written().objects, FakeObjects({}), at=NOON + HOUR / 2)


def test_the_summary_s_md5_is_the_last_object() -> None:
    """`_started` first, then the data, the files' manifest, the summary, and its MD5 [GCP]."""
    to = Watched()
    report = run(written().objects, to)
    names = [key.removeprefix(report.folder + "/") for key in to.order]
    assert names[0] == "_started"
    assert all(name.startswith("data/") for name in names[1:-4])
    assert names[-4:] == [
        "manifest-files.json",
        "manifest-files.md5",
        "manifest-summary.json",
        "manifest-summary.md5",
    ]


@pytest.mark.parametrize(
    "where", ["/data/", "manifest-files.json", "manifest-summary.json", ".md5"]
)
def test_broken_off_it_is_no_export_and_can_be_repeated(where: str) -> None:
    """Wherever it is interrupted, nobody finds an export; the next run ends it, with no object
    more than a run that was never interrupted has."""
    to, whole = Watched(where), Watched()
    with pytest.raises(KeyboardInterrupt):
        run(written().objects, to)
    assert find_exports(to).exports == ()
    to.break_at = ""
    run(written().objects, to)
    run(written().objects, whole)
    assert to.objects == whole.objects


def test_again_it_does_nothing() -> None:
    """An export that is there already is told, and nothing is written."""
    to = Watched()
    first = run(written().objects, to)
    count = len(to.order)
    second = run(written().objects, to)
    assert (second.new, second.folder, second.manifest.items) == (False, first.folder, 2)
    assert len(to.order) == count


@pytest.mark.parametrize("name", ["/data/", "manifest-files.json"])
def test_what_was_spoilt_since_is_made_again(name: str) -> None:
    """If an object of it is gone, it is written again; until then the old summary holds nothing."""
    to = Watched()
    run(written().objects, to)
    whole = dict(to.objects)
    del to.objects[next(key for key in to.objects if name in key)]
    to.break_at = "manifest-files.json"
    with pytest.raises(KeyboardInterrupt):
        run(written().objects, to)
    assert find_exports(to).exports == ()
    to.break_at = ""
    assert run(written().objects, to).new
    assert to.objects == whole


def test_damage_leaves_nothing() -> None:
    """A file with a flipped bit, the last one to be read, stops it: exit code 5, and what was
    written is gone; what refuses to go is told."""
    source = written().objects
    key = max(key for key in source if key.startswith("daily/AWSDynamoDB/data/"))
    body = source[key]
    source[key] = body[:-1] + bytes([body[-1] ^ 1])
    to = FakeObjects({})
    with pytest.raises(DamagedError, match=key) as caught:
        run(source, to)
    assert caught.value.exit_code == 5
    assert to.objects == {}
    folder = run(written().objects, FakeObjects({})).folder
    to.refused = {f"{folder}/_started"}
    with pytest.raises(DamagedError) as caught:
        run(source, to)
    assert list(to.objects) == [f"{folder}/_started"]
    assert f"{folder}/_started is left and can be removed: Access denied" in caught.value.hint


def test_other_objects_among_the_data_are_a_conflict() -> None:
    """ImportTable would take them for items: no summary, and nothing of theirs is touched."""
    to = FakeObjects({})
    folder = run(written().objects, to).folder
    fresh = FakeObjects({f"{folder}/data/notes.txt": b"mine"})
    with pytest.raises(Conflict, match=r"notes\.txt"):
        run(written().objects, fresh)
    assert fresh.objects[f"{folder}/data/notes.txt"] == b"mine"
    assert find_exports(fresh).exports == ()


def test_into_the_archive_itself() -> None:
    """Written beside the exports that it is made of, it is a restore point for others and not
    copied by the next run; what follows joins on to it as well."""
    archive = written()
    to = FakeObjects(archive.objects)
    first = run(archive.objects, to, prefix="daily")
    assert not run(archive.objects, to, prefix="daily").new
    archive.increment(NOON + 2 * HOUR, NOON + 3 * HOUR, [record_line(C, NOON + 2 * HOUR)])
    plan = plan_restore(find_exports(to).exports, None)
    assert plan.base.manifest.export_arn == first.manifest.export_arn
    assert len(plan.increments) == 1


def test_a_gap_is_never_forgotten() -> None:
    """Made over a gap it says so, and is no exact restore point afterwards either."""
    source = ExportsWriter()
    source.full(NOON - timedelta(seconds=9, milliseconds=378), [item_line(**A)])
    source.increment(NOON, NOON + HOUR, [record_line(B, NOON, B)])
    with pytest.raises(NotCovered, match=r"a gap of 9\.378 s"):
        run(source.objects, FakeObjects({}))
    to = FakeObjects({})
    run(source.objects, to, allow_gap=True)
    exports = find_exports(to).exports
    with pytest.raises(NotCovered):
        plan_restore(exports, None)
    (seam,) = plan_restore(exports, None, allow_gap=True).seams
    assert "a gap of 9.378 s" in str(seam)


def test_an_empty_table_has_aws_s_empty_files() -> None:
    """No items: a file of twenty bytes for each of the base's, as DynamoDB writes them."""
    source = ExportsWriter()
    source.full(NOON, [item_line(**A)], [])
    source.increment(NOON, NOON + HOUR, [record_line(A, NOON)])
    to = FakeObjects({})
    assert run(source.objects, to).manifest.items == 0
    bodies = [body for key, body in to.objects.items() if "/data/" in key]
    assert [body.hex() for body in bodies] == ["1f8b08000000000000ff03000000000000000000"] * 2


def test_ion_exports_become_json() -> None:
    """A base and increments in Ion are read, and what they come to is DynamoDB JSON."""
    source = ExportsWriter(output_format="ION")
    line = b'$ion_1_0 {Item:{pk:"%s",n:6d2,b:{{AAE=}},s:$dynamodb_NS::[1.5],l:[null,true]}}'
    source.full(NOON, [line % b"a", line % b"b"])
    change = b'$ion_1_0 {Record:{Keys:{pk:"b"},Metadata:{WriteTimestampMicros:1684374845117899.}'
    source.increment(NOON, NOON + HOUR, [change + b',NewImage:{pk:"b",n:-1.5}}}'])
    to = FakeObjects({})
    report = run(source.objects, to)
    assert report.manifest.output_format == "DYNAMODB_JSON"
    bodies = [gzip.decompress(body) for key, body in to.objects.items() if "/data/" in key]
    assert sorted(b"".join(bodies).splitlines()) == [
        b'{"Item":{"pk":{"S":"a"},"n":{"N":"600"},"b":{"B":"AAE="},"s":{"NS":["1.5"]},'
        b'"l":{"L":[{"NULL":true},{"BOOL":true}]}}}',
        b'{"Item":{"pk":{"S":"b"},"n":{"N":"-1.5"}}}',
    ]
