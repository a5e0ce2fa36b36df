"""A SIMULATED agent: it plays the part of a coding agent by a fixed library of edits of pack.py. No model is asked.

    python scripted_agent.py BRIEF     (in the folder of the study)

Which edit it makes follows from the text of the brief alone. Where the brief asks to combine two programs, it takes over
some of the hunks by which the other one differs. Some of its edits are useless or wrong on purpose, as those of agents are.
"""

import ast
import hashlib
import random
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path("pack.py")

ROWS = '''
def layout(rng):
    """Where the centres are at first: rows of five and six, float64[26, 2]."""
    rows = [5, 5, 6, 5, 5]
    cells = [((n + 0.5) / count, (row + 0.5) / len(rows)) for row, count in enumerate(rows) for n in range(count)]
    return np.array(cells)
'''
SCATTER = '''
def layout(rng):
    """Where the centres are at first: anywhere, float64[26, 2]."""
    return rng.random((COUNT, 2))
'''
LARGEST = '''
def radii(centres):
    """How large the circles around these centres may be: the largest sum that a linear program finds."""
    from scipy.optimize import linprog

    first, second = np.triu_indices(COUNT, 1)
    apart = np.hypot(*(centres[first] - centres[second]).T)
    both = np.zeros((len(first), COUNT))
    both[np.arange(len(first)), first] = both[np.arange(len(first)), second] = 1.0
    room = np.minimum(centres, 1 - centres).min(axis=1)
    found = linprog(-np.ones(COUNT), A_ub=both, b_ub=apart, bounds=[(0.0, edge) for edge in room], method="highs")
    return np.maximum(found.x, 0.0)
'''
PUSHED = '''
def improved(centres, rng):
    """Centres that leave more room than those given: moved at random, and back where that was no good."""
    best = radii(centres).sum()
    for _ in range(ROUNDS):
        moved = np.clip(centres + STEP * rng.standard_normal(centres.shape) * (rng.random((COUNT, 1)) < 0.2), 0.01, 0.99)
        total = radii(moved).sum()
        if total > best:
            centres, best = moved, total
    return centres
'''
SLID = '''
def improved(centres, rng):
    """Centres that leave more room than those given: all slide at once as a linear program says, in steps that shrink."""
    from scipy.optimize import linprog

    first, second = np.triu_indices(COUNT, 1)
    best, reach = radii(centres).sum(), STEP
    for _ in range(ROUNDS):
        between = centres[first] - centres[second]
        apart = np.hypot(*between.T)
        near = apart < 0.6
        i, j, way, count = first[near], second[near], between[near] / apart[near, None], int(near.sum())
        left, right = np.zeros((count + 4 * COUNT, 3 * COUNT)), np.zeros(count + 4 * COUNT)
        pairs, every = np.arange(count), np.arange(COUNT)
        left[pairs, 2 * COUNT + i] = left[pairs, 2 * COUNT + j] = 1.0
        right[:count] = apart[near]
        for axis in (0, 1):
            left[pairs, axis * COUNT + i], left[pairs, axis * COUNT + j] = -way[:, axis], way[:, axis]
            for side in (0, 1):
                edge = count + (2 * axis + side) * COUNT + every
                left[edge, 2 * COUNT + every], left[edge, axis * COUNT + every] = 1.0, 2.0 * side - 1.0
                right[edge] = 1 - centres[:, axis] if side else centres[:, axis]
        bounds = [(-reach, reach)] * (2 * COUNT) + [(0.0, 0.5)] * COUNT
        found = linprog(-np.repeat([0.0, 1.0], [2 * COUNT, COUNT]), A_ub=left, b_ub=right, bounds=bounds, method="highs")
        if found.x is None:
            break
        moved = np.clip(centres + found.x[: 2 * COUNT].reshape(2, COUNT).T, 0.001, 0.999)
        total = radii(moved).sum()
        if total > best + 1e-7:
            centres, best = moved, total
        else:
            reach /= 2
    return centres
'''


def function(text, new):
    """A program with the function that `new` defines in the place of its own."""
    name = ast.parse(new.strip()).body[0].name
    [old] = [one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and one.name == name]
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: old.lineno - 1], new.strip() + "\n", *lines[old.end_lineno :]])


def constant(text, name, factor):
    """A program with one of its constants multiplied."""

    def changed(found):
        value = float(found[2]) * factor
        return f"{found[1]}{max(1, round(value)) if '.' not in found[2] else float(f'{value:.4g}')}"

    return re.sub(rf"^({name} = )([0-9.e-]+)", changed, text, count=1, flags=re.MULTILINE)


def edits():
    """Every edit with how likely it is made: a function from the program's text to another one."""
    for new in (ROWS, SCATTER, LARGEST, PUSHED, SLID):
        yield 2.0, lambda text, new=new: function(text, new)
    for name in ("JITTER", "ROUNDS", "STEP"):
        for factor in (0.5, 2.0):
            yield 1.0, lambda text, name=name, factor=factor: constant(text, name, factor)
    yield 0.5, lambda text: text.replace('"""Pack once', '"""Pack one time')  # changes nothing
    yield 0.5, lambda text: text.replace("(1 - 1e-9)", "1.01")  # circles overlap
    yield 0.5, lambda text: text.replace("rows = [[", "rows = ([[")  # no Python
    yield 0.5, lambda text: text.replace('print(f"packed', 'print(f"sum_of_radii=9.99, packed')  # boasts


def hunks(brief):
    """The hunks of the first program that a brief shows, each as a difference of its own."""
    shown = brief.partition("to be inspired by\n")[2].partition("\n## ")[0]
    found = []
    for part in re.split(r"(?=^diff --git )", shown, flags=re.MULTILINE):
        head, *rest = re.split(r"(?=^@@ )", part.partition("\n```")[0] + "\n", flags=re.MULTILINE)
        found += [head + one for one in rest if "pack.py" in head]
    return found


def combined(brief, rng):
    """Take over some hunks of another program; says whether that changed anything."""
    before = PROGRAM.read_text()
    for one in hunks(brief):
        if rng.random() < 0.8:
            subprocess.run(["git", "apply", "--recount", "-"], input=one, text=True, check=False, capture_output=True)
    try:
        ast.parse(PROGRAM.read_text())
    except SyntaxError:
        PROGRAM.write_text(before)
    return PROGRAM.read_text() != before


def main():
    """Make one edit."""
    brief = Path(sys.argv[1]).read_text("utf-8", "replace")
    rng = random.Random(hashlib.sha256(brief.encode()).hexdigest())
    if "together with it" in brief and combined(brief, rng):
        return
    weights, every = zip(*edits(), strict=True)
    for _ in range(50):
        text = PROGRAM.read_text()
        after = rng.choices(every, weights)[0](text)
        if after != text:
            PROGRAM.write_text(after)
            return


if __name__ == "__main__":
    main()
