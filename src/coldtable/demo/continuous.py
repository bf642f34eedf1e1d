"""The demo's second part: the table is kept continuously, the ticks stop for a day, and the chain
heals; and whether what is shown is true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from coldtable.core.records import Home, incident_key, iso_z, parse_incident_name
from coldtable.core.timeline import ledger_timeline
from coldtable.demo.scene import TABLE, Item
from coldtable.demo.story import Stage, order, plain
from coldtable.errors import CheckFailed
from coldtable.model_archive import Chain, Ledger, Timeline
from coldtable.ops.catalog import Catalog

POLICY = {"mode": "continuous", "every_minutes": 60}
HOUR = timedelta(hours=1)
OUTAGE = timedelta(hours=26)
# A tick that starts an export, and one that sees it done.
_TICKS = timedelta(minutes=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What the second part found: the timeline after each act, who was told what, and the table's
    items as they were at the restore points of interest."""

    grown: Timeline
    healed: Timeline
    told: tuple[str, ...]
    states: Mapping[datetime, Mapping[str, Item]]


def keep_continuously(stage: Stage, bucket: str, path: str) -> Growth:
    """Let a chain grow, stop the ticks for more than a day, let them go on."""
    tell, aws, scene = stage.tell, stage.aws, stage.scene
    proven = _settled(stage, bucket)
    tell(f"{stage.clock()}  the tick has proven the night's export: {_words(proven)}")
    scene.write_parameter(f"{path}/POLICY", json.dumps(POLICY))
    tell(f"{stage.clock()}  the table is kept continuously from now on: {json.dumps(POLICY)}")
    history = [(aws.now(), scene.items())]
    for number in range(3):
        scene.put(order(10 + number, "open", str(number)))
        history.append((aws.now(), scene.items()))
        _pass(stage, HOUR)
    grown = _settled(stage, bucket)
    tell(f"{stage.clock()}  {_words(grown)}")
    tell(f"{stage.clock()}  the ticks stop: nobody looks at the table for {OUTAGE // HOUR} hours")
    aws.advance(OUTAGE / 2, fire=False)
    scene.put(order(10, "lost?", "1"))
    scene.remove("order-11")
    history.append((aws.now(), scene.items()))
    aws.advance(OUTAGE / 2, fire=False)
    scene.put(order(20, "open", "20"))
    history.append((aws.now(), scene.items()))
    tell(f"{stage.clock()}  the ticks go on")
    _pass(stage, HOUR)
    healed = _settled(stage, bucket)
    tell(f"{stage.clock()}  {_words(healed)}")
    return Growth(
        grown=grown,
        healed=healed,
        told=_told(stage, bucket),
        states={point: plain(_at(history, point)) for point in (_newest(grown), _newest(healed))},
    )


def check_growth(growth: Growth) -> list[str]:
    """What is off; nothing, if all is well."""
    wrong = []
    if len(growth.grown.chains) != 1 or growth.grown.chains[0].windows < 2:
        wrong.append(f"the chain has not grown: {growth.grown.chains}")
    if growth.healed.gaps or len(growth.healed.chains) != 1:
        wrong.append(f"the outage has left a gap: {growth.healed.gaps}")
    if _newest(growth.healed) - _newest(growth.grown) < OUTAGE:
        wrong.append("the outage has not been caught up")
    if growth.told != (f"coldtable: {TABLE}: stale", f"coldtable: {TABLE}: over"):
        wrong.append(f"people were told {growth.told}")
    return wrong


def check_restored(back: Mapping[datetime, Mapping[str, Item]], growth: Growth) -> list[str]:
    """What is off in the restored tables: each should hold what the table held at its instant."""
    wrong = [
        f"the table restored as of {iso_z(point)} is not what the table was"
        for point, items in growth.states.items()
        if back.get(point) != items
    ]
    states = list(growth.states.values())
    if len(states) < 2 or states[0] == states[1]:
        wrong.append("the restore points of the story do not differ, so they prove nothing")
    return wrong


def _pass(stage: Stage, length: timedelta) -> None:
    stage.aws.advance(length)
    # Exports end in real time, and the next hour should find them done.
    stage.quiet()


def _settled(stage: Stage, bucket: str) -> Timeline:
    """The timeline once every export that runs has been seen to its end."""
    for _ in range(6):
        stage.quiet()
        stage.aws.advance(_TICKS)
        stage.quiet()
        ledger = _ledger(stage, bucket)
        if not ledger.empty and not any(a.in_flight for w in ledger.pending for a in w.attempts):
            return ledger_timeline(ledger)
    raise CheckFailed("The ticks do not come to rest", hint="coldtable demo --keep, coldtable tick")


def _home(stage: Stage) -> Home:
    return Home.of(stage.exporter.table(TABLE))


def _ledger(stage: Stage, bucket: str) -> Ledger:
    catalog, home = Catalog(stage.objects(bucket)), _home(stage)
    table_id = stage.exporter.table(TABLE).table_id
    return catalog.ledger(home, table_id, catalog.heads(home))


def _told(stage: Stage, bucket: str) -> tuple[str, ...]:
    """The subjects of the messages, in order."""
    store, home = stage.objects(bucket), _home(stage)
    catalog = Catalog(store)
    names = [key.removeprefix(home.incident) for key in store.keys(home.incident)]
    parsed = [p for name in names if (p := parse_incident_name(name))]
    records = [
        catalog.read(incident_key(home, kind, name, state))
        for kind, name, state in parsed
        if state in ("told", "overtold")
    ]
    return tuple(r["subject"] for r in sorted(records, key=lambda r: str(r["at"])))


def _at(history: list[tuple[datetime, dict[str, Item]]], moment: datetime) -> dict[str, Item]:
    return [items for at, items in history if at < moment][-1]


def _newest(timeline: Timeline) -> datetime:
    if timeline.newest is None:
        raise CheckFailed("Nothing can be restored")
    return timeline.newest


def _words(timeline: Timeline) -> str:
    def one(chain: Chain) -> str:
        return (
            f"a full export of {iso_z(chain.base)} and {chain.windows} windows: restorable up to "
            f"{iso_z(chain.end)}"
        )

    return "; ".join(map(one, timeline.chains)) or "nothing is restorable yet"
