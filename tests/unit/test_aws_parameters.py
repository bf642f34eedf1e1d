"""SSM's answers as the wire brings them, where the embedded AWS has no such thing."""

from __future__ import annotations

from botocore.stub import Stubber

from coldtable.aws.parameters import SsmParameters
from coldtable.aws.session import AwsSession


def test_an_empty_page_is_not_the_end() -> None:
    """A page may be empty and still carry a token: what comes after it is read too [MODEL]."""
    client = AwsSession(region="eu-north-1", access_key="test", secret_key="test").client("ssm")
    parameter = {"Name": "/a/b/TIMEZONE", "Type": "String", "Value": "UTC"}
    asked = {"Path": "/a/b", "Recursive": True, "WithDecryption": True}
    with Stubber(client) as ssm:
        ssm.add_response("get_parameters_by_path", {"Parameters": [], "NextToken": "on"}, asked)
        ssm.add_response(
            "get_parameters_by_path", {"Parameters": [parameter]}, {**asked, "NextToken": "on"}
        )
        assert SsmParameters(client).read("/a/b") == {"TIMEZONE": "UTC"}
        ssm.assert_no_pending_responses()
