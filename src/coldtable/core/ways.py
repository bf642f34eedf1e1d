"""Whether ImportTable can make the table; where it cannot, we write it."""

from __future__ import annotations

from dataclasses import dataclass

# [DOC-QUOTA]
_MOST_OBJECTS = 50_000
_LARGE_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
_TB = 1_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is known of a restore before its way is chosen.

    ``strays`` are objects beside the export's data files: ImportTable reads a whole folder.
    """

    table_exists: bool
    in_bucket: bool
    some_keys: bool
    merging: bool
    local_indexes: tuple[str, ...]
    objects: int
    stored_bytes: int | None
    region: str
    strays: tuple[str, ...] = ()


def obstacles(wanted: Wanted) -> tuple[str, ...]:
    """Why ImportTable cannot do it, each reason in words; empty if it can. [DOC-IMP, MODEL]"""
    most = (15 if wanted.region in _LARGE_REGIONS else 1) * _TB
    found = []
    if wanted.table_exists:
        found.append("ImportTable only makes new tables, and this one exists")
    if not wanted.in_bucket:
        found.append("ImportTable reads from S3, and the archive is a folder")
    if wanted.some_keys:
        found.append("only some items are restored")
    if wanted.merging:
        found.append("ImportTable cannot merge")
    if wanted.local_indexes:
        names = ", ".join(wanted.local_indexes)
        found.append(f"ImportTable cannot make local secondary indexes ({names})")
    if wanted.objects > _MOST_OBJECTS:
        found.append(f"the export has {wanted.objects} files, and an import takes {_MOST_OBJECTS}")
    if wanted.stored_bytes is not None and wanted.stored_bytes > most:
        found.append(f"the export is larger than the {most // _TB} TB that an import may have")
    if wanted.strays:
        found.append(
            f"{wanted.strays[0]} lies in the export's folder and is not of the export: "
            "ImportTable would read it too"
        )
    return tuple(found)
