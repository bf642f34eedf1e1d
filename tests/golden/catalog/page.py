"""The examples in docs/format.md. To write them anew: python -m tests.golden.catalog.page"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from tests.golden.catalog.scene import play

PAGE = Path(__file__).parents[3] / "docs" / "format.md"
_EXAMPLE = re.compile(r"^`(coldtable/v1/\S+)`\n\n```json\n(.*?)```$", re.DOTALL | re.MULTILINE)
# So many lines of an index are enough to show what it is like.
_LINES = 3


def examples(page: str) -> dict[str, str]:
    """The examples by key."""
    return dict(_EXAMPLE.findall(page))


def shown(key: str, body: bytes) -> str:
    """How an object is shown."""
    if key.endswith(".gz"):
        return "".join(gzip.decompress(body).decode().splitlines(keepends=True)[:_LINES])
    return body.decode()


def main() -> None:
    """Write the examples as they are now; the text around them is not touched."""
    objects = play()
    page = PAGE.read_text("utf-8")
    for key in examples(page):
        page = re.sub(
            rf"(^`{re.escape(key)}`\n\n```json\n).*?(```$)",
            lambda found, key=key: found[1] + shown(key, objects[key]) + found[2],  # type: ignore[misc]
            page,
            flags=re.DOTALL | re.MULTILINE,
        )
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
