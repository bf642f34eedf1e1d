"""The parameter store on SSM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from coldtable.aws.errors import translated

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient


class SsmParameters:
    """Implements ``ports.ParameterStore`` and ``ports.ParameterWriter``."""

    def __init__(self, client: SSMClient) -> None:
        self._client = client

    def read(self, path: str) -> Mapping[str, str]:
        """See ``ports.ParameterStore.read``: one paginated GetParametersByPath.

        A page holds at most 10 parameters, may be empty and still carry a token. Whoever may ask
        for a path may ask for all below it: IAM looks at the path alone [MODEL].
        """
        pages = self._client.get_paginator("get_parameters_by_path")
        with translated("ssm", f"parameters below {path}"):
            return {
                parameter["Name"].removeprefix(f"{path}/"): parameter["Value"]
                for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True)
                for parameter in page.get("Parameters", [])
            }

    def put(self, name: str, value: str) -> None:
        """See ``ports.ParameterWriter.put``.

        A type is needed for a new parameter only [MODEL]. Without one an old parameter keeps its
        own, so that a SecureString stays one; that it also keeps its key is UNVERIFIED.
        """
        with translated("ssm", f"parameter {name}"):
            try:
                self._client.put_parameter(Name=name, Value=value, Type="String")
            except self._client.exceptions.ParameterAlreadyExists:
                self._client.put_parameter(Name=name, Value=value, Overwrite=True)
