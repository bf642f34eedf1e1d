"""How long it takes to read 100,000 records of a catalog on a local disk.

One table with a window an hour for eleven years, all of it indexed but for the last seventy days:
the names of all records, their ledger (what can be restored), and all of their details. Then the
same names from a listing of loose records alone. Read the ratios; the absolutes are this machine's.

    python bench/catalog.py [records]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coldtable.core.index import Index, Period, encode, make_line
from coldtable.core.records import Home, record_key, slot_of
from coldtable.files import FileObjects
from coldtable.model import Window
from coldtable.model_archive import Attempt, Outcome, SlotKind
from coldtable.ops.catalog import Catalog, Heads
from coldtable.ops.history import History, index_names

HOUR = timedelta(hours=1)
HOME = Home(account="000000000000", region="us-east-1", name="orders")
TAIL = 70 * 24
START = datetime(2015, 1, 1, tzinfo=UTC)


def name(number: int) -> str:
    start = START + number * HOUR
    done = Attempt(
        number=1,
        span=Window(start=start, stop=start + HOUR),
        export_id=f"{int(start.timestamp() * 1000):014}-{number:08x}",
        outcome=Outcome.VERIFIED,
    )
    return record_key(HOME, "x", slot_of(SlotKind.WINDOW, start), done).rsplit("/", 1)[1]


def details(number: int) -> dict[str, object]:
    prefix = f"2026/11/01/orders/inc-{number}"
    return {
        "view": "NEW_AND_OLD_IMAGES",
        "bucket": "archive-of-orders",
        "prefix": prefix,
        "manifestFilesKey": f"{prefix}/AWSDynamoDB/{number:014}-00000000/manifest-files.json",
        "items": number % 9973,
        "files": 4,
        "bytes": number * 31 % 99991,
        "billedBytes": 10485760,
        "format": "DYNAMODB_JSON",
        "startedAt": "2026-11-01T00:05:00Z",
        "endedAt": "2026-11-01T00:11:00Z",
    }


def fill(root: Path, count: int) -> None:
    """Indexes for all but the tail; every record loose, too, as they stay."""
    store, months = FileObjects(root), dict[Period, list[int]]()
    folder = root / HOME.log("x")
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / name(number)).touch()
        if number < count - TAIL:
            months.setdefault(Period.holding(START + number * HOUR), []).append(number)
    months.pop(max(months))
    for month, numbers in months.items():
        lines = [make_line(name(n), details(n)) for n in numbers]
        store.put_new(HOME.index("x") + Index(period=month).name, encode(HOME, "x", month, lines))


def measure(what: str, call: Callable[[], int]) -> float:
    """The best of three, with the number of records."""
    best, found = 1e9, 0
    for _ in range(3):
        began = time.perf_counter()
        found = call()
        best = min(best, time.perf_counter() - began)
    print(f"{what:44}{found:>9}{best:>9.2f}{found / best:>12.0f}")
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), count)
        catalog = Catalog(FileObjects(Path(folder)))

        def history(*, indexed: bool = True) -> History:
            found = index_names(catalog, HOME.account, HOME.region) if indexed else {}
            names = tuple(found.get((HOME, "x"), ()))
            return History(catalog=catalog, home=HOME, table_id="x", indexes=names)

        print(f"{'':44}{'records':>9}{'seconds':>9}{'records/s':>12}")
        names = measure("names, from indexes and a tail", lambda: len(list(history().names())))
        measure(
            "ledger, from indexes and a tail",
            lambda: sum(run.count for run in history().ledger(Heads()).runs),
        )
        measure(
            "details, from indexes",
            lambda: sum(line.details is not None for line in history().lines()),
        )
        loose = measure(
            "names, from a listing alone", lambda: len(list(history(indexed=False).names()))
        )
    print(f"indexes / listing: {names / loose:.2f} of the time")


if __name__ == "__main__":
    main()
