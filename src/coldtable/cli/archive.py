"""``--archive``: the folder of exports that a command reads, in a bucket or on a disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coldtable.cli.context import Context
from coldtable.core.archive import EXPORT_ID
from coldtable.errors import NotFound, UsageError
from coldtable.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an archive lies: its objects are those of ``store`` whose keys begin with ``prefix``.

    ``shown`` is what keys are shown after, with a slash or nothing at its end.
    """

    store: ObjectStore
    prefix: str
    shown: str

    def name(self, key: str) -> str:
        """How an object is named to people."""
        return self.shown + key


def open_archive(context: Context, where: str) -> Place:
    """The archive that ``--archive s3://bucket/prefix`` or ``--archive DIR`` names.

    One export's own folder is an archive too, and its files may lie beside it.
    """
    scheme, colon, rest = where.partition("://")
    if not colon:
        return _folder(Path(where))
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise UsageError(
            f"--archive {where!r} is no place that coldtable can read",
            hint="Write s3://BUCKET/PREFIX, or the path of a folder",
        )
    from coldtable.aws.objects import S3Objects

    prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
    store = S3Objects(context.session.client("s3"), bucket)
    return Place(store=store, prefix=prefix, shown=f"s3://{bucket}/")


def _folder(path: Path) -> Place:
    from coldtable.files import FileObjects

    if not path.is_dir():
        raise NotFound(f"There is no folder {path}", hint="Name a folder, or s3://BUCKET/PREFIX")
    path = path.resolve()
    if EXPORT_ID.fullmatch(path.name):
        root, prefix = path.parent, f"{path.name}/"
    else:
        root, prefix = path, ""
    return Place(store=FileObjects(root), prefix=prefix, shown=f"{root}/".replace("//", "/"))
