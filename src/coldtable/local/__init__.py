"""The embedded AWS: an emulator on 127.0.0.1 that exports as DynamoDB does. For demos and tests.

It stands on ministack (MIT, pinned exactly) and adds what that lacks: PITR history, real exports,
a true scheduler, enforced roles, AWS's own Lambda runtime client, and a clock that can be moved.
"""
