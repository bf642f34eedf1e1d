"""``coldtable config validate --file``: a policy judged before it is uploaded, without AWS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldtable.cli.app import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["config", "validate", *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_good_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 0; what may surprise is on stderr, and in the JSON."""
    file = tmp_path / "policy.json"
    file.write_text('{"mode": "continuous", "every_minutes": 15}')
    code, out, err = run(capsys, "--file", str(file))
    assert (code, out) == (0, f"{file}: good\n")
    assert f"warning: {file}: $.every_minutes: 96 exports a day" in err
    code, out, _ = run(capsys, "--file", str(file), "--output", "json", "-q")
    answer = json.loads(out)
    assert (answer["schema"], answer["good"]) == ("coldtable.config-validate/1", True)
    assert answer["problems"] == []
    assert len(answer["warnings"]) == 1


def test_all_problems_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 10, each problem with its path, and each apart in the JSON."""
    file = tmp_path / "policy.json"
    file.write_text('{"mode": "contin", "every_minutes": 5, "prefix": "{{table}}"}')
    code, out, err = run(capsys, "--file", str(file), "--output", "json")
    assert code == 10
    messages = [problem["message"] for problem in json.loads(out)["problems"]]
    assert len(messages) == 4
    for part in ("$.mode: ", "$.every_minutes: 5 is less", "$.prefix: ", "{{…}} in it"):
        assert any(part in message for message in messages)
        assert part in err
    assert "4 things are wrong" in err


@pytest.mark.parametrize(
    ("content", "words", "code", "said"),
    [
        ('{"tables": ["orders"]}', [], 0, ""),
        ('{"tables": ["orders"]}', ["--table", "orders"], 10, "$.tables: belongs into POLICY"),
        ("{}", ["--table", "ab"], 10, "'ab' cannot be a table name"),
        ("\ufeff{}", [], 10, "$: is not JSON"),
        (json.dumps({"exclude": ["a" * 60] * 70}), [], 10, "a standard parameter holds 4096"),
    ],
)
def test_what_is_asked_of_a_file(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: str,
    words: list[str],
    code: int,
    said: str,
) -> None:
    """It is POLICY, or with --table that table's policy, and must fit into a parameter."""
    file = tmp_path / "policy.json"
    file.write_text(content, "utf-8")
    found, _, err = run(capsys, "--file", str(file), *words)
    assert found == code
    assert said in err


def test_a_file_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 12 if it is not there, 10 if it is no text."""
    assert run(capsys, "--file", str(tmp_path / "gone.json"))[0] == 12
    (tmp_path / "binary").write_bytes(b"\xff\xfe{}")
    code, _, err = run(capsys, "--file", str(tmp_path / "binary"))
    assert code == 10
    assert "is not UTF-8 text" in err
