import dataclasses
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from secondshift.records.events import KINDS, VERSION
from tests.ledger.scenes import filled

PAGE = (Path(__file__).parents[2] / "docs/reference/events.md").read_text()


def test_the_page_names_every_kind_with_exactly_its_fields() -> None:
    sections = {part.split("`", 1)[0]: part for part in PAGE.split("\n### `")[1:]}
    assert sorted(sections) == sorted(KINDS)
    for kind, cls in KINDS.items():
        told = re.findall(r"^\| `(\w+)` \| \S", sections[kind], re.MULTILINE)
        assert told == [field.name for field in dataclasses.fields(cls)], kind
    assert f"version {VERSION}" in PAGE


def test_the_queries_on_the_page_work(tmp_path: Path) -> None:
    queries = re.search(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert queries is not None
    with closing(sqlite3.connect(filled(tmp_path, appends=2))) as connection:
        found = [connection.execute(query).fetchall() for query in queries[1].split(";") if query.strip()]
    assert [len(rows) for rows in found] == [0, 0, 1]
