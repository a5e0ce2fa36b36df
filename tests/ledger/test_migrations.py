import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from secondshift.ledger.migrating import FOLDER, config, migrate
from secondshift.ledger.schema import METADATA, REVISION_TABLE, REVISIONS
from tests.ledger.scenes import fact, opened

ROOT = Path(__file__).parents[2]


def test_the_migrations_lead_to_the_tables_the_code_uses(tmp_path: Path) -> None:
    ledger, _ = opened(tmp_path)
    with ledger._writing.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": REVISION_TABLE})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == REVISIONS[-1]
    ledger.close()


def test_the_revisions_known_without_alembic_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == REVISIONS


def test_migrating_a_ledger_that_is_up_to_date_changes_nothing(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path)
    ledger.append([fact()], at=0.0, token=token)
    with ledger._writing.begin() as connection:
        migrate(connection)
    assert ledger.last_seq() == 1
    ledger.close()


def test_the_same_migration_speaks_to_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    settings = config(dialect="postgresql")
    settings.output_buffer = told
    command.upgrade(settings, "head", sql=True)
    sql = told.getvalue()
    assert "CREATE TABLE events" in sql and "seq BIGINT NOT NULL" in sql and "body BYTEA NOT NULL" in sql
    assert "id BIGSERIAL NOT NULL" in sql and "create view curves" in sql


def test_facts_are_never_migrated_away() -> None:
    settings = config(dialect="postgresql")
    with pytest.raises(NotImplementedError, match="drop facts"):
        command.downgrade(settings, "0001:base", sql=True)


def test_an_installed_wheel_makes_ledgers_with_the_migrations_inside_it(tmp_path: Path) -> None:
    """As after an installation: the package alone, out of an archive built from what hatch would pack."""
    wheel, site, study = tmp_path / "w.zip", tmp_path / "site", tmp_path / "study"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (ROOT / "src").rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(ROOT / "src"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    study.mkdir()
    code = (
        "import pathlib, secondshift.ledger.sqlite as s; "
        f"assert s.__file__.startswith({str(site)!r}); print(s.SqliteLedger(pathlib.Path({str(study)!r})).last_seq())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env={"PYTHONPATH": str(site)}, cwd=tmp_path, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr
    assert (study / "ledger.db").exists()


def test_the_migrations_are_part_of_the_package() -> None:
    assert FOLDER.is_relative_to(ROOT / "src" / "secondshift")
    assert (FOLDER / "env.py").exists() and (FOLDER / "script.py.mako").exists()
