"""``coldtable verify``: are the bytes of an archive right?"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from coldtable.cli.archive import Place, find_archive
from coldtable.cli.context import Context
from coldtable.cli.verify_answer import answer, problem_of, table_name
from coldtable.core.definition import parse_key
from coldtable.core.verification import Checked, Level, Report, parse_subset
from coldtable.errors import (
    ColdtableError,
    PartialError,
    UsageError,
)

if TYPE_CHECKING:
    from coldtable.ops.verify import Wanted

# Of a bucket each process reads so many objects at a time.
_THREADS = 8
# So many compressed bytes take a second: other processes would only just have begun.
_ALONE = 48 * 1024 * 1024


def verify(
    table: Annotated[str | None, Parameter(help="Only this table, by name or ARN.")] = None,
    /,
    *,
    archive: str | None = None,
    level: Level = Level.OBJECTS,
    subset: str | None = None,
    since: str | None = None,
    key: tuple[str, ...] = (),
    allow_gap: bool = False,
    cores: int | None = None,
    fresh: bool = False,
    state: Path | None = None,
    record: Annotated[bool | None, Parameter(negative="--no-record")] = None,
    parameter_path: str = "/coldtable/prod",
    yes: bool = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Verify that an archive holds the bytes that DynamoDB wrote, all of them.

    Reads any folder of exports, also one that coldtable never saw, wherever it was copied to.
    Each export gets a verdict, and each bad object a reason. An interrupted run goes on where it
    stopped.

    What came of a finished run is noted in the archive's catalog, a record for each table, where
    `coldtable report` and `coldtable status` find it. With --archive that is only done if there is
    a catalog.

    Examples:

    `coldtable verify orders`

    `coldtable verify --archive s3://bucket/prefix --level items`

    `coldtable verify --archive ./copied --subset 5% --output json`

    `coldtable verify orders --level drill --yes`

    Exit codes: 0; 3 if objects could not be read, or the verdict could not be noted; 4 if an
    increment joins on to nothing; 5 if anything is damaged or missing; 11 without the rights; 12
    if there is no such table or bucket.

    IAM: `s3:ListBucket` on the bucket and `s3:GetObject` on its objects (`kms:Decrypt` if they are
    encrypted with a key); to note the verdict `s3:PutObject` on `coldtable/v1/evidence/*` (and
    `kms:GenerateDataKey`); to know of filters `dynamodb:DescribeExport` on the exports; without
    --archive `ssm:GetParametersByPath`.

    Parameters
    ----------
    archive
        The exports to verify: `s3://BUCKET/PREFIX` or a folder. Without it, the bucket that the
        settings name.
    level
        How deep to look: `manifest` (what manifests promise, and that it is there), `objects` (each
        byte against its checksum), `items` (each line, too), or `drill`: then the newest restore
        point is restored and compared, as `coldtable drill TABLE` does it, with its rights.
    subset
        Read only a part of the objects: `5%` is another part each day, and all of them in 20 days;
        `3/20` is that part.
    since
        Only exports of states from then on: `2026-11-01`, `2026-11-01T03:00Z` or `30d`.
    key
        The table's key, where neither the catalog nor an increment tells it: `--key pk:S --key
        sk:N`. For the level items.
    allow_gap
        Do not mind increments that join on to nothing.
    cores
        How many processes read at a time. Default: one for each core.
    fresh
        Begin from the start, whatever an interrupted run has done.
    state
        A folder for what an interrupted run has done. Default: coldtable/verify in
        $XDG_STATE_HOME or ~/.local/state.
    record
        Note the verdict in the archive's catalog, also if that begins with it; --no-record writes
        nothing. Default: note it if there is a catalog, or no --archive.
    parameter_path
        Where the settings are in SSM Parameter Store.
    yes
        Really do the drill; without it only its plan is shown.
    """
    from coldtable.ops.crew import Crew, cores_here
    from coldtable.ops.evidence import has_catalog
    from coldtable.ops.verify import Wanted, verify_archive

    now = datetime.now(UTC)
    since_then, part = _parse_since(since, now), None
    if subset:
        part = parse_subset(subset, now.date())
    keys = dict(sorted((a.name, a.kind) for a in parse_key(key).attributes)) if key else None
    if cores is not None and cores < 1:
        raise UsageError("--cores must be at least 1")
    drilled = level is Level.DRILL
    if drilled and table is None:
        raise UsageError("--level drill drills one table", hint="Name it: coldtable verify TABLE")
    place = find_archive(context, archive, parameter_path, table)
    wanted = Wanted(
        where=place.shown + place.prefix,
        prefix=place.prefix,
        level=Level.ITEMS if drilled else level,
        state=state or _state_folder(),
        table=table,
        since=since_then,
        subset=part,
        keys=keys,
        fresh=fresh,
    )
    crew = Crew(
        cores=cores or cores_here(),
        threads=_THREADS if place.waits else 1,
        alone=0 if cores else _ALONE,
    )
    with _Shown(context) as shown:
        report = verify_archive(place.open, wanted, crew, now, shown, place.open.witness())
    for text in report.notes:
        context.note(text)
    problem = problem_of(report, place, allow_gap=allow_gap)
    drilled = drilled and problem is None
    if not drilled:
        answer(context, place, report)
    if record is None:
        record = archive is None or has_catalog(place.store)
    if record:
        unnoted = _note(context, place, report, wanted)
        if unnoted and problem:
            context.note(unnoted.message)
        problem = problem or unnoted
    if drilled and table:
        from coldtable.cli.drill import drill_after
        from coldtable.cli.restore import restore_windows
        from coldtable.ops.drill_plan import DrillWish

        schema = parse_key(key) if key else None
        wish = DrillWish(table=table, key=schema, allow_gap=allow_gap, record=record)
        windows = partial(restore_windows, context, place, None)
        drill_after(context, place, report, wish, windows, really=yes)
    if problem:
        raise problem
    return 0


def _note(context: Context, place: Place, report: Report, wanted: Wanted) -> ColdtableError | None:
    """Note the verdict in the catalog; if it cannot be, the verdict has been printed all the same,
    and weighs more if it is bad."""
    from coldtable.core.evidence import Run
    from coldtable.ops.catalog import Catalog
    from coldtable.ops.evidence import record_verification

    run = Run(
        prefix=place.prefix,
        began=report.began,
        ended=datetime.now(UTC),
        since=wanted.since,
        subset=wanted.subset,
    )
    try:
        noted = record_verification(Catalog(place.store), report, run)
    except ColdtableError as error:
        return PartialError(
            f"The verdict is above, and could not be noted in the catalog: {error.message}",
            hint="With --no-record nothing is noted" + (f"\n{error.hint}" if error.hint else ""),
        )
    for key in noted.keys:
        context.note(f"Noted in {place.name(key)}")
    for one in noted.unattributed:
        context.note(f"{place.name(one.key)} cannot be read, and nothing tells whose export it is")
    if not noted.keys:
        context.note("Nothing was noted: of no table an export was read")
    return None


def _state_folder() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "coldtable" / "verify"


def _parse_since(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    if found := re.fullmatch(r"(\d{1,5})([dh])", text):
        unit = timedelta(days=1) if found[2] == "d" else timedelta(hours=1)
        return now - int(found[1]) * unit
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no time", hint="Write 2026-11-01, 2026-11-01T03:00Z or 30d"
        ) from None
    # A bare date is midnight in UTC; a time of day without an offset could be many moments.
    if moment.tzinfo is None and len(text) > len("2026-11-01"):
        raise UsageError(f"--since {text!r} has no offset", hint=f"Write {text}Z for UTC")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


class _Shown:
    """What a run shows on stderr: a bar on a terminal, and each bad export as it is judged."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bar: Progress | None = None
        if context.verbosity >= 0 and context.err.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=context.err,
                transient=True,
            )
            self._line = self._bar.add_task("looking for exports", total=None)

    def __enter__(self) -> _Shown:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, exports: int, objects: int, size: int, resumed: int) -> None:
        """See ``ops.verify.Watch``."""
        if resumed:
            self._context.note(f"Going on: {resumed} objects were read by an interrupted run")
        self._context.detail(f"{exports} exports, {objects} objects, {size} bytes")
        if self._bar:
            self._bar.update(self._line, description=f"{exports} exports", total=size)

    def advance(self, objects: int, size: int) -> None:  # noqa: ARG002  # bytes say more
        """See ``ops.verify.Watch``."""
        if self._bar:
            self._bar.advance(self._line, size)

    def judged(self, checked: Checked) -> None:
        """See ``ops.verify.Watch``."""
        say = self._context.note if checked.is_bad else self._context.detail
        say(f"{table_name(checked)} {checked.export_id}: {checked.verdict}")
