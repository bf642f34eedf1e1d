"""How far a restore is: which files are written, and how many lines of those that are not.

Files are named by their place in the list of the export's files, sorted by key; ``files`` is a
digest of that list, so that a checkpoint of another list is not believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coldtable.core.manifest import DataFile
from coldtable.errors import DamagedError
from coldtable.model_restore import Way

SCHEMA = "coldtable.restore-checkpoint/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of one restore into one table.

    ``done`` are files that are written to their end; ``part`` the lines written of others. More
    may be written than is told here: to put an item again changes nothing. ``made`` tells that the
    table was made by this restore. Of imports: how many were asked for, the ARN of the last one, if
    AWS has told it, and ``way`` whether it is that one that is gone on with.
    """

    table_id: str = ""
    files: str = ""
    done: frozenset[int] = frozenset()
    part: Mapping[int, int] = field(default_factory=dict)
    made: bool = False
    way: Way = Way.WRITE
    attempt: int = 0
    import_arn: str | None = None

    @property
    def ours(self) -> bool:
        """Whether the table is this restore's own, to be made as the source was."""
        return self.made or self.way is Way.IMPORT


def digest_of(files: Sequence[DataFile]) -> str:
    """What tells one list of files from another: their contents, in order."""
    text = "\n".join(f"{file.md5} {file.items}" for file in files)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def encode(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as JSON. Files that are done come as ranges: there may be 50,000 of them."""
    record = {
        "schema": SCHEMA,
        "tableId": checkpoint.table_id,
        "files": checkpoint.files,
        "done": [list(span) for span in _ranges(checkpoint.done)],
        "part": {str(place): lines for place, lines in sorted(checkpoint.part.items())},
        "made": checkpoint.made,
        "way": str(checkpoint.way),
        "attempt": checkpoint.attempt,
        "importArn": checkpoint.import_arn,
    }
    return json.dumps(record).encode() + b"\n"


def decode(name: str, body: bytes) -> Checkpoint:
    """What ``encode`` wrote; ``DamagedError`` naming it if it is anything else."""
    try:
        record: dict[str, Any] = json.loads(body)
        if record["schema"] != SCHEMA:
            raise ValueError(f"its schema is {record['schema']!r}")
        return Checkpoint(
            table_id=record["tableId"],
            files=record["files"],
            done=frozenset(n for low, high in record["done"] for n in range(low, high + 1)),
            part={int(place): int(lines) for place, lines in record["part"].items()},
            made=bool(record["made"]),
            way=Way(record["way"]),
            attempt=int(record["attempt"]),
            import_arn=record["importArn"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(
            f"The checkpoint {name} cannot be read: {error}",
            hint="Delete it to begin anew: items that are written already are written again",
        ) from None


def _ranges(places: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for place in sorted(places):
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found
