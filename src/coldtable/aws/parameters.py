"""The parameter store on SSM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from coldtable.aws.errors import translated

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient


class SsmParameters:
    """Implements ``ports.ParameterStore`` with one paginated GetParametersByPath."""

    def __init__(self, client: SSMClient) -> None:
        self._client = client

    def read(self, path: str) -> Mapping[str, str]:
        """See ``ports.ParameterStore.read``.

        A page holds at most 10 parameters, may be empty and still carry a token [MODEL].
        """
        pages = self._client.get_paginator("get_parameters_by_path")
        with translated("ssm", f"parameters below {path}"):
            return {
                parameter["Name"].rsplit("/", 1)[-1]: parameter["Value"]
                for page in pages.paginate(Path=path, WithDecryption=True)
                for parameter in page.get("Parameters", [])
            }
