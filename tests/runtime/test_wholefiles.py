"""A file that people read is replaced as a whole; a failed attempt leaves the old one and no draft."""

from pathlib import Path

import pytest

from secondshift.runtime.wholefiles import replace_text


def test_a_text_that_cannot_be_written_leaves_the_old_one_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "brief.md"
    replace_text(target, "지난밤")
    with pytest.raises(UnicodeEncodeError):
        replace_text(target, "broken \udc80")
    assert target.read_text("utf-8") == "지난밤"
    assert [path.name for path in tmp_path.iterdir()] == ["brief.md"]
