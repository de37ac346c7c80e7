"""What a change leaves behind: who, what, when, from where, before and after, in the transaction of the change itself.

Every changing service writes here, whoever calls it: the admin, the API or a command. Nothing is guessed from signals,
so that what is on record is what was done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import BinaryField, ForeignKey, Model

from accounts.actors import Actor
from accounts.models import Account, AuditEntry

# What changes by itself, and what every row has.
LEFT_OUT: Final = frozenset({"id", "created_at", "updated_at", "last_used_at"})
Snapshot = dict[str, Any]


def record_created(by: Actor, row: Model) -> None:
    """A new row, with those of its fields that say something."""
    after = {name: value for name, value in _snapshot(row).items() if value not in (None, "", [], {}, False)}
    _record(by, row, "created", {}, after)


@contextmanager
def recording(by: Actor, row: Model, verb: str = "changed", *, reason: str = "") -> Iterator[None]:
    """Records which fields of the row the block changes; nothing when it changes none. Two SELECTs.

    What the row was is read from the database: a form may have written into the instance already.
    """
    before = _snapshot(_as_saved(row))
    yield
    after = _snapshot(_as_saved(row))
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        _record(
            by,
            row,
            verb,
            {name: before[name] for name in changed},
            {name: after[name] for name in changed},
            reason=reason,
        )


def record_done(by: Actor, row: Model, verb: str, *, told: Snapshot, reason: str = "") -> None:
    """Something that was done with a row and is no field of it, such as replacing its secret."""
    _record(by, row, verb, {}, told, reason=reason)


def _record(by: Actor, row: Model, verb: str, before: Snapshot, after: Snapshot, *, reason: str = "") -> None:
    AuditEntry.objects.create(
        account=_account_of(row),
        actor_kind=by.kind,
        actor_name=by.name[:150],
        address=by.address,
        action=f"{row._meta.verbose_name} {verb}"[:64],
        row_type=row._meta.label,
        row_id=row.pk,
        row_name=str(row)[:200],
        before=before,
        after=after,
        reason=reason[:500],
    )


def _as_saved(row: Model) -> Model:
    return type(row)._base_manager.get(pk=row.pk)


def _snapshot(row: Model) -> Snapshot:
    fields = [each for each in row._meta.concrete_fields if each.name not in LEFT_OUT]
    return {each.name: _shown(row, each) for each in fields if not isinstance(each, BinaryField)}


def _shown(row: Model, field: Any) -> Any:
    value = getattr(row, field.attname)
    if isinstance(field, ForeignKey):
        return None if value is None else f"{getattr(row, field.name)} (#{value})"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _account_of(row: Model) -> Account | None:
    if isinstance(row, Account):
        return row
    for owner in ("account", "app", "environment"):
        owned = getattr(row, owner, None)
        if isinstance(owned, Account):
            return owned
        if isinstance(owned, Model):
            return _account_of(owned)
    return None
