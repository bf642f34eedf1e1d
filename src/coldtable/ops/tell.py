"""Tell people of incidents: once when one begins, and once when it is over.

Noted first, then told, then noted as told: whoever crashes between is made up for by the next
tick. So a message can come twice if the crash was exactly there, and never not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from coldtable.core.incidents import Telling, message, over_message
from coldtable.core.records import Home, body, incident_key, iso_z
from coldtable.model_archive import IncidentKind, Timeline, Trouble
from coldtable.ops.catalog import Catalog
from coldtable.ports import Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What telling of one table's incidents needs; without a ``timeline`` nobody is told what can
    be restored once it is over."""

    home: Home
    catalog: Catalog
    notifier: Notifier
    now: datetime
    timeline: Timeline | None = None


def tell(telling: Telling, trouble: Trouble | None, desk: Desk) -> str:
    """Note and tell; returns the subject of the message."""
    return _over(telling, desk) if telling.over else _begin(telling, trouble, desk)


def _begin(telling: Telling, trouble: Trouble | None, desk: Desk) -> str:
    key = _key(desk, telling, "open")
    if not telling.noted and trouble is not None:
        subject, text = message(desk.home.name, trouble)
        fields = {
            "table": desk.home.name,
            "incident": str(telling.kind),
            "cause": trouble.cause,
            "since": iso_z(trouble.since),
            "what": trouble.what,
            "subject": subject,
            "text": text,
            **({"exports": list(trouble.exports)} if trouble.exports else {}),
        }
        if not desk.catalog.note(key, body("incident", desk.now, **fields)):
            # Another tick was first with it, and tells it.
            return ""
    record = desk.catalog.read(key)
    return _send(telling, desk, record["subject"], record["text"], "told")


def _over(telling: Telling, desk: Desk) -> str:
    record = desk.catalog.read(_key(desk, telling, "open"))
    subject, text = over_message(desk.home.name, record["what"], desk.now, desk.timeline)
    fields = {"table": desk.home.name, "incident": str(telling.kind), "text": text}
    noted = desk.catalog.note(_key(desk, telling, "over"), body("over", desk.now, **fields))
    if not noted and not telling.noted:
        return ""
    return _send(telling, desk, subject, text, "overtold")


def _send(telling: Telling, desk: Desk, subject: str, text: str, state: str) -> str:
    desk.notifier.tell(subject, f"{text}\n\n(incident {telling.kind} {telling.name})")
    desk.catalog.note(_key(desk, telling, state), body(state, desk.now, subject=subject))
    return subject


def _key(desk: Desk, telling: Telling, state: str) -> str:
    return incident_key(desk.home, telling.kind, telling.name, state)


def trouble_of(
    telling: Telling, trouble: Trouble | None, lost: Mapping[str, Trouble]
) -> Trouble | None:
    """What an incident is about."""
    return lost.get(telling.name) if telling.kind is IncidentKind.LOSS else trouble
