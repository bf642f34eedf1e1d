"""What belongs to no chain and is paid for all the same: damaged exports, and increments that no
full export leads to. Which of them are of no use to anybody any more?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from coldtable.core.records import iso_z
from coldtable.core.retention import Decision, Gone, Piece, Unit, decide, gather, wrong_clock
from coldtable.model import Snapshot
from coldtable.model_archive import Attempt, Hold, Outcome, Slot
from coldtable.model_policy import Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """One such export: whether it stays, and why.

    ``damaged`` tells that its bytes are not right; otherwise nothing leads to it. ``instead`` is
    the export that is to be there, because it is why this one may go.
    """

    piece: Piece
    damaged: bool
    keep: bool
    reasons: tuple[str, ...]
    instead: Piece | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """All that there is of one TableId.

    ``kept`` are the proven exports that are there; those with a ``bad`` id have been found damaged
    since. ``damaged`` were never proven. ``attempts`` are all of each slot, ``wanted`` the starts
    of windows that may still come.
    """

    kept: Sequence[Piece]
    damaged: Sequence[Piece]
    attempts: Mapping[Slot, Sequence[Attempt]]
    bad: frozenset[str] = frozenset()
    wanted: Sequence[datetime] = ()


def sort_out(
    stock: Stock,
    retention: Retention,
    holds: Sequence[Hold],
    now: datetime,
    gone: Gone | None = None,
) -> tuple[tuple[Decision, ...], tuple[Spare, ...]]:
    """What becomes of each chain, and of what is in none.

    What is bad counts as if it were not there: it lets nothing older go, and what can only be
    rebuilt through it is in no chain. But whatever stays with the chain that it was a part of, by
    a rule or a hold, still stays: it may be mended.
    """

    def is_bad(piece: Piece) -> bool:
        return piece.attempt.export_id in stock.bad

    found = gather((p for p in stock.kept if not is_bad(p)), stock.wanted)
    before = gather(stock.kept, stock.wanted).units if stock.bad else ()
    whole = {p: d for d in decide(before, retention, (), now, gone) for p in d.unit.pieces}

    def held(piece: Piece) -> tuple[str, ...]:
        unit = whole[piece].unit if piece in whole else None
        return tuple(
            f"held: {hold.reason}"
            for hold in holds
            if piece.is_held_by(hold) or (unit and unit.is_held_by(hold))
        )

    def reviewed(decision: Decision) -> Decision:
        if decision.keep:
            return decision
        pieces = decision.unit.pieces
        why = [text for piece in pieces for text in held(piece)]
        parts = [whole[piece] for piece in pieces if piece in whole and whole[piece].keep]
        why += [f"{'; '.join(d.reasons)}, with what is damaged of its chain" for d in parts]
        return replace(decision, keep=True, reasons=tuple(dict.fromkeys(why))) if why else decision

    decided = tuple(map(reviewed, decide(found.units, retention, holds, now, gone)))
    grounds = Grounds(
        decisions=decided,
        others=stock.attempts,
        sound=lambda attempt: attempt.export_id not in stock.bad,
        held=held,
        parts=frozenset(piece for piece, d in whole.items() if d.keep),
        retention=retention,
        now=now,
        gone=gone,
    )
    bad = filter(is_bad, stock.kept)
    return decided, judge((*stock.damaged, *bad), found.loose, grounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What the spares of one TableId are judged by.

    ``decisions`` are about its chains; ``others`` all attempts of each slot; ``sound`` tells
    whether a verified one is not known to be bad; ``held`` says why an export is held. ``parts``
    belong to a chain that would stay if nothing of it were bad.
    """

    decisions: Sequence[Decision]
    others: Mapping[Slot, Sequence[Attempt]]
    sound: Callable[[Attempt], bool]
    held: Callable[[Piece], Sequence[str]]
    retention: Retention
    now: datetime
    gone: Gone | None = None
    parts: frozenset[Piece] = frozenset()


def judge(damaged: Iterable[Piece], loose: Iterable[Piece], grounds: Grounds) -> tuple[Spare, ...]:
    """Keep or remove, for each one, in order of time.

    A damaged one goes once a chain that stays has each of its restore points, or once another
    attempt for the same slot was proven. Whatever nothing stands in for stays as long as any rule
    would keep a full export in its place, or a chain stays that is as old.
    """
    found = [(p, True) for p in damaged] + [(p, False) for p in loose]
    found.sort(key=lambda one: (one[0].start, one[0].stop, one[0].slot))
    pieces = [piece for piece, _ in found]
    if why := wrong_clock([p.stop for p in pieces], grounds.now):
        return tuple(_kept(p, bad, why, *grounds.held(p)) for p, bad in found)
    leading = {p.stop: p for d in grounds.decisions if d.keep for p in d.unit.pieces}
    settled = {p: spare for p, bad in found if (spare := _settled(p, bad, leading, grounds))}
    unwanted = _unwanted(
        [p for p in pieces if p not in settled], [p for p, s in settled.items() if s.keep], grounds
    )
    return tuple(settled.get(p) or _by_age(p, bad, p in unwanted) for p, bad in found)


def span_text(piece: Piece) -> str:
    """What an export is about: a moment, or a window."""
    if piece.is_full:
        return iso_z(piece.start)
    return f"{iso_z(piece.start)} to {iso_z(piece.stop)}"


def _settled(
    piece: Piece, bad: bool, leading: Mapping[datetime, Piece], grounds: Grounds
) -> Spare | None:
    """What becomes of it whatever its age is, if that is so. ``leading`` has the restore points
    that stay, each with an export that leads to it."""
    if reasons := grounds.held(piece):
        return _kept(piece, bad, *reasons)
    if grounds.gone and grounds.gone.is_over(grounds.retention):
        return _gone(piece, bad, grounds.gone.text)
    if bad and (twin := _twin(piece, grounds)):
        expired = ", which has expired" if twin.expired else ""
        there = None if twin.expired else Piece(slot=piece.slot, attempt=twin)
        why = f"damaged, and replaced by export {twin.export_id}{expired}"
        return _gone(piece, bad, why, instead=there)
    if bad and piece.start in leading and piece.stop in leading:
        instead = leading[piece.stop]
        why = f"damaged, and replaced by export {instead.attempt.export_id}"
        return _gone(piece, bad, why, instead=instead)
    return None


def _by_age(piece: Piece, bad: bool, unwanted: bool) -> Spare:
    what = "damaged" if bad else "no full export that is here leads to it"
    if unwanted:
        return _gone(piece, bad, f"{what}, and nothing that is as old is kept")
    if bad:
        what = f"damaged: the only copy of {span_text(piece)}; nothing covers it"
    return _kept(piece, bad, what)


def _twin(piece: Piece, grounds: Grounds) -> Attempt | None:
    """Another attempt for the same slot that was proven: one that is there, before one that is
    not any more."""
    proven = [
        a
        for a in grounds.others.get(piece.slot, ())
        if a.number != piece.attempt.number
        and a.span == piece.attempt.span
        and (a.expired or (a.outcome is Outcome.VERIFIED and grounds.sound(a)))
    ]
    return min(proven, key=lambda a: (a.expired, a.number), default=None)


def _unwanted(
    pieces: Sequence[Piece], staying: Sequence[Piece], grounds: Grounds
) -> frozenset[Piece]:
    """Those that no rule would keep, were it a full export and the only one of these, and that are
    older than everything that stays: of chains, of these, and of what is ``staying`` anyway."""
    units = [d.unit for d in grounds.decisions]
    kept = [d.unit.start for d in grounds.decisions if d.keep]
    if not grounds.retention.is_set or not kept:
        return frozenset()

    def is_wanted(piece: Piece) -> bool:
        likened = [*units, Unit(pieces=(_as_full(piece),))]
        return decide(likened, grounds.retention, (), grounds.now)[-1].keep

    bound = min([*kept, *(p.start for p in staying), *(p.start for p in grounds.parts)])
    older = [piece for piece in pieces if piece.stop < bound]
    unwanted = [piece for piece in older if not is_wanted(piece)]
    bound = min([bound, *(p.start for p in set(older) - set(unwanted))])
    return frozenset(piece for piece in unwanted if piece.stop < bound)


def _as_full(piece: Piece) -> Piece:
    return replace(piece, attempt=replace(piece.attempt, span=Snapshot(moment=piece.stop)))


def _kept(piece: Piece, bad: bool, *why: str) -> Spare:
    return Spare(piece=piece, damaged=bad, keep=True, reasons=why)


def _gone(piece: Piece, bad: bool, why: str, *, instead: Piece | None = None) -> Spare:
    return Spare(piece=piece, damaged=bad, keep=False, reasons=(why,), instead=instead)
