"""A CloudFormation template in fewer bytes: a request takes 51,200 of them [docs: CloudFormation,
quotas], and comments and indentation are for people."""

from __future__ import annotations

from collections.abc import Iterator

# A list's item may stand as far left as the key that it belongs to.
_ITEM = "- "


def compact(text: str) -> str:
    """The same template without comments and empty lines, indented as little as YAML allows.

    ``text`` is block style, with folded scalars whose lines are indented alike, and no tabs.
    """
    return "".join(f"{line}\n" for line in _lines(text))


def _lines(text: str) -> Iterator[str]:
    # Columns in the text, and what became of them; the outermost first.
    columns = [(0, 0)]
    for line in text.splitlines():
        content = line.lstrip(" ")
        if not content or content.startswith("#"):
            continue
        at = len(line) - len(content)
        while columns[-1][0] > at:
            columns.pop()
        if columns[-1][0] < at:
            columns.append((at, columns[-1][1] + (not content.startswith(_ITEM))))
        new = columns[-1][1]
        yield " " * new + content
        while content.startswith(_ITEM):
            at, new, content = at + len(_ITEM), new + len(_ITEM), content.removeprefix(_ITEM)
            columns.append((at, new))
