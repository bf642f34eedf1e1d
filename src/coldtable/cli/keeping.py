"""What ``expire``, ``hold`` and ``report`` have in common: the configured archives' catalogs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from coldtable.cli.context import Context
from coldtable.core.configuration import parse_configuration
from coldtable.core.policy import destinations
from coldtable.core.settings import parse_path
from coldtable.errors import ConfigError, NotFound, UsageError
from coldtable.model import Destination
from coldtable.model_policy import Configuration
from coldtable.ops.catalog import Catalog
from coldtable.ops.shelf import Shelf, shelves
from coldtable.ports import ObjectStore, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket that the configuration exports to, and what its catalog knows of this account's
    tables in this region."""

    to: Destination
    store: ObjectStore
    vault: Vault
    shelves: tuple[Shelf, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The configuration, and the buckets that it exports to."""

    configuration: Configuration
    account: str
    region: str
    buckets: tuple[Bucket, ...]

    def chosen(self, tables: tuple[str, ...]) -> Iterator[tuple[Bucket, Shelf]]:
        """The shelves of these tables (all, if none is named); ``NotFound`` for a wrong name."""
        known = {shelf.home.name for bucket in self.buckets for shelf in bucket.shelves}
        if missing := [name for name in tables if name not in known]:
            where = ", ".join(bucket.to.bucket for bucket in self.buckets)
            raise NotFound(
                f"The catalog in {where} knows no table {', '.join(missing)}",
                hint=f"It knows: {', '.join(sorted(known))}"
                if known
                else "It knows none; if the exports are there: coldtable catalog rebuild",
            )
        for bucket in self.buckets:
            for shelf in bucket.shelves:
                if not tables or shelf.home.name in tables:
                    yield bucket, shelf


def parse_moment(option: str, text: str) -> datetime:
    """A moment with its offset, or a date: then its first second in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is None and len(text) > len("2026-11-01")):
        raise UsageError(
            f"{option} {text!r} is no time with its offset",
            hint="Write 2026-11-01, or 2026-11-01T03:00Z",
        )
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def open_kept(context: Context, parameter_path: str) -> Kept:
    """Read the settings, and the catalog of each bucket that they name."""
    from coldtable.aws.objects import S3Objects
    from coldtable.aws.parameters import SsmParameters
    from coldtable.aws.vault import S3Vault

    path = parse_path(parameter_path)
    session = context.session
    configuration = parse_configuration(path, SsmParameters(session.client("ssm")).read(path))
    account, region = session.caller().split(":")[4], session.region
    if not region:
        raise ConfigError("No AWS region is set", hint="Use --region, or set AWS_REGION")
    s3 = session.client("s3")
    buckets = []
    for to in destinations(configuration):
        store = S3Objects(s3, to.bucket, owner=to.owner)
        found = tuple(shelves(Catalog(store), account, region))
        vault = S3Vault(s3, to.bucket, owner=to.owner)
        buckets.append(Bucket(to=to, store=store, vault=vault, shelves=found))
    return Kept(configuration=configuration, account=account, region=region, buckets=tuple(buckets))
