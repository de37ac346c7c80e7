from django.db import migrations, models

KINDS = [("grant", "extra units granted"), ("reset", "use reset"), ("take", "granted units taken back")]


class Migration(migrations.Migration):
    dependencies = [("keys", "0010_secrets_by_beginning")]

    operations = [
        migrations.AlterField("adjustment", "kind", models.CharField(choices=KINDS, max_length=5)),
        migrations.AlterField(
            "adjustment",
            "amount",
            models.BigIntegerField(
                help_text="What the window's use was changed by: below zero unless units were taken back."
            ),
        ),
        migrations.RemoveConstraint("adjustment", "adjustment_below_zero"),
        migrations.RemoveConstraint("adjustment", "adjustment_kind"),
        migrations.AddConstraint(
            "adjustment",
            models.CheckConstraint(
                condition=models.Q(models.Q(("amount__lt", 0), models.Q(("kind", "take"), _negated=True)))
                | models.Q(("amount__gt", 0), ("kind", "take")),
                name="adjustment_sign",
            ),
        ),
        migrations.AddConstraint(
            "adjustment",
            models.CheckConstraint(condition=models.Q(("kind__in", [kind for kind, _ in KINDS])), name="adjustment_kind"),
        ),
    ]
