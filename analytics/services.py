"""What can be done with apps and their credentials: each in one transaction, each by somebody."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import connection, transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import RefusedError
from accounts.models import AccessKey, Account
from accounts.secrets import digest_of
from accounts.services import Issued
from analytics.models import (
    DEFAULT_APP,
    App,
    Endpoint,
    Environment,
    KeyBinding,
    PathOverride,
    Source,
    WriteToken,
)
from analytics.rollup.locking import wait_for_turn
from analytics.secrets import new_write_token

PREFIX_LENGTH = 8


class OtherAccount(RefusedError):
    """An access key and an app of different accounts."""


class NoRoom(RefusedError):
    """An app that holds as many of something as it may."""


class AppFields(TypedDict, total=False):
    name: str
    framework: str
    is_hub_enabled: bool


@transaction.atomic
def create_app(account: Account, *, by: Actor, **fields: Unpack[AppFields]) -> App:
    app = App.objects.create(account=account, **fields)
    audit.record_created(by, app)
    return app


@transaction.atomic
def default_app(account: Account, *, by: Actor) -> App:
    """Where the decisions of unbound access keys are filed; made when it is first asked for, one for each account."""
    app, is_new = App.objects.get_or_create(account=account, is_default=True, defaults={"name": DEFAULT_APP})
    if is_new:
        audit.record_created(by, app)
    return app


@transaction.atomic
def update_app(app: App, *, by: Actor, **fields: Unpack[AppFields]) -> None:
    for field, value in fields.items():
        setattr(app, field, value)
    with audit.recording(by, app):
        app.save(update_fields=[*fields, "updated_at"])


@transaction.atomic
def renew_client_id(app: App, *, by: Actor) -> None:
    """SDKs that report under the old one are told 404, and stop for good."""
    app.client_id = uuid.uuid4()
    with audit.recording(by, app, "given a new client id"):
        app.save(update_fields=["client_id", "updated_at"])


@transaction.atomic
def create_write_token(app: App, *, name: str, by: Actor) -> Issued[WriteToken]:
    secret = new_write_token()
    token = WriteToken.objects.create(
        app=app, name=name, digest=digest_of(secret), prefix=secret[:PREFIX_LENGTH], last4=secret[-4:]
    )
    audit.record_created(by, token)
    return Issued(token, secret)


@transaction.atomic
def revoke_write_token(token: WriteToken, *, now: datetime, by: Actor) -> None:
    """One way: a revoked token stays revoked, since its first revocation."""
    if token.revoked_at is None:
        token.revoked_at = now
        with audit.recording(by, token, "revoked"):
            token.save(update_fields=["revoked_at"])


@transaction.atomic
def bind_access_key(access_key: AccessKey, app: App, *, environment_name: str, by: Actor) -> KeyBinding:
    """From now on the key's decisions are filed in this environment, which is made if need be.

    Errors: OtherAccount, NoRoom.
    """
    if access_key.account_id != app.account_id:
        raise OtherAccount("The access key and the app belong to different accounts: give an app of the key's own.")
    environment = _environment_named(environment_name, app)
    place = {"account_id": app.account_id, "app": app, "environment": environment}
    binding = KeyBinding.objects.select_for_update().filter(access_key=access_key).first()
    if binding is None:
        binding = KeyBinding.objects.create(access_key=access_key, **place)
        audit.record_created(by, binding)
        return binding
    with audit.recording(by, binding):
        for field, value in place.items():
            setattr(binding, field, value)
        binding.save(update_fields=[*place])
    return binding


@transaction.atomic
def pin_source(environment: Environment, *, source: Source | None, by: Actor) -> None:
    """Its traffic is read from this source, whatever is judged; None: from the one that is judged to be in force."""
    with audit.recording(by, environment):
        environment.pinned_source = source
        environment.save(update_fields=["pinned_source"])


@transaction.atomic
def update_endpoint(endpoint: Endpoint, *, is_excluded: bool, expected_statuses: Iterable[int], by: Actor) -> None:
    """In force on reading, for what was counted before as well."""
    endpoint.is_excluded = is_excluded
    endpoint.expected_statuses = sorted(set(expected_statuses))
    with audit.recording(by, endpoint):
        endpoint.save(update_fields=["is_excluded", "expected_statuses"])


@transaction.atomic
def create_path_override(app: App, *, template: str, by: Actor) -> PathOverride:
    """Raw paths that match it fold into it from now on; what was filed keeps its path."""
    override = PathOverride.objects.create(app=app, template=template)
    audit.record_created(by, override)
    return override


@transaction.atomic
def update_path_override(override: PathOverride, *, is_active: bool, by: Actor) -> None:
    with audit.recording(by, override):
        override.is_active = is_active
        override.save(update_fields=["is_active"])


@transaction.atomic
def record_request_export(app: App, *, told: dict[str, str], by: Actor) -> None:
    """Before the first row leaves: who takes requests out of the house, and which (the filter, the file's form)."""
    audit.record_done(by, app, "requests exported", told=told)


def _environment_named(name: str, app: App) -> Environment:
    """Errors: NoRoom."""
    known = Environment.objects.filter(app=app)
    if environment := known.filter(name=name).first():
        return environment
    with connection.cursor() as cursor:
        wait_for_turn(cursor, app.pk)  # reports make environments too, and count them
    most = settings.LIMITLY_APP_ENVIRONMENTS_MAX
    if known.exclude(name=name).count() >= most:
        raise NoRoom(
            f"{app} holds {most} environments, all that LIMITLY_APP_ENVIRONMENTS_MAX allows: give one of them."
        )
    return known.get_or_create(app=app, name=name)[0]
