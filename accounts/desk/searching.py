"""How a list of a million rows is searched and sorted: by its indexes, or not at all."""

from __future__ import annotations  # ChangeList takes no parameters at run time

from typing import TYPE_CHECKING, Any, Final

import unfold.views
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import ManyToOneRel, Model, Q, QuerySet

# Rows of another table through which a list is searched; who finds as many must say more.
THROUGH_MAX: Final = 1_000
NOTHING: Final = Q(pk__in=[])

if TYPE_CHECKING:
    _ChangeList = ChangeList
else:
    _ChangeList = unfold.views.ChangeList


class IndexedChangeList(_ChangeList):
    """Sorts by `sortable_by` alone: Django would sort by any column that an address names."""

    def get_ordering_field(self, field_name: Any) -> Any:
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None


def searched(rows: QuerySet[Any], text: str, lookups: list[str]) -> QuerySet[Any]:
    """Those that one of the lookups finds: `name__istartswith`, `user__email__istartswith`, `secrets__last4`.

    Each must have its index (Upper(name) with text_pattern_ops serves istartswith), unless its table is a small one:
    accounts, plans, apps. What lies in another table is looked up first, one SELECT each: PostgreSQL uses no index for
    an OR that spans tables.
    """
    condition = NOTHING
    for lookup in lookups:
        condition |= _condition(rows.model, lookup, text)
    return rows.filter(condition)


def _condition(model: type[Model], lookup: str, text: str) -> Q:
    name, _, rest = lookup.partition("__")
    field = model._meta.get_field(name)
    if not field.is_relation:
        return Q(**{lookup: text}) if _fits(field, text) else NOTHING
    related: Any = field.related_model
    theirs = related._base_manager.filter(_condition(related, rest, text))
    if isinstance(field, ManyToOneRel):
        return Q(pk__in=list(theirs.values_list(field.field.attname, flat=True)[:THROUGH_MAX]))
    return Q(**{f"{name}__in": list(theirs.values_list("pk", flat=True)[:THROUGH_MAX])})


def _fits(field: Any, text: str) -> bool:
    """Whether the text is one of the field's kind at all: a UUID, an address."""
    try:
        field.to_python(text)
    except ValidationError:
        return False
    return "\x00" not in text
