"""What is written into a table: items in files, and where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from coldtable.core.archive import SUMMARY, ArchivedExport
from coldtable.core.manifest import DataFile
from coldtable.ops.restore_plan import Progress, Windows, json_lines
from coldtable.ports import ObjectStore

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Items in files, proven to be whole. ``read`` gives a file's lines, those of a full export.

    ``folder`` is where ImportTable finds them, ``output_format`` how they are written there.
    ``scratch`` is the folder of what was written for this only, empty if nothing was.
    """

    files: tuple[DataFile, ...]
    read: Callable[[DataFile], Iterable[bytes]]
    items: int
    folder: str = ""
    output_format: str = "DYNAMODB_JSON"
    scratch: str = ""


def clear(content: Content, windows: Windows) -> None:
    """Remove what was written for this restore only; what refuses to go is told."""
    if not content.scratch:
        return
    # The summary first: without it nobody takes the rest for an export.
    windows.scratch.remove(f"{content.scratch}/{SUMMARY}")
    refused = windows.scratch.remove_many(list(windows.scratch.keys(f"{content.scratch}/")))
    for key, error in list(refused.items())[:1]:
        windows.say(f"{len(refused)} objects of the fold are still there: {key}: {error.message}")


def exported(export: ArchivedExport, store: ObjectStore, windows: Windows) -> Content:
    """The content of a full export, which somebody has proven."""
    files = export.files
    folder = files[0].key.rpartition("/")[0] if files else f"{export.folder}/data"
    return Content(
        files=files,
        read=lambda file: json_lines(file, export, store, windows.ion),
        items=export.manifest.items,
        folder=f"{folder}/",
        output_format=export.manifest.output_format,
    )
