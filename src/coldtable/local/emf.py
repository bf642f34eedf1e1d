"""Metrics in log lines: CloudWatch's embedded metric format. Pure: a line in, points out.

[docs: CloudWatch, embedded metric format specification.] A line that breaks the format is a line of
the log and nothing else, as on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TARGETS = 100  # values of one metric, metrics of one directive
_DIMENSIONS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value; ``when`` is epoch seconds."""

    namespace: str
    name: str
    unit: str
    dimensions: Mapping[str, str]
    value: float
    when: float


def points(line: str) -> list[Point]:
    """What a line of a log measures; nothing when it is no such line."""
    text = line.strip()
    if not text.startswith("{") or '"_aws"' not in text:
        return []
    try:
        return list(_points(json.loads(text)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _points(root: Mapping[str, Any]) -> Iterator[Point]:
    meta = root["_aws"]
    when = float(meta["Timestamp"]) / 1000
    for directive in meta["CloudWatchMetrics"]:
        # UNVERIFIED: no set at all; here as one empty set, a metric without dimensions.
        sets = [_dimensions(root, names) for names in directive.get("Dimensions") or [[]]]
        for metric in directive["Metrics"][:_TARGETS]:
            for value in _values(root[metric["Name"]]):
                for dimensions in sets:
                    yield Point(
                        namespace=str(directive["Namespace"]),
                        name=str(metric["Name"]),
                        unit=str(metric.get("Unit", "None")),
                        dimensions=dimensions,
                        value=value,
                        when=when,
                    )


def _dimensions(root: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """Each names a member of the root that is a string."""
    if len(names) > _DIMENSIONS or not all(isinstance(root[name], str) for name in names):
        raise ValueError("no dimension set")
    return {name: root[name] for name in names}


def _values(found: Any) -> list[float]:
    """A number, or at most a hundred of them."""
    values = found if isinstance(found, list) else [found]
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    if not numbers or len(values) > _TARGETS:
        raise ValueError("no numbers")
    return [float(one) for one in values]
