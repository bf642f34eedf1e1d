"""The words of ``coldtable deploy``: what is refused before AWS is asked."""

from __future__ import annotations

import pytest

from coldtable.cli.app import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--table orders --at 25:00", "--at '25:00' is not a time of day"),
        ("--table orders --at 03:00+01:00", "--at '03:00+01:00' is not a time of day"),
        ("--table orders --day 32", "--day must be 0 (every day) to 31"),
        ("--table orders --enable-pitr --recovery-days 36", "--recovery-days must be 1 to 35"),
        ("--existing-parameters --at 03:00", "contradict --existing-parameters"),
        ("--existing-parameters --day 0", "contradict --existing-parameters"),
        ("--existing-parameters --prefix-template {table}", "contradict --existing-parameters"),
        ("--table orders --policy /no/such/file", "--policy /no/such/file cannot be read"),
        ("--tabel orders", "Unknown option"),
    ],
)
def test_wrong_words(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    """Options that make no sense end with code 2 and a sentence, on stderr alone."""
    with pytest.raises(SystemExit) as caught:
        main(["deploy", *words.split()])
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert said in err
