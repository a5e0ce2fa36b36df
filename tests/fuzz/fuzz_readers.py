"""Coverage-guided fuzzing of every reader: `python tests/fuzz/fuzz_readers.py -max_total_time=60 corpus/`.

Needs atheris, which the project does not depend on. What is asserted is what test_texts and test_libraries assert:
nothing raises, every reader comes to an end, and a text read in two goes gives the points of one.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
with atheris.instrument_imports(include=["secondshift.runtime.readers"]):
    from secondshift.runtime.readers import texts
    from secondshift.runtime.readers.columns import Columns
    from secondshift.runtime.readers.dialects import Csv, JsonLines, Pattern, Printed
    from secondshift.runtime.readers.eventfiles import read_events
    from secondshift.runtime.readers.file_stores import read_metric
    from secondshift.runtime.readers.offline_runs import read_run

FOLDER = Path(tempfile.mkdtemp()) / "metrics"
FOLDER.mkdir()
PATH = str(FOLDER / "file")
DIALECTS = (Printed, JsonLines, Csv, lambda: Pattern(r"(?P<name>\w+)=(?P<value>\S+)"))


def one_input(data: bytes) -> None:
    """Read some bytes as everything that there is a reader for."""
    if len(data) < 2:
        return
    way, cut, data = data[0] % 7, data[1], data[2:]
    Path(PATH).write_bytes(data)
    if way < 4:
        whole = text_points(data, len(data), way)
        assert text_points(data, cut * len(data) // 255, way) == whole
        return
    reader = (read_events, read_run, read_metric)[way - 4]
    offset = -1
    end = 0
    while end > offset:
        offset = end
        _, end = reader(PATH, offset, ended=True)
        assert offset <= end <= len(data)


def text_points(data: bytes, first: int, way: int) -> list[tuple[str, list[int], str]]:
    """Read a text in two goes, the second by a reader that remembers nothing."""
    found: list[Columns] = []
    offset = 0
    for size in (first, len(data)):
        texts.forget()
        Path(PATH).write_bytes(data[:size])
        while True:
            columns, end = texts.read_text(PATH, offset, DIALECTS[way], ended=size == len(data))
            found.append(columns)
            if end == offset:
                break
            offset = end
    names = sorted({name for columns in found for name in columns.columns})
    return [
        (name, [s for c in found if name in c.columns for s in c.columns[name][0]],
         repr([v for c in found if name in c.columns for v in c.columns[name][1]]))
        for name in names
    ]  # fmt: skip


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
