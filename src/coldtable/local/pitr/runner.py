"""The running of an accepted export: walk, compress in a thread, upload by parts, finish."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from ..interface import ApiError, Caller, Inner, Scope
from . import lines, manifest, writer
from .backups import History
from .faults import Damage, Failure, Faults
from .manifest import FileLine
from .objects import Bucket, S3Refused, Upload, encryption_headers
from .records import COMPLETED, FAILED, ExportRecord
from .settings import PitrSettings
from .tables import Sift, TableSeam
from .times import floor_millis, micros

_MEGABYTE = 1_000_000
_LEAST_BILLED = 10_000_000


class FailedOnDemand(Exception):
    """A fault that was armed came due."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class Gate:
    """Holds exports back: for ``seconds`` each, and until released when ``held``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open = asyncio.Event()
        self._open.set()

    @property
    def held(self) -> bool:
        return not self._open.is_set()

    def hold(self) -> None:
        """Exports stay IN_PROGRESS from now on."""
        self._open.clear()

    def release(self) -> None:
        """Let them go on."""
        self._open.set()

    async def passed(self) -> None:
        """Wait real seconds, then for the release."""
        await asyncio.sleep(self.seconds)
        await self._open.wait()


class Runner:
    """Runs exports, several at once, one data pass at a time in a worker thread each."""

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings,
        clock: Callable[[], float],
        faults: Faults,
        seam: TableSeam | None,
        put: Callable[[ExportRecord], None],
    ) -> None:
        self.gate = Gate(settings.export_seconds)
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._faults = faults
        self._seam = seam
        self._put = put
        self._pins: dict[str, tuple[str, int]] = {}

    async def run(self, record: ExportRecord, history: History | None) -> None:
        """Take one export to COMPLETED or FAILED; without a history it can only fail."""
        if history is None:
            self.fail(record, "TableNotFound", "The table was deleted while the export ran")
            return
        cut = micros(record.window.start) if record.window else record.bound
        self._pins[record.arn] = (record.table_arn, cut)
        try:
            await self.gate.passed()
            await self.compact(history)
            self._put(await self._written(record, history))
        except S3Refused as refused:
            self.fail(record, refused.failure_code, refused.failure_message)
        except FailedOnDemand as due:
            self.fail(record, due.failure.code, due.failure.message)
        except ApiError as error:
            # The caller's credentials are gone by now.
            self.fail(record, "S3AccessDenied", error.message)
        finally:
            del self._pins[record.arn]

    def fail(self, record: ExportRecord, code: str, message: str) -> None:
        """The export has FAILED now."""
        self._put(
            dataclasses.replace(
                record,
                status=FAILED,
                end=floor_millis(self._clock()),
                failure_code=code,
                failure_message=message,
            )
        )

    async def compact(self, history: History) -> None:
        """Forget what has left the PITR window, but nothing that a waiting export needs."""
        journal = history.journal
        cuts = [cut for arn, cut in self._pins.values() if arn == journal.table_arn]
        horizon = min([micros(history.earliest(self._clock())), *cuts])
        await asyncio.to_thread(journal.compact, horizon)

    async def _written(self, record: ExportRecord, history: History) -> ExportRecord:
        """All objects in AWS's order; the summary's md5 is the very last [GCP]."""
        failure, damage = self._faults.next_failure(), self._faults.next_damage()
        if failure is not None and failure.files is None:
            raise FailedOnDemand(failure)
        target = _Target(self._inner, record, damage)
        await target.put("_started", b"")
        files, raw_bytes = await self._data(record, history, target, failure)
        record = dataclasses.replace(
            record,
            status=COMPLETED,
            end=floor_millis(self._clock()),
            items=sum(line.items for line in files),
            billed_bytes=_billed(raw_bytes, incremental=record.window is not None),
        )
        for name, body in (
            ("manifest-files", manifest.files_json(files)),
            ("manifest-summary", manifest.summary_json(record)),
        ):
            await target.put(f"{name}.json", body)
            await target.put(f"{name}.md5", manifest.md5_text(body))
        return record

    async def _data(
        self, record: ExportRecord, history: History, target: _Target, failure: Failure | None
    ) -> tuple[list[FileLine], int]:
        journal = history.journal
        line = _line(record, journal.key_names, self._sift(record))
        walk = writer.Pass(
            journal.keys(),
            journal.entry,
            line,
            self._settings.partitions,
            part_bytes=self._settings.part_bytes,
        )
        uploads = [target.upload(record.data_folder) for _ in walk.files]
        files: list[FileLine] = []
        try:
            while not walk.done:
                for part in await asyncio.to_thread(walk.advance):
                    if failure is not None and len(files) == failure.files:
                        raise FailedOnDemand(failure)
                    upload = uploads[part.file]
                    await upload.add(part.body)
                    if part.last:
                        files.append(await target.finish(upload, walk.files[part.file]))
        finally:
            for upload in uploads:
                await upload.abort()
        if failure is not None:
            raise FailedOnDemand(failure)
        return files, sum(file.raw_bytes for file in walk.files)

    def _sift(self, record: ExportRecord) -> Sift | None:
        specification = record.request.get("FilterSpecification")
        return self._seam.sift(specification) if self._seam and specification else None


class _Target:
    """The bucket and prefix of one export, with the fault that spoils one of its objects."""

    def __init__(self, inner: Inner, record: ExportRecord, damage: Damage | None) -> None:
        request = record.request
        self._inner = inner
        self._record = record
        self._damage = damage
        # Required for another account's bucket [DOC-REQ]. UNVERIFIED: what comes without it.
        self._owner = str(request.get("S3BucketOwner", record.account))
        self._bucket = Bucket(inner, record.caller, request["S3Bucket"], owner=self._owner)
        self._headers = encryption_headers(record.sse_algorithm, request.get("S3SseKmsKeyId"))

    async def put(self, name: str, body: bytes) -> None:
        """One object of the export's own folder."""
        key = self._record.folder + name
        spoilt = self._spoilt(key, body)
        if spoilt is not None:
            await self._bucket.put(key, spoilt, self._headers)

    def upload(self, folder: str) -> Upload:
        """A new data file below ``folder``."""
        key = folder + writer.file_name(self._record.export_format)
        return Upload(self._bucket, key, self._headers)

    async def finish(self, upload: Upload, file: writer.DataFile) -> FileLine:
        """Close a data file. The manifest tells of the right bytes, whatever became of them."""
        etag = await upload.complete()
        line = FileLine(items=file.items, md5=file.md5.digest(), etag=etag, key=upload.key)
        if self._damage is not None and self._damage.fits(upload.key):
            body = await self._bucket_as_root().get(upload.key)
            spoilt = self._spoilt(upload.key, body)
            await overwrite(self._bucket_as_root(), upload.key, spoilt, self._headers)
        return line

    def _bucket_as_root(self) -> Bucket:
        scope = Scope(account=self._owner, region=self._record.region)
        caller = Caller(scope=scope, access_key="")
        return Bucket(self._inner, caller, self._bucket.name, as_root=True)

    def _spoilt(self, key: str, body: bytes) -> bytes | None:
        """The bytes to leave in the bucket; the armed damage is used once."""
        damage = self._damage
        if damage is None or not damage.fits(key):
            return body
        self._damage = None
        return None if damage.how == "missing" else damage.apply(body)


async def overwrite(
    bucket: Bucket, key: str, body: bytes | None, headers: dict[str, str] | None = None
) -> None:
    """Put other bytes where an object lies (``None``: delete it), by multipart as it came."""
    if body is None:
        await bucket.delete(key)
        return
    upload = Upload(bucket, key, headers or {})
    await upload.add(body)
    await upload.complete()


def _line(record: ExportRecord, key_names: tuple[str, ...], sift: Sift | None) -> lines.Line:
    window = record.window
    if window is None:
        return lines.full(record.bound, record.export_format, sift)
    return lines.incremental(
        micros(window.start),
        micros(window.stop),
        key_names,
        record.export_format,
        old=window.view == "NEW_AND_OLD_IMAGES",
        sift=sift,
    )


def _billed(raw_bytes: int, *, incremental: bool) -> int:
    """UNVERIFIED: PITR's metered size. Known: 0 for tiny tables, at least 10,000,000 for a window.

    Here: the lines' bytes, cut to whole megabytes in a full export.
    """
    if incremental:
        return max(_LEAST_BILLED, raw_bytes)
    return raw_bytes // _MEGABYTE * _MEGABYTE


def damage_request(body: dict[str, Any]) -> tuple[str, str, str]:
    """Bucket, key and kind of a damage to an object that lies there already."""
    try:
        return str(body["bucket"]), str(body["key"]), str(body.get("how", "flip"))
    except KeyError as missing:
        raise ApiError("ValidationException", f"object needs {missing}") from None
