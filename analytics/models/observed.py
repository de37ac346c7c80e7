"""What is observed: apps and where they run, who calls them, and which endpoints they have."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper

from accounts.models import NAME_LENGTH, AccessKey, Account

OTHER_FRAMEWORK = "Other"
FRAMEWORK_LENGTH = 50
IDENTIFIER_LENGTH, LABEL_LENGTH, PATH_LENGTH, METHOD_LENGTH = 128, 64, 1024, 16
ENVIRONMENT_FORM = r"^[a-z0-9_-]{1,32}$"
TEMPLATE_FORM = r"^[^?#\s]+$"
DEFAULT_APP, DEFAULT_ENVIRONMENT = "Default", "prod"


class App(models.Model):
    """An application that is observed. Names may repeat; SDKs of the first generation know it by its client id."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="apps")
    name = models.CharField(max_length=NAME_LENGTH)
    framework = models.CharField(
        max_length=FRAMEWORK_LENGTH, default=OTHER_FRAMEWORK, help_text="Such as FastAPI or Express."
    )
    client_id = models.UUIDField(
        unique=True, default=uuid.uuid4, editable=False, help_text="Renewed, its SDKs of the first generation stop."
    )
    is_hub_enabled = models.BooleanField(
        "hub enabled", default=True, help_text="Off: SDKs of the first generation (0.x) are told to stop for good."
    )
    is_default = models.BooleanField(
        "default",
        default=False,
        db_default=False,
        editable=False,
        help_text="Where decisions are filed of access keys that are bound to no app.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account"], condition=Q(is_default=True), name="app_default_unique"),
            # Target of the composite foreign keys that keep what is bound in one account.
            models.UniqueConstraint(fields=["account", "id"], name="app_account_id"),
        ]
        indexes = [models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="app_by_name")]

    def __str__(self) -> str:
        return self.name


class Environment(models.Model):
    """Where an app runs: `prod`, `dev`. Made when it is first named."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="environments")
    name = models.CharField(max_length=32, validators=[RegexValidator(ENVIRONMENT_FORM)])
    pinned_source = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        choices=[(1, "decisions"), (2, "spans"), (3, "metrics")],  # analytics.models.Source
        help_text="Traffic is shown from this source, whatever reports come; empty = judged from what was told.",
    )
    last_sync_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["app", "name"], name="environment_name_unique"),
            models.CheckConstraint(condition=Q(name__regex=ENVIRONMENT_FORM), name="environment_name_form"),
            models.UniqueConstraint(fields=["app", "id"], name="environment_app_id"),
        ]

    def __str__(self) -> str:
        return self.name


class Instance(models.Model):
    """One process of an app that reports; a restart is a new one."""

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="instances")
    identifier = models.CharField(max_length=IDENTIFIER_LENGTH)
    client = models.CharField(max_length=64, blank=True, help_text="The SDK and framework, as it names itself.")
    versions = models.JSONField(default=dict, blank=True)
    metric_scope = models.CharField(
        max_length=IDENTIFIER_LENGTH, blank=True, editable=False, help_text="The one OTLP scope that is counted."
    )
    started_at = models.DateTimeField(null=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["environment", "identifier"], name="instance_unique")]
        indexes = [models.Index(fields=["environment", "-last_seen_at"], name="instance_latest")]

    def __str__(self) -> str:
        return self.identifier


class WriteToken(models.Model):
    """`apt_…`: the credential with which an app's SDKs report. Kept as a digest, shown once."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="write_tokens")
    name = models.CharField(max_length=NAME_LENGTH)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """What a person may see of the secret."""
        return f"{self.prefix}…{self.last4}"


class KeyBinding(models.Model):
    """Where the decisions of an access key are filed. It says nothing of what the key may read.

    The key's account and the environment's app stand here for the composite foreign keys alone, which bind both.
    """

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False, editable=False
    )
    app = models.ForeignKey(
        App, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False, editable=False
    )
    access_key = models.OneToOneField(AccessKey, on_delete=models.PROTECT, related_name="binding")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="bindings")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.access_key} → {self.environment}"


class ConsumerGroup(models.Model):
    """A name under which an app's consumers are gathered."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="consumer_groups")
    name = models.CharField(max_length=LABEL_LENGTH)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app", "name"], name="consumer_group_name_unique")]

    def __str__(self) -> str:
        return self.name


class Consumer(models.Model):
    """Who calls an app, as the app names them."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="consumers")
    identifier = models.CharField(max_length=IDENTIFIER_LENGTH)
    name = models.CharField(max_length=LABEL_LENGTH, blank=True, default="")
    group = models.ForeignKey(ConsumerGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="consumers")
    attributes = models.JSONField(default=dict, blank=True)
    told_at = models.JSONField(
        default=dict, editable=False, help_text="Of each field, when it was told last: an older word changes nothing."
    )
    first_request_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_request_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app", "identifier"], name="consumer_identifier_unique")]
        indexes = [
            models.Index(fields=["app", "-id"], name="consumer_newest"),
            models.Index(fields=["app", "last_request_at"], name="consumer_active"),
            # Staff look beyond one app.
            models.Index(OpClass(Upper("identifier"), "text_pattern_ops"), name="consumer_by_identifier"),
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="consumer_by_name"),
        ]

    def __str__(self) -> str:
        return self.shown_name

    @property
    def shown_name(self) -> str:
        """Never empty: the identifier where no name was told."""
        return self.name or self.identifier


# Endpoints whose requests, or errors, are in the sums of whole environments and are taken off when those are read.
TAKEN_OFF = Q(is_excluded=True) | ~Q(expected_statuses=[])


class Endpoint(models.Model):
    """A method and path template of an app. The path is empty for requests that matched no route."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="endpoints")
    method = models.CharField(max_length=METHOD_LENGTH)
    path = models.CharField(max_length=PATH_LENGTH, blank=True, default="")
    is_announced = models.BooleanField(
        "announced",
        default=False,
        db_default=False,
        editable=False,
        help_text="The app named it among its routes: raw paths that match it are folded into it.",
    )
    summary = models.CharField(max_length=256, blank=True, default="")
    description = models.TextField(blank=True, default="")
    told_at = models.DateTimeField(
        null=True, editable=False, help_text="Of summary and description: an older word changes nothing."
    )
    environments = models.ManyToManyField(
        Environment, blank=True, related_name="endpoints", help_text="Where it was announced or called."
    )
    is_excluded = models.BooleanField(
        "excluded", default=False, help_text="Left out of traffic, metrics and request logs."
    )
    expected_statuses = ArrayField(
        models.PositiveSmallIntegerField(validators=[MinValueValidator(100), MaxValueValidator(599)]),
        default=list,
        blank=True,
        help_text="Statuses that are no errors here: 404, 422.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app", "path", "method"], name="endpoint_unique")]
        indexes = [
            models.Index(OpClass(Upper("path"), "text_pattern_ops"), name="endpoint_by_path"),
            models.Index(fields=["app"], condition=TAKEN_OFF, name="endpoint_taken_off"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path or '(no route)'}"


class PathOverride(models.Model):
    """A template of staff's own, `/shops/{slug}`: raw paths that match it fold into it from now on, before any route.

    What was filed before keeps its path.
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="path_overrides", db_index=False)
    template = models.CharField(
        max_length=PATH_LENGTH,
        validators=[RegexValidator(TEMPLATE_FORM, "Give a path without blanks, query and fragment.")],
        help_text="Segment by segment: {x}, :x and <x> stand for any one that is not empty.",
    )
    is_active = models.BooleanField("active", default=True, help_text="Off: paths fold again as if it were not there.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app", "template"], name="path_override_unique")]

    def __str__(self) -> str:
        return self.template
