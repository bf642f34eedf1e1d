"""Both manifests of a materialized export, byte for byte: AWS's own, and one key more."""

from __future__ import annotations

import re
from datetime import timedelta

from coldtable import __version__
from coldtable.testing.exports import NOON, TABLE_ID
from coldtable.testing.fakes import FakeObjects
from tests.unit.test_materialize import run, written

ARN = "arn:aws:dynamodb:eu-north-1:123456789012:table/orders"
SUMMARY = (
    '{"version":"2020-06-30","exportArn":"%(arn)s/export/%(id)s",'
    '"startTime":"2026-02-01T08:30:00.123Z","endTime":"2026-02-01T08:30:00.123Z",'
    '"tableArn":"%(arn)s","tableId":"%(table)s","exportTime":"2026-01-14T14:00:00.000Z",'
    '"s3Bucket":"here","s3Prefix":"folded","s3SseAlgorithm":null,"s3SseKmsKeyId":null,'
    '"manifestFilesS3Key":"folded/AWSDynamoDB/%(id)s/manifest-files.json","billedSizeBytes":0,'
    '"itemCount":2,"outputFormat":"DYNAMODB_JSON","coldtable":{"version":"%(version)s",'
    '"madeFrom":["%(arn)s/export/01768392300000-00000001","%(arn)s/export/01768395900000-00000002",'
    '"%(arn)s/export/01768399500000-00000003"],"seams":[]}}'
)
LINE = re.compile(
    r'\{"itemCount":[01],"md5Checksum":"[A-Za-z0-9+/]{22}==","etag":"[0-9a-f]{32}-1",'
    r'"dataFileS3Key":"folded/AWSDynamoDB/\d{14}-[0-9a-f]{8}/data/[a-z2-7]{25}[aeimquy4]\.json\.gz"\}\n'
)


def test_the_summary_to_the_byte() -> None:
    """Key names and order, nulls, three-digit times and no newline are AWS's [REAL-G]; our own key
    comes last. The id has AWS's form, and the restore point as its time."""
    to = FakeObjects({})
    report = run(written().objects, to)
    export_id = report.folder.rpartition("/")[2]
    millis = round((NOON + timedelta(hours=2)).timestamp() * 1000)
    assert re.fullmatch(rf"{millis:014}-[0-9a-f]{{8}}", export_id)
    wanted = {"arn": ARN, "id": export_id, "table": TABLE_ID, "version": __version__}
    assert to.objects[f"{report.folder}/manifest-summary.json"].decode() == SUMMARY % wanted


def test_the_files_to_the_byte() -> None:
    """NDJSON with a newline at its end; names are 26 characters of base32, always the same."""
    found = []
    for _ in range(2):
        to = FakeObjects({})
        report = run(written().objects, to)
        found.append(to.objects[f"{report.folder}/manifest-files.json"])
    assert found[0] == found[1]
    lines = found[0].decode().splitlines(keepends=True)
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines)
