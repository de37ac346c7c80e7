"""What a filter of an export means: its operators, by kind of field, as SQL.

Each operator that denies is the complement of the one it denies: `path neq "/a"` holds where there is no path, too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from analytics.exports.fields import Field, Kind
from analytics.exports.parsing import BadExport, at, items, moment, one_of, text, whole_number

FILTERS_MAX: Final = 100
ID_MAX: Final = 2**31 - 1

DENIALS: Final = {
    "neq": "eq",
    "not_in": "in",
    "not_like": "like",
    "not_ilike": "ilike",
    "not_contains": "contains",
    "is_not_null": "is_null",
    "not_exists": "exists",
}
COMPARISONS: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
PATTERNS: Final = {"like": "LIKE", "ilike": "ILIKE"}
WITHOUT_VALUE: Final = frozenset({"is_null", "exists"})

EQUAL, IN, LIKE, ILIKE = ("eq", "neq"), ("in", "not_in"), ("like", "not_like"), ("ilike", "not_ilike")
CONTAINS, ORDER = ("contains", "not_contains"), ("gt", "gte", "lt", "lte")
NULL, EXISTS = ("is_null", "is_not_null"), ("exists", "not_exists")
OPERATORS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.TEXT: (*EQUAL, *IN, *LIKE, *ILIKE, *CONTAINS, *NULL),
    Kind.HEADERS: (*EQUAL, *IN, *LIKE, *ILIKE, *CONTAINS, *EXISTS),
    Kind.MOMENT: (*EQUAL, *ORDER),
    Kind.NUMBER: (*EQUAL, *ORDER, *IN),
    Kind.ID: (*EQUAL, *IN, *NULL),
    Kind.TEXT_ID: (*EQUAL, *IN, *NULL),
    Kind.UUID: (*EQUAL, *IN, *NULL),
    Kind.LABEL: (*EQUAL, *IN, *LIKE, *CONTAINS),
    Kind.CODE: (*EQUAL, *ORDER, *IN, *NULL),
}


class Condition(NamedTuple):
    """SQL that is true or false, never null, and its arguments."""

    sql: str
    arguments: list[Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """`operator` is never a denial: `is_denied` says that all else is meant. `key` names a header, in lower case."""

    field: Field
    operator: str
    is_denied: bool = False
    value: object = None
    key: str = ""


def read_filters(given: object, fields: Mapping[str, Field]) -> tuple[Filter, ...]:
    """Errors: BadExport."""
    listed = items(given)
    if len(listed) > FILTERS_MAX:
        raise BadExport(f"Give at most {FILTERS_MAX} filters.")
    found = []
    for number, item in enumerate(listed):
        with at(str(number)):
            found.append(_read(item, fields))
    return tuple(found)


def all_of(filters: Iterable[Filter]) -> Condition:
    """True where each of them holds; without any, everywhere."""
    return all_hold([condition(each) for each in filters])


def all_hold(conditions: Sequence[Condition]) -> Condition:
    sql = " AND ".join(each.sql for each in conditions) or "TRUE"
    return Condition(sql, [argument for each in conditions for argument in each.arguments])


def condition(of: Filter) -> Condition:
    held = "IS NOT TRUE" if of.is_denied else "IS TRUE"
    if of.field.kind is not Kind.HEADERS:
        sql, arguments = _compared(of, of.field.column)
        return Condition(f"(({sql}) {held})", arguments)
    sql, arguments = ("TRUE", []) if of.operator == "exists" else _compared(of, "(pair ->> 1)")
    pairs = f"SELECT FROM jsonb_array_elements({of.field.column}) AS header (pair)"
    return Condition(f"(EXISTS ({pairs} WHERE lower(pair ->> 0) = %s AND ({sql})) {held})", [of.key, *arguments])


def _compared(of: Filter, column: str) -> Condition:
    kind = VALUES[of.field.kind].sql
    if of.operator in COMPARISONS:
        return Condition(f"{column} {COMPARISONS[of.operator]} %s::{kind}", [of.value])
    if of.operator in PATTERNS:
        return Condition(f"{column} {PATTERNS[of.operator]} %s", [_escaped(str(of.value))])
    match of.operator:
        case "in":
            return Condition(f"{column} = ANY(%s::{kind}[])", [of.value])
        case "contains":
            return Condition(f"strpos(lower({column}), lower(%s)) > 0", [of.value])
    return Condition(f"{column} IS NULL", [])


def _escaped(pattern: str) -> str:
    """`%` alone is a wildcard; what else PostgreSQL takes for one stands for itself."""
    return pattern.replace("\\", "\\\\").replace("_", "\\_")


def _read(given: object, fields: Mapping[str, Field]) -> Filter:
    if not isinstance(given, dict):
        raise BadExport("Give an object with field, op and value.")
    with at("field"):
        field = fields[one_of(given.get("field"), fields)]
    with at("op"):
        said = one_of(given.get("op"), OPERATORS[field.kind])
    operator = DENIALS.get(said, said)
    with at("value"):
        value = _value(given.get("value"), field.kind, operator)
    with at("key"):
        key = _key(given.get("key"), field.kind)
    return Filter(field, operator, said in DENIALS, value, key)


def _value(given: object, kind: Kind, operator: str) -> object:
    if operator in WITHOUT_VALUE:
        if given is not None:
            raise BadExport("This operator takes no value.")
        return None
    read = VALUES[kind].read
    if operator != "in":
        return read(given)
    values = []
    for number, item in enumerate(items(given)):
        with at(str(number)):
            values.append(read(item))
    return values


def _key(given: object, kind: Kind) -> str:
    if kind is Kind.HEADERS:
        return text(given).lower()
    if given is not None:
        raise BadExport("Only headers have a key.")
    return ""


def _id(given: object) -> int:
    return whole_number(given, at_least=1, at_most=ID_MAX)


def _uuid(given: object) -> UUID:
    digits = text(given)
    try:
        return UUID(digits)
    except ValueError:
        raise BadExport("Give 32 hexadecimal digits, with dashes or without.") from None


class Values(NamedTuple):
    """How a kind's values are read, and PostgreSQL's type of them."""

    read: Callable[[object], object]
    sql: str


VALUES: Final[Mapping[Kind, Values]] = {
    Kind.TEXT: Values(text, "text"),
    Kind.HEADERS: Values(text, "text"),
    Kind.TEXT_ID: Values(text, "text"),
    Kind.LABEL: Values(text, "text"),
    Kind.MOMENT: Values(moment, "timestamptz"),
    Kind.NUMBER: Values(whole_number, "bigint"),
    Kind.CODE: Values(whole_number, "bigint"),
    Kind.ID: Values(_id, "bigint"),
    Kind.UUID: Values(_uuid, "uuid"),
}


def ids_meant(filters: Iterable[Filter], name: str) -> list[int] | None:
    """Of what filters leave of a field whose values are numbers, each once: the shortest list; None without any."""
    lists = [
        {int(str(each)) for each in (of.value if isinstance(of.value, list) else [of.value])}
        for of in filters
        if of.field.name == name and of.operator in ("eq", "in") and not of.is_denied
    ]
    return min(map(sorted, lists), key=len) if lists else None


def names_any(filters: Collection[Filter], name: str) -> bool:
    return any(each.field.name == name for each in filters)
