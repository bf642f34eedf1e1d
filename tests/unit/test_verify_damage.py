"""Damaged archives: each kind of damage gives its verdict, its reason and its exit code."""

from __future__ import annotations

import pytest

from tests.unit.verifying import (
    Damage,
    Verify,
    change_body,
    count_wrong,
    first,
    flip,
    name_twice,
    remove,
    sound,
    swap,
    told,
)


@pytest.mark.parametrize(
    ("damage", "verdict", "said"),
    [
        (remove("0000.json.gz"), "incomplete", "it is not there"),
        (lambda w: change_body(w, lambda b: b[:-9]), "damaged", "it is cut short"),
        (lambda w: change_body(w, lambda b: b[:-9]), "damaged", "its MD5 is"),
        (lambda w: change_body(w, flip), "damaged", "its MD5 is"),
        (lambda w: change_body(w, lambda _: b""), "damaged", "it is cut short"),
        (lambda w: change_body(w, lambda b: b + b"x"), "damaged", "has bytes after the end"),
        (lambda w: change_body(w, lambda b: b + b), "damaged", "has bytes after the end"),
        (lambda w: change_body(w, lambda _: b"no gzip at all"), "damaged", "not sound gzip"),
        (swap, "damaged", "it is the content of orders/AWSDynamoDB/"),
        (count_wrong, "damaged", "it holds 2 items, and its manifest says 4"),
        (name_twice, "damaged", "the manifest names a data file twice"),
        (remove("manifest-files.json"), "incomplete", "manifest-files.json"),
        (remove("manifest-files.md5"), "incomplete", "manifest-files.md5"),
        (remove("manifest-summary.md5"), "incomplete", "manifest-summary.md5"),
    ],
)
def test_damage(verify: Verify, damage: Damage, verdict: str, said: str) -> None:
    """What is missing or wrong is found at the level objects; the other export is verified."""
    writer = sound()
    damage(writer)
    verify.put(writer)
    code, answer, err = verify("-q")
    assert code == 5
    assert "1 of 2 exports are damaged or incomplete" in err
    bad, good = sorted(told(answer))
    assert good == "verified"
    assert bad.startswith(verdict)
    assert said in bad
    assert answer["orphans"] == []
    # Without its full export the increment joins on to nothing.
    assert len(answer["unjoined"]) == ("summary" in said)


@pytest.mark.parametrize("name", ["manifest-files.json", "manifest-summary.json"])
@pytest.mark.parametrize("level", ["manifest", "objects"])
def test_manifests_that_cannot_be_believed(verify: Verify, name: str, level: str) -> None:
    """A manifest that does not match its MD5 is damage already at the first level."""
    writer = sound()
    key = first(writer, name)
    writer.objects[key] += b" "
    verify.put(writer)
    code, answer, _ = verify("--level", level, "-q")
    assert code == 5
    assert f"{name} does not match its MD5" in str(told(answer))


def test_what_is_missing_is_seen_without_reading(verify: Verify) -> None:
    """The level manifest reads no data file, and sees that one is not there."""
    writer = sound()
    change_body(writer, flip)
    remove("0001.json.gz")(writer)
    verify.put(writer)
    code, answer, _ = verify("--level", "manifest", "-q")
    assert code == 5
    assert told(answer) == ["incomplete; it is not there", "verified"]
