"""Which snapshot of the lab fits, and which ones make room."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.lab import snapshots, state
from tests.lab.snapshots import FOLDER_IMAGE, Snapshot


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "ROOT", tmp_path)
    file = tmp_path / "deploy.py"
    file.write_text("one")
    return file


def test_digest_is_the_same_for_the_same(file: Path) -> None:
    assert snapshots.digest_of(["a"], [file]) == snapshots.digest_of(["a"], [file])


def test_digest_changes_with_all_that_it_is_made_of(file: Path) -> None:
    digests = {snapshots.digest_of(["a"], [file]), snapshots.digest_of(["b"], [file]), snapshots.digest_of(["a"], [])}
    file.chmod(0o755)
    digests.add(snapshots.digest_of(["a"], [file]))
    file.write_text("two")
    digests.add(snapshots.digest_of(["a"], [file]))
    digests.add(snapshots.digest_of(["a"], [file.rename(file.with_name("other.py"))]))
    assert len(digests) == 6


def test_code_templates_settings_and_lab_count() -> None:
    names = {str(path.relative_to(state.ROOT)) for path in snapshots.sources()}
    assert {"deploy.py", "ox_deploy/cluster.py", "group_data/all.py", "tests/lab/ox6/packages.list"} <= names
    assert any(name.startswith("templates/etc/") for name in names)
    assert not any("__pycache__" in name for name in names)


def made(key: str, created: str, whole: bool = True) -> Snapshot:
    images = {"web": "1", **({FOLDER_IMAGE: "2"} if whole else {})}
    return Snapshot(key, "192.0.2.0/24", images, created=created)


def test_newest_whole_one_of_the_key_comes_first() -> None:
    kept = [made("a", "1"), made("a", "3"), made("b", "4"), made("a", "5", whole=False)]
    assert [snapshot.created for snapshot in snapshots.fitting(kept, "a")] == ["3", "1"]


def test_room_is_made_by_old_ones_and_what_broke_off() -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    many = [made("a", f"2026-11-28T{n:02}") for n in range(10)]
    assert many[0] in snapshots.superfluous(many, "a", now)
    assert len(snapshots.superfluous(many, "a", now)) == 10 - snapshots.MOST_SNAPSHOTS + 1
    broken_off, under_way = (made("a", f"2026-11-28T{time}", whole=False) for time in ("10:00", "11:30"))
    assert snapshots.superfluous([broken_off, under_way], "a", now) == [broken_off]
    others, own = made("b", "2026-11-27T10"), made("a", "2026-11-27T10")
    assert snapshots.superfluous([others, own], "a", now) == [others]
