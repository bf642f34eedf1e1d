"""Is a completed export whole, and is it what was asked for? Held against three witnesses:
the request, DescribeExport, and what lies in the bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from coldtable.core.manifest import Manifest
from coldtable.errors import DamagedError
from coldtable.model import Export, ExportRequest, Snapshot, Window

# The gzip of nothing [REAL-G]: a data file cannot be smaller.
SMALLEST = 20


def check_answer(request: ExportRequest, export: Export) -> None:
    """Raise ``DamagedError`` unless DescribeExport tells of exactly this request."""
    _same("DescribeExport", export.arn, _expected(request), _described(export))
    if export.filtered:
        raise DamagedError(
            f"The export {export.arn} has a FilterSpecification: it is no copy of the table",
            hint="It does not count as coverage; coldtable never filters",
        )


def check_manifest(request: ExportRequest, manifest: Manifest) -> None:
    """Raise ``DamagedError`` unless the manifest tells of exactly this request.

    It has no ClientToken and no bucket owner [REAL-G].
    """
    expected = {k: v for k, v in _expected(request).items() if k not in ("token", "owner")}
    told = {
        "table": manifest.table_arn,
        "table id": manifest.table_id,
        "span": _span(manifest.moment, manifest.window),
        "view": manifest.view,
        "bucket": manifest.bucket,
        "prefix": (manifest.prefix or "").rstrip("/"),
        "format": manifest.output_format,
        "key": manifest.key,
    }
    _same("The manifest", manifest.export_arn, expected, told)


def check_objects(manifest: Manifest, sizes: Mapping[str, int]) -> int:
    """The bytes of all listed data files together; ``sizes`` maps keys to sizes.

    Raises ``DamagedError`` if a file is missing or too small to be a gzip stream.
    """
    missing = [file.key for file in manifest.files if file.key not in sizes]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DamagedError(
            f"The manifest of {manifest.export_arn} lists {missing[0]}{more}, "
            "and the bucket does not have it"
        )
    for file in manifest.files:
        if sizes[file.key] < SMALLEST:
            raise DamagedError(f"{file.key} has only {sizes[file.key]} bytes")
    return sum(sizes[file.key] for file in manifest.files)


def settled_since(export: Export, now: datetime) -> timedelta:
    """How long ago the export ended; a manifest that is missing may come within minutes."""
    return now - export.ended if export.ended else timedelta()


def _expected(request: ExportRequest) -> dict[str, object]:
    return {
        "table": request.table.arn,
        "table id": request.table.table_id,
        "span": request.span,
        "view": request.view,
        "bucket": request.to.bucket,
        "owner": request.to.owner,
        "prefix": request.prefix.rstrip("/"),
        "format": "DYNAMODB_JSON",
        "key": request.to.key,
        "token": request.token,
    }


def _described(export: Export) -> dict[str, object]:
    return {
        "table": export.table_arn,
        "table id": export.table_id,
        "span": _span(export.moment, export.window),
        "view": export.view,
        "bucket": export.bucket,
        "owner": export.owner,
        "prefix": (export.prefix or "").rstrip("/"),
        "format": export.output_format,
        "key": export.key,
        "token": export.token,
    }


def _span(moment: datetime | None, window: Window | None) -> object:
    return window or (Snapshot(moment=moment) if moment else None)


def _same(who: str, what: str, expected: Mapping[str, object], told: Mapping[str, object]) -> None:
    for name, wanted, found in _differences(expected, told):
        raise DamagedError(f"{who} of {what} tells another {name}: {found}, not {wanted}")


def _differences(
    expected: Mapping[str, object], told: Mapping[str, object]
) -> Iterator[tuple[str, object, object]]:
    for name, wanted in expected.items():
        if told[name] != wanted:
            yield name, wanted, told[name]
