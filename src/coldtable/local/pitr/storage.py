"""Histories and records in a state directory: what survives a clean restart.

``pitr/tables.json`` lists the histories, ``pitr/<n>.jsonl.gz`` holds one journal each, and
``pitr/records.json`` the exports and imports.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .backups import History
from .journal import Journal

_FOLDER = "pitr"


def save(folder: Path, histories: Iterable[History], records: dict[str, Any]) -> None:
    """Write everything anew. A save that is cut short leaves the one before it."""
    fresh, final = folder / f"{_FOLDER}.new", folder / _FOLDER
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    tables = []
    for number, history in enumerate(one for one in histories if one.ready):
        name = f"{number}.jsonl.gz"
        with gzip.open(fresh / name, "wb", compresslevel=1) as file:
            file.writelines(history.journal.rows())
        tables.append({"file": name, **_described(history)})
    (fresh / "tables.json").write_text(json.dumps(tables))
    (fresh / "records.json").write_text(json.dumps(records))
    shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)


def load(folder: Path) -> tuple[list[History], dict[str, Any]]:
    """Histories and records; both empty when the folder has none."""
    home = folder / _FOLDER
    if not (home / "records.json").exists():
        return [], {}
    histories = []
    for table in json.loads((home / "tables.json").read_text()):
        journal = Journal(
            table_arn=table["table_arn"],
            table_id=table["table_id"],
            key_names=table["key_names"],
        )
        with gzip.open(home / table["file"], "rb") as file:
            journal.restore_rows(file)
        histories.append(
            History(
                journal=journal,
                since=table["since"],
                period_days=table["period_days"],
                ready=True,
            )
        )
    records: dict[str, Any] = json.loads((home / "records.json").read_text())
    return histories, records


def _described(history: History) -> dict[str, Any]:
    journal = history.journal
    return {
        "table_arn": journal.table_arn,
        "table_id": journal.table_id,
        "key_names": journal.key_names,
        "since": history.since,
        "period_days": history.period_days,
    }
