"""start.py sets up from python3 and pip alone; here a shell script stands in for uv, so nothing is fetched."""

import ast
import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import start

ROOT = Path(__file__).resolve().parents[1]

# Makes what uv would make, and writes down what it was asked for. FAKE_FAIL names the step that is to fail.
FAKE_UV = """#!/bin/sh
echo "$*" >> "$FAKE_LOG"
case "$*" in
  --version) echo "uv ${FAKE_VERSION:-0.9.1}"; exit 0;;
esac
[ -f pyproject.toml ] || { echo "asked in $PWD, not in the checkout" >&2; exit 9; }
[ "$1 $2" = "pip $FAKE_FAIL" ] && { echo "no route to index" >&2; exit 2; }
for last; do :; done
[ "$1" = venv ] && { sleep "${FAKE_SLEEP:-0}"; mkdir -p "$last/bin"; : > "$last/bin/python"; }
if [ "$2" = install ]; then
  until [ "$1" = --python ]; do shift; done
  bin=$(dirname "$2")
  printf '#!/bin/sh\\necho "secondshift $* in $PWD"\\n' > "$bin/secondshift"
  for tool in ruff lint-imports pyright pytest; do
    printf '#!/bin/sh\\necho "%s $*"\\ncase " $FAKE_RED " in *" %s "*) exit 3;; esac\\n' $tool $tool > "$bin/$tool"
  done
  chmod +x "$bin"/*
fi
exit 0
"""


class Checkout:
    """A copy of what start.py needs, with the stand-in for uv first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.bin = folder / "checkout", folder / "uv.log", folder / "bin"
        self.folder.mkdir()
        self.bin.mkdir()
        for name in ("start.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        shutil.copytree(ROOT / "requirements", self.folder / "requirements")
        uv = self.bin / "uv"
        uv.write_text(FAKE_UV)
        uv.chmod(uv.stat().st_mode | stat.S_IXUSR)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "start.py"), *arguments]

    def env(self, **extra: str) -> dict[str, str]:
        return {"PATH": f"{self.bin}:{os.defpath}", "HOME": str(self.folder), "FAKE_LOG": str(self.log), **extra}

    def run(self, *arguments: str, cwd: Path | None = None, **extra: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments), env=self.env(**extra), cwd=cwd or self.folder,
            capture_output=True, text=True, timeout=60, check=False,
        )

    def asked(self) -> list[str]:
        """What uv was asked for since the last call of this, without the questions for its version."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return [" ".join(re.findall(r"^venv|^pip \w+", line)) for line in lines if line != "--version"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_any_verb_goes_to_secondshift_in_the_callers_folder(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run("run", "--for", "2h", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"secondshift run --for 2h in {tmp_path}\n", "only secondshift may write to standard output"
    assert checkout.asked() == ["venv", "pip sync", "pip install"]


def test_the_second_start_installs_nothing_and_is_fast(checkout: Checkout) -> None:
    checkout.run("demo")
    checkout.asked()
    took_s = []
    for _ in range(3):  # the fastest of three: the machine may be busy with other tests
        began = time.monotonic()
        done = checkout.run("demo")
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.5
    assert (done.stdout.startswith("secondshift demo"), done.stderr, checkout.asked()) == (True, "", [])


def test_changed_requirements_mend_the_environment_in_place(checkout: Checkout) -> None:
    checkout.run("demo")
    checkout.asked()
    with open(checkout.folder / "requirements" / "run.txt", "a") as pins:
        pins.write("# changed\n")
    assert checkout.run("demo").returncode == 0
    assert checkout.asked() == ["pip sync", "pip install"], "a night may be running in it: never made anew"


def test_a_failed_installation_says_what_is_needed_and_the_next_start_begins_anew(checkout: Checkout) -> None:
    failed = checkout.run("demo", FAKE_FAIL="sync")
    assert failed.returncode == 1
    assert "no route to index" in failed.stderr and "apt install python3-pip" in failed.stderr
    assert "Traceback" not in failed.stderr and failed.stdout == ""
    checkout.asked()
    assert checkout.run("demo").returncode == 0
    assert checkout.asked() == ["venv", "pip sync", "pip install"]


def test_a_moved_checkout_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.run("demo")
    checkout.asked()
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "moved here")
    assert checkout.run("demo").stdout.startswith("secondshift demo")
    assert checkout.asked() == ["venv", "pip sync", "pip install"], "programs inside name the folder they were made in"


def test_a_half_written_stamp_is_no_environment(checkout: Checkout) -> None:
    checkout.run("demo")
    stamp = checkout.folder / ".start" / "run" / "stamp"
    stamp.write_text(stamp.read_text()[:20])
    checkout.asked()
    assert checkout.run("demo").returncode == 0
    assert checkout.asked()[0] == "venv"


def test_two_starts_at_once_install_once(checkout: Checkout) -> None:
    env = checkout.env(FAKE_SLEEP="0.5")
    both = [subprocess.Popen(checkout.command("demo"), env=env, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert checkout.asked() == ["venv", "pip sync", "pip install"]


def test_run_and_test_have_environments_of_their_own(checkout: Checkout) -> None:
    checkout.run("demo")
    assert checkout.run("test").returncode == 0
    assert sorted(path.name for path in (checkout.folder / ".start").iterdir() if path.is_dir()) == ["dev", "run"]


def test_test_runs_every_group_and_fails_with_the_first_failure(checkout: Checkout) -> None:
    green = checkout.run("test", "tests/ledger", "-k", "two words")
    assert green.returncode == 0 and "lint ok | imports ok | types ok | tests ok" in green.stderr
    assert [line.split()[0] for line in green.stdout.splitlines()] == ["ruff", "lint-imports", "pyright", "pytest"]
    assert green.stdout.splitlines()[-1] == "pytest -n 3 tests/ledger -k two words"
    red = checkout.run("test", FAKE_RED="lint-imports pytest")
    assert red.returncode == 3 and "lint ok | imports FAILED | types ok | tests FAILED" in red.stderr


def test_an_old_uv_is_passed_over(checkout: Checkout) -> None:
    # Without a way to reach an index, installing a newer uv fails: that it was tried is what counts here.
    done = checkout.run("demo", FAKE_VERSION="0.4.30", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert "installing uv" in done.stderr and done.returncode == 1 and checkout.asked() == []


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("global.index-url='https://a/simple'\n:env:.index-url='https://b/simple'", {"UV_DEFAULT_INDEX": "https://b/simple"}),
        ("install.extra-index-url='\\nhttps://a\\nfile:///b'", {"UV_INDEX": "https://a file:///b"}),
        ("global.find-links='/ https://c/d /no/such/folder'", {"UV_FIND_LINKS": "/,https://c/d"}),
        ("global.cert='/ca.pem'", {"SSL_CERT_FILE": "/ca.pem"}),
        ("global.timeout='60'\nglobal.trusted-host='h1 h2'", {"UV_HTTP_TIMEOUT": "60", "UV_INSECURE_HOST": "h1 h2"}),
        ("wheel.index-url='https://a'\nwarning: noise", {}),
        ("", {}),
    ],
)
def test_pip_settings_are_translated_for_uv(listing: str, expected: dict[str, str]) -> None:
    env = start.uv_environment(listing, {})
    names = {*start.UV_NAMES.values()}
    assert {name: value for name, value in env.items() if name in names} == expected


def test_downloads_stay_in_the_checkout() -> None:
    assert Path(start.uv_environment("", {})["UV_CACHE_DIR"]).is_relative_to(ROOT / ".start")


def test_what_is_already_set_for_uv_wins_over_pip() -> None:
    mine = {"UV_DEFAULT_INDEX": "https://mine", "UV_CACHE_DIR": "/shared"}
    env = start.uv_environment("global.index-url='https://pip'", mine)
    assert (env["UV_DEFAULT_INDEX"], env["UV_CACHE_DIR"]) == ("https://mine", "/shared")


@pytest.mark.parametrize(("name", "value"), [("version_info", (3, 9, 2)), ("platform", "win32")])
def test_an_unfit_python_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setattr(sys, name, value)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer.*\n.*python3\.11 start\.py demo"):
        runpy.run_path(str(ROOT / "start.py"))


def test_start_is_short_standard_library_only_and_readable_by_python_3_8() -> None:
    text = (ROOT / "start.py").read_text("utf-8")
    assert len(text.splitlines()) <= 100
    tree = ast.parse(text, feature_version=(3, 8))
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert named <= sys.stdlib_module_names


def pins(name: str) -> dict[str, list[str]]:
    """Package -> its pinned versions (one for each range of Pythons). Checks that every line is hashed."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / "requirements" / name).read_text("utf-8").strip()):
        first, *hashes = block.splitlines()
        match = re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)(?: ; [^\\]+)? \\", first)
        assert match, f"requirements/{name}: '{first}' is no exact pin. Make it anew as docs/decisions/0001 says."
        assert hashes and all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in hashes), block
        found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "uv.txt", "ci.txt"])
def test_requirements_are_hash_pinned_and_name_no_host(name: str) -> None:
    assert pins(name)
    assert not re.search(r"://|--index|--find-links|--extra", (ROOT / "requirements" / name).read_text("utf-8"))


def test_the_pins_cover_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    def named(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=~! ]", requirement)[0] for requirement in requirements}

    run, groups = named(project["project"]["dependencies"]), project["dependency-groups"]
    assert run | named(groups["build"]) <= set(pins("run.txt"))
    assert named(groups["dev"]) <= set(pins("dev.txt"))
    assert not named(groups["dev"]) & set(pins("run.txt")), "development tools have no place in the default install"


def test_both_environments_run_the_same_versions() -> None:
    run, dev = pins("run.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in run} == run


def test_what_ci_adds_changes_nothing_that_is_there() -> None:
    dev, more = pins("dev.txt"), pins("ci.txt")
    assert {name: more[name] for name in more if name in dev} == {name: dev[name] for name in more if name in dev}
    named = (ROOT / "requirements" / "ci.in").read_text("utf-8").splitlines()
    assert {line.partition("==")[0] for line in named if not line.startswith("#")} <= set(more)
