"""The Lambdas' code: a zip of exactly the modules that the handlers reach, the same every time.

A compressed zip would differ between versions of zlib, and with it the key in the bucket and the
function: the members are stored as they are (about half a megabyte).
"""

from __future__ import annotations

import ast
import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from coldtable.errors import ColdtableError, NotInstalled

_ROOT = "coldtable"
_HANDLERS = (
    "coldtable.handler",
    "coldtable.handler_tick",
    "coldtable.handler_verify",
    "coldtable.handler_drill",
)
# boto3 is not here: Lambda's runtime has it. tzdata is: the runtime need not have zone files, and
# the zones that `deploy` checked should be the ones that the function reads.
_DATA = "tzdata"
# Where these would come along, the handler imports a room that is not its own.
_FORBIDDEN = ("coldtable.cli", "coldtable.local", "coldtable.infra", "coldtable.testing")

# The oldest time that a zip can express; -rw-r--r--; made on Unix.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3


@cache
def build_zip() -> bytes:
    """The zip from the installed package. Raises ``NotInstalled`` if ``tzdata`` is not there."""
    members = dict(_modules(*_HANDLERS)) | dict(_data(_DATA))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, _DATE)
            member.external_attr = _MODE
            member.create_system = _UNIX
            archive.writestr(member, members[name])
    return out.getvalue()


def sha256(body: bytes) -> str:
    """The digest that names the zip, in hex."""
    return hashlib.sha256(body).hexdigest()


def _modules(*starts: str) -> Iterator[tuple[str, bytes]]:
    """Path and source of these modules and of all of ours that they import, directly or not."""
    waiting, seen = list(starts), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or (found := _source(name)) is None:
            continue
        seen.add(name)
        if name.startswith(_FORBIDDEN):
            raise ColdtableError(
                f"The Lambda's code would hold {name}, which is no part of it",
                hint="This is a bug in coldtable: its handler imports too much",
            )
        path, source = found
        yield path, source
        waiting += _imports(source)
        # Importing a module imports the packages around it.
        waiting.append(name.rpartition(".")[0])


def _source(module: str) -> tuple[str, bytes] | None:
    """Path in the zip and source of a module of ours; ``None`` if it is a name and no module."""
    parts = module.split(".")
    if parts[0] != _ROOT:
        return None
    here = files(_ROOT).joinpath(*parts[1:])
    if here.is_dir():
        parts, here = [*parts, "__init__"], here.joinpath("__init__.py")
    else:
        here = files(_ROOT).joinpath(*parts[1:-1], f"{parts[-1]}.py")
    return ("/".join(parts) + ".py", here.read_bytes()) if here.is_file() else None


def _imports(source: bytes) -> Iterator[str]:
    """What the module imports at run time; ``from a import b`` may mean the module ``a.b``."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not _is_for_types(node):
            waiting += ast.iter_child_nodes(node)


def _is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _data(package: str) -> Iterator[tuple[str, bytes]]:
    try:
        root = files(package)
    except ModuleNotFoundError:
        raise NotInstalled(
            f"The package {package} is not installed, and the Lambda needs its files",
            hint=f"pip install {package}",
        ) from None
    yield from _below(root, package)


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for child in folder.iterdir():
        inner = f"{path}/{child.name}"
        if child.is_dir():
            if child.name != "__pycache__":
                yield from _below(child, inner)
        elif child.is_file() and not child.name.endswith(".pyc"):
            yield inner, child.read_bytes()
