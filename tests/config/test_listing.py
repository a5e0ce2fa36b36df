"""A table of configurations as the search space: what is read from it, and how each mistake is told."""

from pathlib import Path

import pytest

from secondshift.config.loading import check_study, load_study
from secondshift.errors import ConfigInvalid
from secondshift.policies.models.spaces import region

SEARCH = """
[search]
lr = { low = 1e-5, high = 1.0, log = true }
width = { low = 8, high = 64 }
kind = { choices = ["sgd", "adam", 3, true], default = "adam" }
momentum = { low = 0.0, high = 1.0, when = { kind = ["sgd"] } }
"""
ROWS = "lr, kind ,width,momentum\n0.1,adam,8,\n1e-3,sgd,16.0,0.9\n\n0.5,,64,\n0.5,3,64,\n0.5,true,64,\n"


def write(
    folder: Path, rows: str | bytes | None, *, top: str = 'among = "configs.csv"', more: str = "", search: str = SEARCH
) -> Path:
    if rows is not None:
        (folder / "configs.csv").write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    file = folder / "secondshift.toml"
    head = f'command = "python train.py"\n{top}\n[objective]\nmetric = "loss"\n[horizon]\nsteps = 9\n'
    file.write_text(head + search + more)
    return file


def told(folder: Path, rows: str | bytes | None, **given: str) -> str:
    study, mistakes = check_study(write(folder, rows, **given), environment={})
    assert study is None and all(str(mistake).startswith("line ") for mistake in mistakes)
    return "\n".join(map(str, mistakes))


def test_rows_become_the_only_candidates_in_their_order_with_the_types_of_their_axes(tmp_path: Path) -> None:
    space = load_study(write(tmp_path, "\ufeff" + ROWS), environment={}).space
    assert space.among == (
        {"lr": 0.1, "width": 8, "kind": "adam"},
        {"lr": 1e-3, "width": 16, "kind": "sgd", "momentum": 0.9},
        {"lr": 0.5, "width": 64, "kind": "adam"},  # an empty cell stands for the default
        {"lr": 0.5, "width": 64, "kind": 3},
        {"lr": 0.5, "width": 64, "kind": True},
    )
    assert [type(row["width"]) for row in space.among] == [int] * 5 and type(space.among[3]["kind"]) is int
    ground = region(space)
    assert all(not ground.fault(row) for row in space.among)
    assert "none of the 5 candidates that `among` lists" in ground.fault({"lr": 0.2, "width": 8, "kind": "adam"})
    assert load_study(write(tmp_path, ROWS, top=""), environment={}).space.among == ()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (None, "configs.csv, which cannot be read (No such file or directory)"),
        ("", "configs.csv with nothing in it"),
        ("lr,kind,width\n\n", "configs.csv with only a header"),
        (b"lr,width\n0.1,\xff\n", "no UTF-8"),
        ("lr,widht\n0.1,8\n", 'a column "widht" in configs.csv, expected parameters of [search]: lr, width, kind,'),
        ("lr,widht\n0.1,8\n", "Is `width` meant?"),
        ("lr,width,lr\n0.1,8,0.1\n", 'two columns "lr"'),
        ("lr\n0.1\n", "configs.csv without a column width"),
        ("lr,width\n0.1,8\n0.2\n", "configs.csv, line 3 with 1 cells, expected 2"),
        ("lr,width\n0.1,eight\n", "configs.csv, line 2, width: eight, expected a whole number from 8 to 64"),
        ("lr,width\n0.1,8.5\n", "width: 8.5"),
        ("lr,width\n7,8\n", "lr: 7, expected"),
        ("lr,width\nnan,8\n", "lr: nan, expected"),
        ("lr,width,kind\n0.1,8,rprop\n", "kind: rprop, expected"),
        ("lr,width,kind\n0.1,8,sgd\n", "momentum is missing"),
        ("lr,width,momentum\n0.1,8,0.5\n", "momentum is not active beside the others"),
        ("lr,width\n0.1,8\n0.2,8\n0.10,8\n", "configs.csv, line 4: the same candidate as in line 2"),
        ("lr,width\n" + "0.1,8\n" * 2001, "at most 2000 candidates"),
        ("lr,width\n" + "".join(f"9{n},8\n" for n in range(9)), "4 more such rows in configs.csv"),
        ('lr,width\n"0.1,8\n', "lines of cells"),
    ],
)
def test_a_mistake_in_the_table_says_where_it_is_and_what_was_expected(rows: str | bytes | None, says: str, tmp_path: Path) -> None:
    assert says in told(tmp_path, rows)


def test_what_makes_candidates_of_its_own_cannot_keep_to_a_list(tmp_path: Path) -> None:
    assert 'expected a searcher that keeps to a list: "model"' in told(tmp_path, ROWS, more='[policy]\nsearcher = "evolution"\n')
    assert "a scheduler that makes no candidates of its own" in told(tmp_path, ROWS, more='[policy]\nscheduler = "population"\n')


def test_a_baseline_that_the_file_names_is_one_of_the_rows(tmp_path: Path) -> None:
    search = "[search]\nlr = { low = 0.0, high = 1.0, default = 0.5 }\n"
    assert "configs.csv without the defaults of [search] (lr = 0.5)" in told(tmp_path, "lr\n0.1\n", search=search)
    assert len(load_study(write(tmp_path, "lr\n0.1\n0.5\n", search=search), environment={}).space.among) == 2


def test_what_is_to_be_tried_first_is_one_of_the_rows(tmp_path: Path) -> None:
    assert "`among` lists" in told(tmp_path, ROWS, more="[policy]\ntry_first = [{ lr = 0.2, width = 8 }]\n")
    load_study(write(tmp_path, ROWS, more="[policy]\ntry_first = [{ lr = 0.5, width = 64 }]\n"), environment={})


def test_below_search_it_is_told_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"`among` inside \[search\], expected it at the top of the file"):
        load_study(write(tmp_path, ROWS, top="", search=SEARCH + 'among = "configs.csv"\n'), environment={})
