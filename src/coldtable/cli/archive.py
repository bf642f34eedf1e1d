"""``--archive``: the folder of exports that a command reads, in a bucket or on a disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from coldtable.cli.context import Context
from coldtable.core.archive import EXPORT_ID
from coldtable.core.configuration import parse_configuration
from coldtable.core.policy import settings_for
from coldtable.core.settings import parse_path
from coldtable.errors import NotFound, UsageError
from coldtable.model import Destination
from coldtable.ops.witness import Describe, Witness
from coldtable.ports import ObjectStore
from coldtable.ports_restore import Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Makes an archive's object store, in this process or in another one."""

    context: Context
    bucket: str | None = None
    owner: str | None = None
    folder: Path | None = None

    def __call__(self) -> ObjectStore:
        """The store."""
        if self.folder is not None:
            from coldtable.files import FileObjects

            return FileObjects(self.folder)
        from coldtable.aws.objects import S3Objects

        client = self.context.session.client("s3")
        return S3Objects(client, self.bucket or "", owner=self.owner)

    def retriever(self) -> Retriever | None:
        """What brings archived objects back; a folder has none."""
        if self.folder is not None:
            return None
        from coldtable.aws.retriever import S3Retriever

        client = self.context.session.client("s3")
        return S3Retriever(client, self.bucket or "", owner=self.owner)

    def witness(self) -> Witness | None:
        """Who knows which exports were filtered; for a folder nobody is asked."""
        if self.folder is not None:
            return None
        from coldtable.aws.exporter import DynamoDbExporter

        def connect() -> Describe:
            return DynamoDbExporter(self.context.session.client("dynamodb")).describe

        return Witness(connect=connect, now=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an archive lies: its objects are those whose keys begin with ``prefix``.

    ``shown`` is what a key is shown after, and ``waits`` tells that the store keeps one waiting.
    """

    open: Opener
    prefix: str
    shown: str

    @property
    def store(self) -> ObjectStore:
        """A store to read from."""
        return self.open()

    @property
    def waits(self) -> bool:
        """Whether reading several objects at a time is faster, whatever the cores."""
        return self.open.folder is None

    def name(self, key: str) -> str:
        """How an object is named to people."""
        return self.shown + key


def find_archive(
    context: Context, where: str | None, parameter_path: str, table: str | None
) -> Place:
    """The archive that ``--archive`` names; without it, that of the installation."""
    if where:
        return open_archive(context, where)
    return configured_archive(context, parameter_path, table)


def open_archive(context: Context, where: str) -> Place:
    """The archive that ``--archive s3://bucket/prefix`` or ``--archive DIR`` names.

    One export's own folder is an archive too, and its files may lie beside it.
    """
    scheme, colon, rest = where.partition("://")
    if not colon:
        return _folder(context, Path(where))
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise UsageError(
            f"--archive {where!r} is no place that coldtable can read",
            hint="Write s3://BUCKET/PREFIX, or the path of a folder",
        )
    prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
    return Place(
        open=Opener(context=context, bucket=bucket), prefix=prefix, shown=f"s3://{bucket}/"
    )


def configured_archive(context: Context, parameter_path: str, table: str | None) -> Place:
    """The bucket that the installation exports ``table`` to; without one, its usual bucket."""
    from coldtable.aws.parameters import SsmParameters

    path = parse_path(parameter_path)
    configuration = parse_configuration(
        path, SsmParameters(context.session.client("ssm")).read(path)
    )
    settings = settings_for(configuration, [table] if table else [])
    usual = Destination(bucket=settings.bucket), settings.prefix_template
    to, _ = settings.apart.get(table or "", usual)
    return Place(
        open=Opener(context=context, bucket=to.bucket, owner=to.owner),
        prefix="",
        shown=f"s3://{to.bucket}/",
    )


def _folder(context: Context, path: Path) -> Place:
    if not path.is_dir():
        raise NotFound(f"There is no folder {path}", hint="Name a folder, or s3://BUCKET/PREFIX")
    path = path.resolve()
    if EXPORT_ID.fullmatch(path.name):
        root, prefix = path.parent, f"{path.name}/"
    else:
        root, prefix = path, ""
    return Place(
        open=Opener(context=context, folder=root),
        prefix=prefix,
        shown=f"{root}/".replace("//", "/"),
    )
