"""What can be done with apps and their credentials: each in one transaction, each by somebody."""

import uuid
from datetime import datetime
from typing import TypedDict, Unpack

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import RefusedError
from accounts.models import AccessKey, Account
from accounts.secrets import digest_of
from accounts.services import Issued
from analytics.models import App, Environment, KeyBinding, WriteToken
from analytics.secrets import new_write_token

PREFIX_LENGTH = 8


class OtherAccount(RefusedError):
    """An access key and an app of different accounts."""


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
    """From now on the key's decisions are filed in this environment, which is made if need be. Errors: OtherAccount."""
    if access_key.account_id != app.account_id:
        raise OtherAccount("The access key and the app belong to different accounts.")
    environment, _ = Environment.objects.get_or_create(app=app, name=environment_name)
    binding = KeyBinding.objects.select_for_update().filter(access_key=access_key).first()
    if binding is None:
        binding = KeyBinding.objects.create(access_key=access_key, environment=environment)
        audit.record_created(by, binding)
        return binding
    with audit.recording(by, binding):
        binding.environment = environment
        binding.save(update_fields=["environment"])
    return binding
