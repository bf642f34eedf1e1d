"""CloudFormation: what ministack's provisioners drop is set through the public API, or fails.

Without this a stack with PITR in its template ends in CREATE_COMPLETE with PITR off, a bucket comes
without its encryption, lifecycle and lock, a schedule without its time zone, and a bucket full of
objects is deleted with its stack. And a change set would list what its conditions leave out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import responses
from ministack.services.cloudformation import changesets, engine, provisioners, stacks

from ..interface import Inner, Scope
from . import cfn_bucket, cfn_function, cfn_schedule, cfn_table
from .cfn_calls import Calls

Properties = Mapping[str, Any]
Provisioned = tuple[str, dict[str, Any]]

# What to do after the provisioner has made or changed a resource: (calls, id, old, new).
_AFTER: dict[str, Callable[[Calls, str, Properties, Properties], None]] = {
    "AWS::DynamoDB::Table": cfn_table.complete,
    "AWS::S3::Bucket": cfn_bucket.complete,
    "AWS::Lambda::Function": cfn_function.complete,
    "AWS::Scheduler::Schedule": cfn_schedule.complete,
}
# What must be true before: (calls, logical id, properties) on create, (calls, id) on delete.
_BEFORE_CREATE: dict[str, Callable[[Calls, Properties], None]] = {
    "AWS::Scheduler::Schedule": cfn_schedule.check,
    "AWS::Scheduler::ScheduleGroup": cfn_schedule.check_group,
}
_BEFORE_DELETE: dict[str, Callable[[Calls, str], None]] = {
    "AWS::S3::Bucket": cfn_bucket.delete,
}


def install(inner: Inner, loop: asyncio.AbstractEventLoop) -> None:
    """Wrap the provisioners named above and run them on threads, where they may wait for calls."""
    ours = {*_AFTER, *_BEFORE_CREATE, *_BEFORE_DELETE}
    for kind in ours:
        handlers = dict(provisioners._RESOURCE_HANDLERS[kind])
        handlers["create"] = _creating(kind, handlers["create"], inner, loop)
        handlers["update"] = _updating(kind, handlers["update"], inner, loop)
        handlers["delete"] = _deleting(kind, handlers["delete"], inner, loop)
        provisioners._RESOURCE_HANDLERS[kind] = handlers
    on_thread = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind in ours or on_thread(kind)
    changesets._resolve_props_for_diff = _wanted(changesets._resolve_props_for_diff)


def _wanted(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """What a change set compares, without the resources whose condition is false."""

    def resolve(
        template: Mapping[str, Any], params: Mapping[str, Any], stack_name: str, stack_id: str
    ) -> dict[str, Any]:
        resolved = original(template, params, stack_name, stack_id)
        if not resolved:
            return resolved
        conditions = engine._evaluate_conditions(template, params)
        return {
            "Resources": {
                name: resource
                for name, resource in resolved["Resources"].items()
                if conditions.get(resource.get("Condition"), True)
            }
        }

    return resolve


def _calls(inner: Inner, loop: asyncio.AbstractEventLoop) -> Calls:
    scope = Scope(account=responses.get_account_id(), region=responses.get_region())
    return Calls(inner, loop, scope)


def _creating(
    kind: str,
    original: Callable[..., Provisioned],
    inner: Inner,
    loop: asyncio.AbstractEventLoop,
) -> Callable[..., Provisioned]:
    def create(logical_id: str, props: Properties, stack_name: str) -> Provisioned:
        calls = _calls(inner, loop)
        if kind in _BEFORE_CREATE:
            _BEFORE_CREATE[kind](calls, props)
        made = original(logical_id, props, stack_name)
        if kind in _AFTER:
            _AFTER[kind](calls, made[0], {}, props)
        return made

    return create


def _updating(
    kind: str,
    original: Callable[..., Provisioned],
    inner: Inner,
    loop: asyncio.AbstractEventLoop,
) -> Callable[..., Provisioned]:
    def update(physical_id: str, old: Properties, new: Properties, *more: Any) -> Provisioned:
        changed = original(physical_id, old, new, *more)
        if kind in _AFTER:
            # A replacement is a new resource: nothing of the old one is set on it.
            before = old if changed[0] == physical_id else {}
            _AFTER[kind](_calls(inner, loop), changed[0], before, new)
        return changed

    return update


def _deleting(
    kind: str,
    original: Callable[..., None],
    inner: Inner,
    loop: asyncio.AbstractEventLoop,
) -> Callable[..., None]:
    def delete(physical_id: str, props: Properties, *more: Any) -> None:
        if kind in _BEFORE_DELETE:
            _BEFORE_DELETE[kind](_calls(inner, loop), physical_id)
        original(physical_id, props, *more)

    return delete
