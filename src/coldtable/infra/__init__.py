"""The CloudFormation templates, as package data: what ``deploy`` and the demo create."""
