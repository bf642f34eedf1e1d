"""Functions run as on Lambda: AWS's runtime client, the role's rights, retries, dead letters."""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from coldtable.local.process import EmbeddedAws

from .conftest import Boto, client, until

_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def zipped(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
    return buffer.getvalue()


def make_function(boto: Boto, name: str, source: str, *allow: tuple[str, str], **more: Any) -> str:
    iam = boto("iam")
    role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
    if allow:
        statements = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in allow]
        policy = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(
            RoleName=f"{name}-role", PolicyName="p", PolicyDocument=json.dumps(policy)
        )
    made = boto("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": zipped(source)},
        **more,
    )
    return str(made["FunctionArn"])


def _call(boto: Boto, name: str, event: Any = None) -> tuple[Any, dict[str, Any]]:
    answer = boto("lambda").invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    return json.loads(answer["Payload"].read() or b"null"), answer


def test_errors_have_the_shape_of_lambda(boto: Boto) -> None:
    """An exception comes back with its type, its text and its stack, as AWS's runtime writes it."""
    make_function(boto, "boom", "def handler(event, context):\n    raise KeyError('gone')\n")
    payload, answer = _call(boto, "boom")
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "KeyError"
    assert payload["errorMessage"] == "'gone'"
    assert "index.py" in payload["stackTrace"][0]


def test_the_context_is_real(boto: Boto) -> None:
    """Name, ARN, memory, remaining time and request id are those of this function."""
    source = (
        "def handler(event, context):\n"
        "    return [context.function_name, context.invoked_function_arn,\n"
        "            context.memory_limit_in_mb, context.get_remaining_time_in_millis()]\n"
    )
    arn = make_function(boto, "context", source, MemorySize=256, Timeout=7)
    (name, seen, memory, left), _ = _call(boto, "context")
    assert (name, seen, int(memory)) == ("context", arn, 256)
    assert 0 < left <= 7000


def test_the_hosts_environment_stays_outside(fresh_aws: Callable[..., EmbeddedAws]) -> None:
    """No variable of the machine reaches a function; those that were set for it do."""
    os.environ["COLDTABLE_TEST_SECRET"] = "do not leak"
    try:
        running = fresh_aws()
    finally:
        del os.environ["COLDTABLE_TEST_SECRET"]
    boto = _root_of(running)
    source = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    make_function(boto, "env", source, Environment={"Variables": {"MINE": "1"}})
    environment, _ = _call(boto, "env")
    assert environment["MINE"] == "1"
    assert environment["AWS_ENDPOINT_URL"] == running.endpoint
    assert environment["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert environment["AWS_REGION"] == running.region
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    ours = ("AWS_", "LAMBDA_", "_HANDLER", "PATH", "LANG", "LC_CTYPE", "TZ", "TMPDIR", "PWD")
    assert [name for name in environment if not name.startswith(ours)] == ["MINE"]


def test_only_the_zip_and_boto3_can_be_imported(boto: Boto) -> None:
    """boto3 is there as on Lambda; what only this machine has installed is not."""
    source = (
        "import importlib.util as u, boto3\n"
        "def handler(event, context):\n"
        "    return [n for n in event if u.find_spec(n)]\n"
    )
    make_function(boto, "imports", source)
    found, _ = _call(boto, "imports", ["boto3", "coldtable", "ministack", "pytest", "rich"])
    assert found == ["boto3"]


def test_the_role_decides_what_the_function_may(boto: Boto, account: str) -> None:
    """A call that the role lacks is refused with AWS's sentence, naming the assumed role."""
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    page = boto3.client('ssm').get_parameters_by_path(Path=event)\n"
        "    return [p['Name'] for p in page['Parameters']]\n"
    )
    boto("ssm").put_parameter(Name="/a/b/X", Value="1", Type="String")
    allowed = f"arn:aws:ssm:us-east-1:{account}:parameter/a/b"
    make_function(boto, "reader", source, ("ssm:GetParametersByPath", allowed), Timeout=20)
    found, _ = _call(boto, "reader", "/a/b")
    assert found == ["/a/b/X"]
    refused, _ = _call(boto, "reader", "/other")
    assert (
        f"User: arn:aws:sts::{account}:assumed-role/reader-role/reader is not authorized to "
        f"perform: ssm:GetParametersByPath on resource: arn:aws:ssm:us-east-1:{account}:"
        "parameter/other because no identity-based policy allows the ssm:GetParametersByPath action"
    ) in refused["errorMessage"]


def test_prints_land_in_the_log_group(boto: Boto) -> None:
    """What a function prints is in CloudWatch Logs, between START and REPORT."""
    make_function(boto, "talker", "def handler(event, context):\n    print('hello from inside')\n")
    _call(boto, "talker")
    events = boto("logs").filter_log_events(logGroupName="/aws/lambda/talker")["events"]
    lines = [e["message"].strip() for e in events]
    assert lines[0].startswith("START RequestId:")
    assert "hello from inside" in lines
    assert lines[-1].startswith("REPORT RequestId:")


def test_a_failing_event_is_retried_and_ends_in_the_dead_letter_queue(boto: Boto) -> None:
    """After two retries the queue holds the event itself with AWS's three attributes."""
    queue, arn = make_queue(boto, "dead")
    make_function(
        boto,
        "failing",
        "def handler(event, context):\n    raise RuntimeError('no luck')\n",
        ("sqs:SendMessage", arn),
        DeadLetterConfig={"TargetArn": arn},
    )
    boto("lambda").invoke(FunctionName="failing", InvocationType="Event", Payload=b'{"n": 1}')
    message = until(lambda: _receive(boto, queue))
    assert json.loads(message["Body"]) == {"n": 1}
    attributes = {k: v["StringValue"] for k, v in message["MessageAttributes"].items()}
    assert attributes.keys() == {"RequestID", "ErrorCode", "ErrorMessage"}
    assert attributes["ErrorCode"] == "200"
    assert attributes["ErrorMessage"] == "no luck"
    events = boto("logs").filter_log_events(logGroupName="/aws/lambda/failing")["events"]
    assert sum(e["message"].startswith("START") for e in events) == 3


def test_event_invoke_config_limits_retries_and_names_a_destination(boto: Boto) -> None:
    """MaximumRetryAttempts 0 means one attempt; the destination gets the envelope."""
    queue, arn = make_queue(boto, "destination")
    make_function(
        boto,
        "once",
        "def handler(event, context):\n    raise RuntimeError('no luck')\n",
        ("sqs:SendMessage", arn),
    )
    boto("lambda").put_function_event_invoke_config(
        FunctionName="once",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    boto("lambda").invoke(FunctionName="once", InvocationType="Event", Payload=b'{"n": 2}')
    record = json.loads(until(lambda: _receive(boto, queue))["Body"])
    assert record["requestPayload"] == {"n": 2}
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"]["errorType"] == "RuntimeError"


def test_a_role_without_send_message_fills_no_queue(boto: Boto) -> None:
    """The dead letter is sent with the function's role, so a missing right loses it, as on AWS."""
    queue, arn = make_queue(boto, "locked")
    other, other_arn = make_queue(boto, "open")
    make_function(
        boto,
        "unlucky",
        "def handler(event, context):\n    raise RuntimeError('no luck')\n",
        ("sqs:SendMessage", other_arn),
        DeadLetterConfig={"TargetArn": arn},
    )
    boto("lambda").put_function_event_invoke_config(
        FunctionName="unlucky",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": other_arn}},
    )
    boto("lambda").invoke(FunctionName="unlucky", InvocationType="Event", Payload=b"{}")
    until(lambda: _receive(boto, other))
    assert _receive(boto, queue) is None


def test_functions_end_with_the_emulator(fresh_aws: Callable[..., EmbeddedAws]) -> None:
    """A stopped emulator leaves no process of a function behind, and a killed one neither."""
    source = "import os\ndef handler(event, context):\n    return os.getpid()\n"
    for end in (EmbeddedAws.stop, _kill):
        running = fresh_aws()
        boto = _root_of(running)
        make_function(boto, "pid", source)
        pid, _ = _call(boto, "pid")
        assert Path(f"/proc/{pid}").exists()
        end(running)
        until(functools.partial(_gone, pid))


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def _kill(running: EmbeddedAws) -> None:
    os.kill(running.pid, signal.SIGKILL)


def _root_of(running: EmbeddedAws) -> Boto:
    def boto(service: str, **_: Any) -> Any:
        return client(running, service, "test", "test")

    return boto


def test_a_function_lives_in_the_emulators_time(fresh_aws: Callable[..., EmbeddedAws]) -> None:
    """After a move a warm function sees the new time and its calls are still accepted."""
    running = fresh_aws()
    boto = _root_of(running)
    source = (
        "import boto3, datetime\n"
        "def handler(event, context):\n"
        "    boto3.client('sts').get_caller_identity()\n"
        "    return [datetime.datetime.now(datetime.timezone.utc).isoformat(),\n"
        "            context.get_remaining_time_in_millis()]\n"
    )
    make_function(boto, "timed", source, Timeout=20)
    _call(boto, "timed")
    now = running.advance(timedelta(days=9))
    (seen, left), answer = _call(boto, "timed")
    assert "FunctionError" not in answer
    assert seen[:16] == now.isoformat()[:16]
    assert 0 < left <= 20_000


def make_queue(boto: Boto, name: str) -> tuple[str, str]:
    url = boto("sqs").create_queue(QueueName=name)["QueueUrl"]
    found = boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def _receive(boto: Boto, url: str) -> Any:
    answer = boto("sqs").receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=0
    )
    return (answer.get("Messages") or [None])[0]
