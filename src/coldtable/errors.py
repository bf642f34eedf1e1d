"""The exception tree: every error that a person can meet.

Each class carries a stable ``code``, the process ``exit_code`` of ``docs/exit-codes.md``, a
``hint`` that says what to do next, and whether trying again can help. The message says what was
wrong and where; the hint is printed under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class ColdtableError(Exception):
    """The root: something failed for a reason that we can name."""

    code: ClassVar[str] = "Failed"
    exit_code: int = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def told(self) -> dict[str, str]:
        """What JSON says of it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def __str__(self) -> str:
        """Hint included: a dead letter and a traceback show nothing but this."""
        return "\n  hint: ".join([self.message, *self.hint.splitlines()])

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross from one process to another, whatever their classes want to be made of."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[ColdtableError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(ColdtableError):
    """The command line asks for something that makes no sense."""

    code = "Usage"
    exit_code = 2


class PartialError(ColdtableError):
    """Some tables worked and some did not; the report names each."""

    code = "Partial"
    exit_code = 3
    retryable = True


class NothingExported(ColdtableError):
    """Every table failed; the exit code is the one that all of them share, if they do."""

    code = "NothingExported"
    retryable = True


class NotCovered(ColdtableError):
    """The archive cannot rebuild the table as it was at that instant."""

    code = "NotCovered"
    exit_code = 4


class StaleError(ColdtableError):
    """Coverage or the recovery point objective is missed."""

    code = "Stale"
    exit_code = 4


class DamagedError(ColdtableError):
    """Bytes are missing or wrong."""

    code = "Damaged"
    exit_code = 5


class ObjectMissing(DamagedError):
    """An object that a manifest names, or that belongs to one, is not there."""

    code = "ObjectMissing"


class ItemInvalid(DamagedError):
    """A value is not one that DynamoDB could hold. ``path`` leads to it: ``address.lines[2]``."""

    code = "ItemInvalid"

    def __init__(self, what: str, *, path: str = "") -> None:
        super().__init__(f"{path or 'The item'}: {what}")
        self.what = what
        self.path = path

    def within(self, outer: str) -> ItemInvalid:
        """The same error, seen from further out."""
        inner = self.path
        return ItemInvalid(self.what, path=f"{outer}{'' if inner[:1] in ('[', '') else '.'}{inner}")


class ConfigError(ColdtableError):
    """The configuration is missing or wrong."""

    code = "Config"
    exit_code = 10
    # Of several problems, each.
    problems: Sequence[ColdtableError] = ()


def all_together(problems: Sequence[ColdtableError], headline: str) -> ColdtableError:
    """The one problem itself; of several, a ``ConfigError`` that lists them under ``headline``."""
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  - {problem.message}" for problem in problems)
    hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
    error = ConfigError(f"{len(problems)} {headline}:\n{lines}", hint="\n".join(hints))
    error.problems = tuple(problems)
    return error


def in_part(
    failed: Sequence[tuple[str, ColdtableError]], total: int, headline: str
) -> PartialError:
    """What it amounts to that some of ``total`` tables failed: each is named, with every hint.

    If all of them failed, the exit code is the one that they share (an access error stays one).
    """
    text = "; ".join(f"{name}: {error.message}" for name, error in failed)
    hints = dict.fromkeys(error.hint for _, error in failed if error.hint)
    problem = PartialError(f"{headline}: {text}", hint="\n".join(hints))
    codes = {error.exit_code for _, error in failed}
    if len(failed) == total and len(codes) == 1:
        problem.exit_code = codes.pop()
    return problem


class ParameterMissing(ConfigError):
    """A parameter that has no default is not there."""

    code = "ParameterMissing"


class ParameterInvalid(ConfigError):
    """A parameter is there and cannot be used."""

    code = "ParameterInvalid"


class PitrDisabled(ConfigError):
    """The table keeps no point-in-time history, so there is nothing to export."""

    code = "PitrDisabled"


class MomentNotRestorable(ConfigError):
    """PITR does not reach the moment: too old, or not settled yet."""

    code = "MomentNotRestorable"
    retryable = True


class AccessDenied(ColdtableError):
    """AWS refused. ``action`` is the IAM action that is missing."""

    code = "AccessDenied"
    exit_code = 11

    def __init__(self, message: str, *, action: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.action = action


class NoCredentials(ColdtableError):
    """There are no AWS credentials, or they are not valid."""

    code = "NoCredentials"
    exit_code = 11


class NotFound(ColdtableError):
    """Something that was named does not exist."""

    code = "NotFound"
    exit_code = 12


class TableNotFound(NotFound):
    """The table does not exist in this account and region."""

    code = "TableNotFound"


class NoPolicy(NotFound):
    """No policy covers the table."""

    code = "NoPolicy"


class BucketNotFound(NotFound):
    """The bucket does not exist."""

    code = "BucketNotFound"


class StackNotFound(NotFound):
    """The stack does not exist."""

    code = "StackNotFound"


class Conflict(ColdtableError):
    """Somebody else got there first, or the thing is in a state that forbids it."""

    code = "Conflict"
    exit_code = 13


class Archived(Conflict):
    """An object is in an archive class of S3, and cannot be read before a copy was retrieved.

    ``storage`` is the class of the one that was to be read; ``need`` a ``core.retrieval.Need``
    where a plan knows all of them.
    """

    code = "Archived"
    storage: str = ""
    need: Any = None

    @property
    def reason(self) -> str:
        """Why the object was not read, for a list of objects."""
        return f"it is archived in {self.storage}: not read" if self.storage else self.message


def archived(name: str, storage: str) -> Archived:
    """The error that the object of this name, of that class, cannot be read as it is."""
    error = Archived(
        f"{name} is archived in {storage}: not read",
        hint="A copy must be retrieved first: coldtable restore, materialize and revert ask for it "
        "with --retrieve, and say before what it costs and how long it takes",
    )
    error.storage = storage
    return error


class Retrieving(Archived):
    """The copies of archived objects were asked for; S3 takes its hours to make them."""

    code = "Retrieving"
    retryable = True


class LimitReached(ColdtableError):
    """A quota or a size limit of AWS is reached."""

    code = "LimitReached"
    exit_code = 14
    retryable = True


class Throttled(LimitReached):
    """AWS still throttled after every retry."""

    code = "Throttled"


class Deferred(LimitReached):
    """There is no time or no room left for it now; the next tick goes on with it."""

    code = "Deferred"


class ExportFailed(ColdtableError):
    """AWS accepted the export and then failed it; the message has its failure code."""

    code = "ExportFailed"
    retryable = True


class ImportFailed(ColdtableError):
    """AWS accepted the import and then failed it, or it brought less than it should have."""

    code = "ImportFailed"


class ItemRefused(ColdtableError):
    """DynamoDB does not take an item as the archive holds it."""

    code = "ItemRefused"


class Different(ColdtableError):
    """What was restored is not what the archive holds."""

    code = "Different"


class Untold(ColdtableError):
    """Something is wrong, and nobody could be told of it."""

    code = "Untold"


class StackFailed(ColdtableError):
    """CloudFormation could not bring the stack to the wanted state."""

    code = "StackFailed"


class CheckFailed(ColdtableError):
    """Something was deployed and is not as it should be."""

    code = "CheckFailed"


class WaitTimeout(ColdtableError):
    """What was waited for did not happen in time; it may still."""

    code = "WaitTimeout"
    retryable = True


class ServiceFailed(ColdtableError):
    """AWS answered with an error that we have no better word for, or did not answer."""

    code = "ServiceFailed"
    retryable = True


class NotInstalled(ColdtableError):
    """An optional part is needed and not installed."""

    code = "NotInstalled"
    exit_code = 10
