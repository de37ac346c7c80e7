"""Whom a pasted text means: a secret by its digest, else a key or user by what a person remembers of it."""

import re
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import F, Func, IntegerField, Q, QuerySet, Value

from accounts.models import AccessKey, User
from accounts.secrets import digest_of
from keys.events import from_ms, stream_id_of
from keys.models import ApiKey, ApiKeyQuerySet, ApiKeySecret, Decision

ROWS = 20
# A secret as it is displayed (`masked`), or its end alone.
MASKED = re.compile(r"(?P<prefix>[0-9A-Za-z_]{0,16})(?:…|\.{2,3})?(?P<last4>[0-9a-fA-F]{4})")
# The beginning of a secret, as much of it as is kept, and whatever follows: so do logs cut secrets short.
BEGINNING = re.compile(r"(?P<prefix>(lk_user|lk)_[0-9a-f]{4})[0-9a-f]{0,27}(?:…|\.{2,3})?")
# As the index decision_of_bucket has it.
BUCKET = Func(Func(F("id"), function="uuid_send"), Value(6), function="get_byte", output_field=IntegerField()).bitand(
    15
)


@dataclass(slots=True)
class Found:
    """At most ROWS of each. `by_secret`: the text was a whole secret, and it is this row's."""

    by_secret: bool = False
    api_keys: list[ApiKey] = field(default_factory=list)
    access_keys: list[AccessKey] = field(default_factory=list)
    users: list[User] = field(default_factory=list)


def find(text: str, *, sees_people: bool) -> Found:
    """`sees_people`: whether names and e-mail addresses may be searched. At most nine SELECTs, by indexes."""
    text = text.strip()
    if not text:
        return Found()
    found = _by_secret(text)
    return found if found.by_secret else _by_memory(text, sees_people=sees_people)


def secret_of(text: str) -> ApiKeySecret | None:
    """The secret of an API key, a revoked key's too, that is wholly given. One SELECT."""
    return ApiKeySecret.objects.filter(digest=digest_of(text.strip())).order_by("-id").first()


def api_key_meant(text: str) -> ApiKey | None:
    """By its public id, or by its secret as it is displayed where that is one key's alone; revoked ones too."""
    found = list(ApiKey.objects.filter(public_id=text.strip())[:1]) or list(_by_mask(ApiKey.objects.all(), text)[:2])
    return found[0] if len(found) == 1 else None


def _by_secret(text: str) -> Found:
    digest = digest_of(text)
    secrets = ApiKeySecret.objects.filter(digest=digest).values("api_key_id")
    api_keys = list(_api_keys().filter(pk__in=secrets)[:ROWS])
    access_keys = list(AccessKey.objects.select_related("account").filter(digest=digest))
    return Found(bool(api_keys or access_keys), api_keys, access_keys)


def _by_mask(api_keys: ApiKeyQuerySet, text: str) -> ApiKeyQuerySet:
    """Those one of whose secrets ends so and, where a beginning is given, begins so."""
    masked = MASKED.fullmatch(text.strip())
    if masked is None:
        return api_keys.none()
    secrets = ApiKeySecret.objects.filter(last4=masked["last4"].lower())
    if masked["prefix"]:
        secrets = secrets.filter(prefix__startswith=masked["prefix"])
    return api_keys.filter(pk__in=secrets.values("api_key_id"))


def _by_beginning(api_keys: ApiKeyQuerySet, text: str) -> ApiKeyQuerySet:
    beginning = BEGINNING.fullmatch(text)
    if beginning is None:
        return api_keys.none()
    secrets = ApiKeySecret.objects.filter(prefix=beginning["prefix"])
    return api_keys.filter(pk__in=secrets.values("api_key_id"))


def _by_memory(text: str, *, sees_people: bool) -> Found:
    # A SELECT each: by either of them, PostgreSQL would look at every key.
    ways = (_api_keys().filter(public_id=text), _by_mask(_api_keys(), text), _by_beginning(_api_keys(), text))
    api_keys = list(dict.fromkeys(key for way in ways for key in way[:ROWS]))
    access_keys = _access_keys_by_mask(text) or _access_keys_by_beginning(text)
    if not sees_people:
        return Found(api_keys=api_keys, access_keys=access_keys)
    people = User.objects.live().select_related("account")
    users = list(people.filter(Q(email__iexact=text) | Q(name__istartswith=text)).order_by("-id")[:ROWS])
    theirs = _api_keys().filter(user__in=[user.pk for user in users])[:ROWS]
    theirs_too = [*api_keys, *(key for key in theirs if key not in api_keys)]
    return Found(api_keys=theirs_too, access_keys=access_keys, users=users)


def _access_keys_by_mask(text: str) -> list[AccessKey]:
    """By both ends of its secret: there are few access keys, and its end alone means an API key."""
    masked = MASKED.fullmatch(text)
    if masked is None or not masked["prefix"].startswith("lk_"):
        return []
    rows = AccessKey.objects.filter(last4=masked["last4"].lower(), prefix__startswith=masked["prefix"])
    return list(rows.select_related("account").order_by("-id")[:ROWS])


def _access_keys_by_beginning(text: str) -> list[AccessKey]:
    beginning = BEGINNING.fullmatch(text)
    rows = AccessKey.objects.filter(prefix=beginning["prefix"]) if beginning else AccessKey.objects.none()
    return list(rows.select_related("account").order_by("-id")[:ROWS])


def _api_keys() -> ApiKeyQuerySet:
    return ApiKey.objects.filter(deleted_at=None).select_related("account", "user", "plan").order_by("-id")


def only_decision(decisions: QuerySet[Decision], decision_id: str) -> QuerySet[Decision]:
    """The one with this id, by the day and the bucket that its id tells: its table has no index on the id alone."""
    try:
        known = UUID(decision_id)
        at = from_ms(stream_id_of(known).ms)
    except (ValueError, OverflowError):
        return decisions.none()
    return decisions.alias(bucket=BUCKET).filter(bucket=known.bytes[6] & 15, pk=known, at=at)
