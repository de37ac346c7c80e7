"""The house's rules that neither Django nor import-linter enforce, each as a function that names what breaks it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHAIN = ("accounts", "plans", "keys", "analytics")  # each imports, and points to, those before it
RING = ("*.api", "*.api.*", "*.admin", "*.desk", "*.desk.*", "*.tasks", "*.management", "*.management.*", "*.apps")
FILE_LINES, FUNCTION_LINES = 400, 60

# Who may write without a model's save(): services, and what services are built of.
MAY_WRITE = {
    "*/services.py": "the use cases themselves",
    "keys/ledger/*.py": "the ledger's own tables, which nothing else writes",
    "keys/simulated.py": "customers and keys that never were, a million at a time",
    "keys/partitions.py": "partitions, which hold whatever their table holds",
    "analytics/ingest/*.py": "the inbox, which nothing else fills",
    "analytics/rollup/*.py": "what reports and decisions add up to, which nothing else writes",
    "*/migrations/*.py": "schema and first rows",
}
WRITING_SQL = re.compile(r"\s*(INSERT\s+INTO|UPDATE\s|DELETE\s+FROM|COPY\s|TRUNCATE\s|ALTER\s|DROP\s)")
WRITING_CALLS = frozenset({"bulk_create", "bulk_update", "aupdate", "abulk_create", "abulk_update", "raw"})
READERS = frozenset({"text", "flag", "integer", "choice", "words", "secret_key"})


def source_files(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(file for file in (root / folder).rglob("*.py") if ".venv" not in file.parts)


def modules(root: Path) -> set[str]:
    """Every module of the chain by its dotted name, migrations aside."""
    paths = (path.relative_to(root) for path in source_files(root, *CHAIN))
    return {module_name(path) for path in paths if "migrations" not in path.parts} - set(CHAIN)


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_of_the_ring(module: str) -> bool:
    return any(fnmatch(module, pattern) for pattern in RING)


def contract(pyproject: Path) -> dict[str, Any]:
    """import-linter's forbidden contract, which lists the inside and the ring."""
    told = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]["contracts"]
    found: dict[str, Any] = next(each for each in told if each["type"] == "forbidden")
    return found


def unlisted_modules(found: set[str], inside: list[str], ring: list[str]) -> set[str]:
    """Modules that stand in neither list, or in the wrong one."""

    def is_within(module: str, listed: list[str]) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in listed)

    return {
        module
        for module in found
        if is_within(module, ring) != is_of_the_ring(module) or is_within(module, inside) == is_of_the_ring(module)
    }


def upward_relations(models: list[Any]) -> list[str]:
    """Relations from an app to one above it. String foreign keys escape import-linter; the registry knows them all."""
    return [
        f"{model._meta.label}.{field.name}"
        for model in models
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and _rank(model) < _rank(field.related_model)
    ]


def _rank(model: Any) -> int:
    label = model._meta.app_label
    return CHAIN.index(label) if label in CHAIN else -1


def writes_outside_services(path: str, source: str) -> list[str]:
    """`file:line what` of each write that no service would know of: update() of a QuerySet, bulk writes, raw SQL."""
    if any(fnmatch(path, pattern) for pattern in MAY_WRITE):
        return []
    expressions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.expr))
    return [f"{path}:{node.lineno} {found}" for node in expressions if (found := _write(node))]


def _write(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and WRITING_SQL.match(node.value):
        return node.value.strip().split("\n")[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # A dict or a digest takes its update by position, a QuerySet by name alone.
        if node.func.attr == "update" and node.keywords and not node.args:
            return "update()"
        if node.func.attr in WRITING_CALLS:
            return f"{node.func.attr}()"
    return ""


def too_long(path: str, source: str) -> list[str]:
    lines = source.count("\n")
    found = [f"{path} has {lines} lines"] if lines > FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{path}:{node.lineno} {node.name} has {length} lines")
    return found


def inner_imports(path: str, source: str) -> list[str]:
    """Imports inside functions: a design bug, but where Django or a program's start asks for them."""
    return [
        f"{path}:{inner.lineno}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]


def variables_read(source: str) -> set[str]:
    """Environment variables that a module reads by the typed readers or by os.environ."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner = ast.unparse(node.func.value)
        reads = (owner == "environment" and node.func.attr in READERS) or (
            owner == "os.environ" and node.func.attr == "get"
        )
        if reads and isinstance(node.args[0], ast.Constant):
            found.add(str(node.args[0].value))
    return found


def variables_listed(example: str) -> set[str]:
    """Those of .env.example, given or commented out."""
    return set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, flags=re.MULTILINE))
