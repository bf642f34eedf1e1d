"""The same fixtures as the functional tests'."""

from tests.functional.conftest import account, aws, boto, fresh_aws

__all__ = ["account", "aws", "boto", "fresh_aws"]
