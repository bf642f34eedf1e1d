"""The CloudFormation template with its functions worked out, and who it allows what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from coldtable.cli.deploy import template as template_text

ACCOUNT, REGION = "123456789012", "eu-central-1"
ARNS = tuple(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in ("orders", "users"))
GIVEN = {
    "TableNames": "orders,users",
    "TableArns": ",".join(ARNS),
    "CodeBucket": "code",
    "CodeKey": "coldtable/x.zip",
}

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms: ``!Ref x`` is ``{"Ref": "x"}``."""


def _short_form(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    else:
        value = loader.construct_sequence(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _short_form)


class Rendered:
    """The template with its functions worked out, as CloudFormation would.

    A resource's Ref is ``<name>`` and its attribute ``<name.Attribute>``.
    """

    def __init__(self, **given: str) -> None:
        self.body = yaml.load(template_text(), Loader)  # noqa: S506  a SafeLoader
        self._names: dict[str, Any] = {
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": "coldtable",
        }
        for name, declared in self.body["Parameters"].items():
            value = ({**GIVEN, **given}).get(name, declared.get("Default"))
            self._names[name] = value.split(",") if "List" in declared["Type"] else str(value)
        self._conditions: dict[str, bool] = {}
        for name, condition in self.body["Conditions"].items():
            self._conditions[name] = self.solve(condition)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources whose condition holds."""
        return {
            name: self.solve(resource)
            for name, resource in self.body["Resources"].items()
            if self._conditions.get(resource.get("Condition"), True)
        }

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name].get("Properties", {})
        return found

    def solve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [v for item in node if (v := self.solve(item)) is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref":
                return None if argument == "AWS::NoValue" else self._lookup(argument)
            if name == "Condition" and isinstance(argument, str):
                return self._conditions[argument]
            if name.startswith("Fn::"):
                return self._function(name.removeprefix("Fn::"), argument)
        return {k: v for k, item in node.items() if (v := self.solve(item)) is not None}

    def _lookup(self, name: str) -> Any:
        return self._names.get(name, f"<{name}>")

    def _function(self, name: str, argument: Any) -> Any:
        if name == "If":
            condition, yes, no = argument
            return self.solve(yes if self._conditions[condition] else no)
        if name == "Sub":
            text, own = argument if isinstance(argument, list) else (argument, {})
            names = {k: self.solve(v) for k, v in own.items()}
            return re.sub(r"\$\{([^}]+)\}", lambda m: names.get(m[1]) or self._lookup(m[1]), text)
        solved = [self.solve(part) for part in argument]
        match name:
            case "Equals":
                return solved[0] == solved[1]
            case "Not":
                return not solved[0]
            case "Or":
                return any(solved)
            case "And":
                return all(solved)
            case "Join":
                return solved[0].join(solved[1])
            case "Split":
                return solved[1].split(solved[0])
            case "GetAtt":
                return f"<{'.'.join(solved)}>"
        raise AssertionError(f"the template uses Fn::{name}, which this test does not know")


def statements(role: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {s["Sid"]: s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]}
