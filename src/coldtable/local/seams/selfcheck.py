"""Proves at start that ministack is the one that our seams were made for.

Three questions per seam, the cheap ones first: does what we replace or call exist with the
parameters that we expect, does the code that should reach our replacement look it up by that name,
and does the thing work once, for real, in an account that nobody uses.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import types
from collections.abc import Mapping
from typing import Any, Protocol

from ..interface import ApiError, Caller, Inner, Scope

PINNED = "1.5.33"
_NOBODY = Scope(account="000000000001", region="us-east-1")
_TABLE = "coldtable-selfcheck"
_TABLE_ARN = f"arn:aws:dynamodb:{_NOBODY.region}:{_NOBODY.account}:table/{_TABLE}"


class SeamBroken(Exception):
    """ministack is not as we need it; the message names the seam."""

    def __init__(self, seam: str, why: str) -> None:
        found = importlib.metadata.version("ministack")
        super().__init__(
            f"the seam {seam} is broken: {why}. coldtable reaches into ministack {PINNED}, "
            f"and {found} is installed. Install it with: pip install 'ministack=={PINNED}'"
        )


class Past(Protocol):
    """What the probe of the journal needs of ``PitrService``."""

    def current(self, table_arn: str) -> Any: ...


_ACTIONS = "ministack.core.iam_actions"
_EVALUATOR = "ministack.core.iam_evaluator"
_LAMBDA = "ministack.services.lambda_svc"
_DYNAMODB = "ministack.services.dynamodb"
_SCHEDULER = "ministack.services.scheduler"
_CLOUDWATCH = "ministack.services.cloudwatch"
_LOGS = "ministack.services.cloudwatch_logs"
_STACKS = "ministack.services.cloudformation.stacks"
_CHANGE_SETS = "ministack.services.cloudformation.changesets"
_ENGINE = "ministack.services.cloudformation.engine"
_PROVISIONERS = "ministack.services.cloudformation.provisioners"
_S3 = "ministack.services.s3"
_HTTP = "method path headers body query_params"

# Seam -> module, attribute, parameters.
_SIGNATURES: tuple[tuple[str, str, str, str], ...] = (
    ("iam resource", _ACTIONS, "extract_resource_arn", f"service {_HTTP} region account_id"),
    (
        "iam refusal",
        _ACTIONS,
        "access_denied_response",
        "service action principal_arn request_id error_code message headers resource_arn "
        "explicit_deny resource_policy_arn",
    ),
    (
        "iam enforcement",
        _EVALUATOR,
        "enforce",
        "access_key_id iam_action service region resource_arn service_context",
    ),
    ("iam trust", _EVALUATOR, "_conditions_met", "conditions ctx"),
    ("iam conditions", _EVALUATOR, "_resolve_condition_key", "key ctx"),
    ("credential", _EVALUATOR, "resolve_credential", "access_key_id account_id session_token"),
    ("session", "ministack.services.sts", "register_session", "access_key session"),
    ("request origin", "ministack.app", "pin_request_origin", "source_ip secure_transport"),
    ("reset", "ministack.app", "_reset_all_state", ""),
    ("signature age", "ministack.core.sigv4", "request_time_failure", "signature now"),
    ("lambda", _LAMBDA, "_execute_function_warm", "func event request_id"),
    ("lambda", _LAMBDA, "_execute_function_provided_warm", "func event request_id"),
    ("lambda environment", _LAMBDA, "_provided_worker_env", "config code_dir port"),
    ("lambda role", "ministack.core.lambda_runtime", "execution_credentials", "config"),
    ("lambda events", _LAMBDA, "invoke_async_with_retry", "func event"),
    (
        "lambda metrics",
        _LAMBDA,
        "_execute_function_dispatch",
        "func config event request_id started",
    ),
    (
        "lambda metrics",
        _LAMBDA,
        "_emit_lambda_metrics",
        "function_name duration_ms error throttle",
    ),
    ("dynamodb", _DYNAMODB, "handle_request", _HTTP),
    (
        "filters",
        _DYNAMODB,
        "_evaluate_condition",
        "expr item attr_values attr_names slot",
    ),
    ("filters", _DYNAMODB, "_project_item", "item proj_expr attr_names"),
    ("journal", _DYNAMODB, "_set_item", "table pk_val sk_val item"),
    ("journal", _DYNAMODB, "_remove_item", "table pk_val sk_val"),
    ("journal", _DYNAMODB, "_items_replaced", "table"),
    ("journal", _DYNAMODB, "drop_stream_records", "table_name table"),
    ("schedules", _SCHEDULER, "_create_schedule", "name body"),
    ("schedules", _SCHEDULER, "_update_schedule", "name body"),
    ("schedules", _SCHEDULER, "start_scheduler", ""),
    ("alarms", _CLOUDWATCH, "_evaluate_alarm", "alarm"),
    ("alarms", _CLOUDWATCH, "record_metric", "namespace metric_name value unit dimensions"),
    ("metrics in logs", _LOGS, "_append_log_events", "stream events"),
    ("metrics in logs", _CLOUDWATCH, "_metric_bucket", "key"),
    (
        "alarms",
        _CLOUDWATCH,
        "_dispatch_alarm_actions",
        "alarm old_state new_state reason",
    ),
    ("stacks", _STACKS, "_runs_on_worker_thread", "resource_type"),
    (
        "change sets",
        _CHANGE_SETS,
        "_resolve_props_for_diff",
        "template params stack_name stack_id",
    ),
    ("change sets", _ENGINE, "_evaluate_conditions", "template params"),
    (
        "bucket policies",
        _S3,
        "_foreign_bucket_allows",
        "owner_account bucket_name key method query_params caller headers",
    ),
    ("s3", _S3, "_dispatch", "method bucket key headers body query_params"),
    ("s3", _S3, "_bucket_owner_account", "name"),
    ("archive classes", _S3, "_restore_object", "bucket_name key body"),
    ("archive classes", _S3, "_sync_restore", "bucket_name key obj"),
    ("keys", _S3, "_bucket_default_sse_headers", "bucket_name"),
    ("keys", "ministack.services.kms", "_resolve_key", "key_id_or_arn"),
    (
        "keys",
        _EVALUATOR,
        "combine_resource_policy",
        "identity ctx policy owner_account required limits",
    ),
)

# Seam -> module, function in it, and the name that it must look up to find our replacement.
_LOOKUPS: tuple[tuple[str, str, str, str], ...] = (
    ("iam resource", "ministack.app", "_dispatch_service_request", "extract_resource_arn"),
    ("iam refusal", "ministack.app", "_dispatch_service_request", "access_denied_response"),
    ("iam conditions", _EVALUATOR, "_conditions_met", "_resolve_condition_key"),
    ("request origin", "ministack.app", "app", "pin_request_origin"),
    ("signature age", _EVALUATOR, "authenticate", "request_time_failure"),
    ("lambda", _LAMBDA, "_execute_function_dispatch", "_execute_function_warm"),
    (
        "lambda environment",
        "ministack.core.lambda_runtime",
        "ProvidedWorker._spawn",
        "_provided_worker_env",
    ),
    ("lambda events", _LAMBDA, "_invoke", "invoke_async_with_retry"),
    ("lambda metrics", _LAMBDA, "_execute_function", "_execute_function_dispatch"),
    ("journal", _DYNAMODB, "_put_item", "_set_item"),
    ("journal", _DYNAMODB, "_update_item", "_set_item"),
    ("journal", _DYNAMODB, "_batch_write_item", "_set_item"),
    ("journal", _DYNAMODB, "_transact_write_items", "_set_item"),
    ("journal", _DYNAMODB, "_delete_item", "_remove_item"),
    ("journal", _DYNAMODB, "_ttl_reaper", "_remove_item"),
    ("journal", _DYNAMODB, "_execute_transaction", "_items_replaced"),
    ("journal", _DYNAMODB, "_delete_table", "drop_stream_records"),
    ("journal", _PROVISIONERS, "_ddb_delete", "drop_stream_records"),
    ("stacks", _STACKS, "_deploy_stack_async", "_runs_on_worker_thread"),
    ("stacks", _STACKS, "_delete_stack_async", "_runs_on_worker_thread"),
    ("stacks", _PROVISIONERS, "_provision_resource", "_RESOURCE_HANDLERS"),
    ("change sets", _CHANGE_SETS, "_create_change_set", "_resolve_props_for_diff"),
    ("schedules", "ministack.app", "_handle_lifespan", "start_scheduler"),
    ("schedules", _SCHEDULER, "handle_request", "_create_schedule"),
    ("schedules", _SCHEDULER, "handle_request", "_update_schedule"),
    ("alarms", _CLOUDWATCH, "_evaluate_all_alarms", "_evaluate_alarm"),
    ("metrics in logs", _LOGS, "_put_log_events", "_append_log_events"),
    ("metrics in logs", _LAMBDA, "_emit_lambda_logs", "_append_log_events"),
    ("bucket policies", _S3, "_apply_bucket_scope", "_foreign_bucket_allows"),
    ("s3", _S3, "handle_request", "_dispatch"),
    ("archive classes", _S3, "_dispatch", "_restore_object"),
)


def check_shape() -> None:
    """The version, the signatures and the look-ups. Runs before anything is replaced.

    Raises ``SeamBroken``.
    """
    version = importlib.metadata.version("ministack")
    if version != PINNED:
        raise SeamBroken("version", f"it is {version}")
    for seam, module, name, parameters in _SIGNATURES:
        actual = " ".join(inspect.signature(_find(seam, module, name)).parameters)
        if actual != parameters:
            raise SeamBroken(seam, f"{module}.{name} takes ({actual}), not ({parameters})")
    for seam, module, function, name in _LOOKUPS:
        if name not in _names(_find(seam, module, function).__code__):
            raise SeamBroken(seam, f"{module}.{function} does not look up {name}")


def _find(seam: str, module: str, path: str) -> Any:
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            raise SeamBroken(seam, f"{module}.{path} is gone")
    return found


def _names(code: types.CodeType) -> set[str]:
    """Every name that a function and the functions inside it look up."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


async def probe(inner: Inner, past: Past, *, auth: bool) -> None:
    """Use the seams once, for real. Leaves nothing behind. Raises ``SeamBroken``."""
    await _probe_history(inner, past)
    if auth:
        _probe_refusal(inner)


async def _probe_history(inner: Inner, past: Past) -> None:
    """A table, PITR through HTTP's way in, a write: the journal has seen it."""
    key = {"AttributeName": "pk", "KeyType": "HASH"}
    table = {
        "TableName": _TABLE,
        "KeySchema": [key],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    item = {"pk": {"S": "a"}}
    try:
        await inner.dynamodb(_NOBODY, "CreateTable", table)
        switch = {
            "TableName": _TABLE,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        }
        await _call(inner, "UpdateContinuousBackups", switch)
        await inner.dynamodb(_NOBODY, "PutItem", {"TableName": _TABLE, "Item": item})
        if past.current(_TABLE_ARN) != [item]:
            raise SeamBroken("journal", "a put does not reach the history")
        await inner.dynamodb(_NOBODY, "DeleteItem", {"TableName": _TABLE, "Key": item})
        if past.current(_TABLE_ARN) != []:
            raise SeamBroken("journal", "a delete does not reach the history")
        await inner.dynamodb(_NOBODY, "DeleteTable", {"TableName": _TABLE})
    except ApiError as error:
        raise SeamBroken("dynamodb", str(error)) from None
    if past.current(_TABLE_ARN) is not None:
        raise SeamBroken("journal", "a deleted table keeps its history")


async def _call(inner: Inner, operation: str, request: Mapping[str, Any]) -> None:
    reply = await inner.call(
        _NOBODY,
        "dynamodb",
        "POST",
        "/",
        headers={"x-amz-target": f"DynamoDB_20120810.{operation}"},
        body=json.dumps(request).encode(),
    )
    if reply.status != 200:
        raise SeamBroken("dynamodb", f"{operation} answers {reply.status}: {reply.body!r}")


def _probe_refusal(inner: Inner) -> None:
    """The account's root may, a key that nobody issued may not."""
    for key, allowed in ((_NOBODY.account, True), ("AKIANOBODYNOBODYNOBO", False)):
        caller = Caller(scope=_NOBODY, access_key=key)
        refusal = inner.deny_reason(caller, "dynamodb:DescribeTable", _TABLE_ARN)
        if (refusal is None) is not allowed:
            raise SeamBroken("iam enforcement", f"the key {key} is answered {refusal!r}")
