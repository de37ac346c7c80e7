"""Whom a pasted text means: a secret by its digest, else a key or user by what a person remembers of it."""

from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import F, Func, IntegerField, Q, QuerySet, Value

from accounts.models import AccessKey, User
from accounts.secrets import digest_of
from keys.events import from_ms, stream_id_of
from keys.models import ApiKey, ApiKeyQuerySet, ApiKeySecret, Decision

ROWS = 20
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
    """`sees_people`: whether names and e-mail addresses may be searched. At most five SELECTs, all by an index."""
    text = text.strip()
    if not text:
        return Found()
    found = _by_secret(text)
    return found if found.by_secret else _by_memory(text, sees_people=sees_people)


def _by_secret(text: str) -> Found:
    digest = digest_of(text)
    secrets = ApiKeySecret.objects.filter(digest=digest).values("api_key_id")
    api_keys = list(_api_keys().filter(pk__in=secrets)[:ROWS])
    access_keys = list(AccessKey.objects.select_related("account").filter(digest=digest))
    return Found(bool(api_keys or access_keys), api_keys, access_keys)


def _by_memory(text: str, *, sees_people: bool) -> Found:
    last4, public = text[-4:].lower(), Q(public_id=text)
    is_end_of_secret = len(last4) == 4 and all(each in "0123456789abcdef" for each in last4)
    by_end = ApiKeySecret.objects.filter(last4=last4).values("api_key_id")
    api_keys = list(_api_keys().filter(public | Q(pk__in=by_end) if is_end_of_secret else public)[:ROWS])
    if not sees_people:
        return Found(api_keys=api_keys)
    people = User.objects.live().select_related("account")
    users = list(people.filter(Q(email__iexact=text) | Q(name__istartswith=text)).order_by("-id")[:ROWS])
    theirs = _api_keys().filter(user__in=[user.pk for user in users])[:ROWS]
    return Found(api_keys=[*api_keys, *(key for key in theirs if key not in api_keys)], users=users)


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
