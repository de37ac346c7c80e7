"""What a change leaves behind: who, what, when, from where, before and after, in the transaction of the change itself.

Every changing service writes here, whoever calls it: the admin, the API or a command. Nothing is guessed from signals,
so that what is on record is what was done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import BinaryField, ForeignKey, Model

from accounts.actors import Actor
from accounts.models import Account, AuditEntry

# What changes by itself, and what every row has.
LEFT_OUT: Final = frozenset({"id", "created_at", "updated_at", "last_used_at", "last_login", "date_joined"})
# Of which it is told that they changed, never from what to what.
SECRET: Final = frozenset({"password"})
MASK: Final = "•••"
# Rows whose many-to-many relations are facts of theirs, changed by staff.
LINKS_TOLD: Final = frozenset({"accounts.Staff", "auth.Group"})
KINDS_MAX: Final = 200
# The few values of an indexed column, each found by the index behind the one before: no million rows are read.
VALUES_OF = """
WITH RECURSIVE kinds(kind) AS (
    (SELECT min({column}) FROM accounts_auditentry)
    UNION ALL
    SELECT (SELECT min({column}) FROM accounts_auditentry WHERE {column} > kind) FROM kinds WHERE kind IS NOT NULL
) SELECT kind FROM kinds WHERE kind IS NOT NULL LIMIT %s
"""
Snapshot = dict[str, Any]


def record_created(by: Actor, row: Model, *, reason: str = "") -> None:
    """A new row, with those of its fields that say something."""
    _record(by, row, "created", {}, _that_say_something(_snapshot(row)), reason=reason)


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


def record_deleted(by: Actor, row: Model) -> None:
    """A row that is about to be deleted, and all that it said."""
    _record(by, row, "deleted", _that_say_something(_snapshot(row)), {})


def record_attempt(by: Actor, what: str, *, told: Snapshot) -> None:
    """Something that was tried and concerns no row that we know."""
    AuditEntry.objects.create(
        account=None,
        actor_kind=by.kind,
        actor_name=by.name[:150],
        address=by.address,
        action=what[:64],
        row_type="",
        row_id=0,
        row_name="",
        before={},
        after=told,
    )


def actions_on_record() -> list[str]:
    """Every action that some entry tells of. One SELECT, of a few steps each."""
    return _values_of("action")


def row_types_on_record() -> list[str]:
    return [kind for kind in _values_of("row_type") if kind]


def _values_of(column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(VALUES_OF.format(column=connection.ops.quote_name(column)), [KINDS_MAX])
        return [kind for (kind,) in cursor.fetchall()]


def _that_say_something(told: Snapshot) -> Snapshot:
    return {name: value for name, value in told.items() if value not in (None, "", [], {}, False)}


def _masked(told: Snapshot) -> Snapshot:
    return {name: MASK if name in SECRET else value for name, value in told.items()}


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
        before=_masked(before),
        after=_masked(after),
        reason=reason[:500],
    )


def _as_saved(row: Model) -> Model:
    return row._meta.model._base_manager.get(pk=row.pk)  # not its type: request.user is a lazy object


def _snapshot(row: Model) -> Snapshot:
    fields = [each for each in row._meta.concrete_fields if each.name not in LEFT_OUT]
    told = {each.name: _shown(row, each) for each in fields if not isinstance(each, BinaryField)}
    return told | {
        each.name: sorted(str(other) for other in getattr(row, each.name).all())
        for each in row._meta.many_to_many
        if row._meta.label in LINKS_TOLD
    }


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
