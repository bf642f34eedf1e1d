"""coldtable keeps DynamoDB tables in S3 for good, and gives them back."""

__version__ = "0.1.0"
