"""The house stands as drawn (docs/architecture.md); each rule is shown to fail on a house that breaks it."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.management import call_command

from tests import architecture as rules
from tests.architecture import CHAIN, ROOT

OURS = (*CHAIN, "limitly_site")


def _lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*command, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the house that a test may break."""
    for folder in OURS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


# --- imports ------------------------------------------------------------------------------------------------------
def test_imports_keep_the_contracts() -> None:
    result = _lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("plans/services.py", "import keys.models"),  # up the chain
        ("keys/validation/store.py", "import keys.api.views"),  # from the inside to the ring
        ("keys/usage.py", "import limitly_site.settings"),  # from the inside to the wiring
    ],
)
def test_an_import_that_breaks_a_contract_is_refused(copy: Path, module: str, line: str) -> None:
    with (copy / module).open("a") as file:
        file.write(f"\n{line}\n")
    result = _lint_imports(copy)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_every_module_is_of_the_inside_or_of_the_ring() -> None:
    lists = rules.contract(ROOT / "pyproject.toml")
    assert rules.unlisted_modules(rules.modules(ROOT), lists["source_modules"], lists["forbidden_modules"]) == set()


def test_a_module_in_no_list_is_named() -> None:
    found = {"keys.models", "keys.novelty", "keys.api.views", "keys.admin"}
    assert rules.unlisted_modules(found, ["keys.models"], ["keys.api"]) == {"keys.novelty", "keys.admin"}


# --- models -------------------------------------------------------------------------------------------------------
def test_relations_point_down_the_chain() -> None:
    assert rules.upward_relations([model for app in CHAIN for model in apps.get_app_config(app).get_models()]) == []


def test_a_relation_up_the_chain_is_named() -> None:
    def model(label: str, *fields: object) -> SimpleNamespace:
        return SimpleNamespace(_meta=SimpleNamespace(label=label, app_label=label, get_fields=lambda: fields))

    up = SimpleNamespace(name="last_key", is_relation=True, auto_created=False, related_model=model("keys"))
    assert rules.upward_relations([model("accounts", up)]) == ["accounts.last_key"]


@pytest.mark.django_db
def test_migrations_say_what_the_models_say() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


# --- writing ------------------------------------------------------------------------------------------------------
def test_tables_are_written_by_services() -> None:
    paths = [(str(path.relative_to(ROOT)), path.read_text()) for path in rules.source_files(ROOT, *CHAIN)]
    assert [found for path, source in paths for found in rules.writes_outside_services(path, source)] == []


@pytest.mark.parametrize(
    "source",
    [
        "Plan.objects.filter(pk=1).update(name='x')",
        "ApiKey.objects.bulk_create(rows)",
        "cursor.execute('UPDATE plans_plan SET name = 1')",
        "SQL = '''\n  DELETE FROM keys_apikey'''",
    ],
)
def test_a_write_outside_services_is_named(source: str) -> None:
    assert rules.writes_outside_services("plans/api/views.py", source)
    assert not rules.writes_outside_services("plans/services.py", source)


def test_updates_of_dicts_and_digests_are_no_writes() -> None:
    assert not rules.writes_outside_services("keys/usage.py", "found.update(more); digest.update(b'x')")


# --- taste --------------------------------------------------------------------------------------------------------
def test_files_and_functions_are_short() -> None:
    paths = [path for path in rules.source_files(ROOT, *OURS, "tests", "benchmarks") if "migrations" not in path.parts]
    assert [found for path in paths for found in rules.too_long(str(path.relative_to(ROOT)), path.read_text())] == []


def test_a_long_function_and_a_long_file_are_named() -> None:
    source = "def long():\n" + "    pass\n" * 450
    assert rules.too_long("a.py", source) == ["a.py has 451 lines", "a.py:1 long has 451 lines"]


def test_imports_stand_at_the_top() -> None:
    """But where Django's registry must be ready first."""
    paths = [path for path in rules.source_files(ROOT, *OURS) if path.name != "apps.py"]
    assert [
        found for path in paths for found in rules.inner_imports(str(path.relative_to(ROOT)), path.read_text())
    ] == []


def test_an_import_in_a_function_is_named() -> None:
    assert rules.inner_imports("a.py", "def f():\n    import json\n") == ["a.py:2"]


# --- settings -----------------------------------------------------------------------------------------------------
def test_every_variable_is_listed_in_the_example() -> None:
    read = {name for path in rules.source_files(ROOT, *OURS) for name in rules.variables_read(path.read_text())}
    assert read - {"XDG_RUNTIME_DIR"} == rules.variables_listed((ROOT / ".env.example").read_text())


def test_a_variable_is_found_however_it_is_read() -> None:
    source = "environment.flag('LIMITLY_A'); os.environ.get('LIMITLY_B', '1'); other.get('C')"
    assert rules.variables_read(source) == {"LIMITLY_A", "LIMITLY_B"}
    assert rules.variables_listed("# words\nLIMITLY_A=1\n# LIMITLY_B=2\n") == {"LIMITLY_A", "LIMITLY_B"}
