"""Bring one stack to a wanted state, and tell what happens on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coldtable.errors import AccessDenied, ColdtableError, Conflict, StackFailed
from coldtable.model_stack import ChangeSet, Stack, StackEvent
from coldtable.ports import Stacks

Pause = Callable[[float], None]
Say = Callable[[str], None]

# From quick, for what is done at once, to a pace that CloudFormation does not throttle.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.25, 4.0, 1.5

# AWS has two texts for a change set without a change, and no code of its own.
_NO_CHANGE = (
    "The submitted information didn't contain changes",
    "No updates are to be performed",
)
_DENIED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
# A resource that was stopped because another failed tells nothing about why.
_STOPPED = re.compile(r"(?:creation|update|deletion) cancelled", re.IGNORECASE)

# What a stack with one of these states is good for; any other can only be waited for or repaired.
_CAN_CREATE = {"REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}
_CAN_UPDATE = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """CloudFormation, and how to wait for it and whom to tell."""

    stacks: Stacks
    pause: Pause
    say: Say


def must_create(stack: Stack | None) -> bool:
    """Whether the stack is to be created, or else updated; ``Conflict`` if neither is possible."""
    if stack is None or stack.status in _CAN_CREATE:
        return True
    if stack.status in _CAN_UPDATE:
        return False
    if stack.status.endswith("_IN_PROGRESS"):
        hint = "Somebody is at it. Wait until that has ended, and try again"
    elif stack.status == "ROLLBACK_COMPLETE":
        hint = "Its creation failed and nothing is in it; without --dry-run it is created anew"
    else:
        hint = (
            "Repair it in the CloudFormation console (its events tell what failed), or remove it "
            f"with coldtable destroy --stack-name {stack.name}"
        )
    why = f": {stack.reason}" if stack.reason else ""
    raise Conflict(f"The stack {stack.name} is in {stack.status}{why}", hint=hint)


def propose(
    shop: Workshop, name: str, template: str, parameters: Mapping[str, str], *, create: bool
) -> ChangeSet | None:
    """A change set that is ready; ``None`` if there is nothing to change (and none is left)."""
    made = shop.stacks.propose(name, template, parameters, create=create)
    wait = _FIRST_PAUSE
    while made.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
        shop.pause(wait)
        wait = min(wait * _GROWTH, _LONGEST_PAUSE)
        made = shop.stacks.look_again(made)
    if made.status == "CREATE_COMPLETE":
        return made
    _clear(shop, made, create=create)
    if any(text in made.reason for text in _NO_CHANGE):
        return None
    raise _failed(f"CloudFormation refuses the change of stack {name}", made.reason)


def withdraw(shop: Workshop, made: ChangeSet, *, create: bool) -> None:
    """Leave nothing behind of a change set that was only looked at."""
    _clear(shop, made, create=create)


def execute(shop: Workshop, made: ChangeSet) -> Stack:
    """Carry the change set out and follow it; ``StackFailed`` has the first reason if it fails."""
    last = _last_event(shop, made.stack_id)
    shop.stacks.execute(made)
    return _follow(shop, made.stack_id, last, {"CREATE_COMPLETE", "UPDATE_COMPLETE"})


def remove(shop: Workshop, stack: Stack) -> None:
    """Delete the stack and follow it to its end."""
    last = _last_event(shop, stack.id)
    shop.stacks.delete(stack.id)
    _follow(shop, stack.id, last, {"DELETE_COMPLETE"})


def _clear(shop: Workshop, made: ChangeSet, *, create: bool) -> None:
    shop.stacks.discard(made)
    stack = shop.stacks.describe(made.stack_id) if create else None
    # Proposing to create a stack makes an empty one, which only waits for its change set.
    if stack and stack.status == "REVIEW_IN_PROGRESS":
        shop.stacks.delete(stack.id)


def _last_event(shop: Workshop, stack_id: str) -> str | None:
    events = shop.stacks.events(stack_id, None)
    return events[-1].id if events else None


def _follow(shop: Workshop, stack_id: str, after: str | None, good: set[str]) -> Stack:
    seen: list[StackEvent] = []
    wait = _FIRST_PAUSE
    while True:
        # First the state, then the events: so all events up to that state are told.
        stack = shop.stacks.describe(stack_id)
        for event in shop.stacks.events(stack_id, after):
            seen.append(event)
            after = event.id
            shop.say(_line(event))
        if stack is None:
            raise StackFailed(f"The stack {stack_id} has vanished while it was followed")
        if stack.status in good:
            return stack
        if not stack.status.endswith("_IN_PROGRESS"):
            raise _failed(
                f"The stack {stack.name} ended in {stack.status}",
                first_reason(seen) or stack.reason,
            )
        shop.pause(wait)
        wait = min(wait * _GROWTH, _LONGEST_PAUSE)


def first_reason(events: Sequence[StackEvent]) -> str:
    """Which resource failed first, and why: the rest of the failures follow from it."""
    for event in events:
        if event.status.endswith("_FAILED") and event.reason and not _STOPPED.search(event.reason):
            return f"{event.resource} ({event.kind}): {event.reason}"
    return ""


def _failed(what: str, reason: str) -> ColdtableError:
    denied = _DENIED.search(reason)
    if denied:
        action = denied.group(1)
        return AccessDenied(
            f"{what}: {action} is missing. {reason}",
            action=action,
            hint=f"Allow {action} to whoever deploys; docs/deployer-permissions.md has the policy",
        )
    return StackFailed(
        f"{what}: {reason or 'AWS gives no reason'}",
        hint="What was changed has been rolled back. Mend the cause, and deploy again",
    )


def _line(event: StackEvent) -> str:
    why = f": {event.reason}" if event.reason and event.status.endswith("_FAILED") else ""
    return f"{event.status:<20} {event.resource} ({event.kind}){why}"
