"""`remove_second_factor USERNAME`: the way back in for who lost the phone and the recovery codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import Actor
from accounts.models import Staff
from accounts.second_factor import remove_second_factor


class Command(BaseCommand):
    help = "Takes a member of staff's second factor away: the next log-in asks for the password alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *_: Any, **options: Any) -> None:
        staff = Staff.objects.filter(username=options["username"]).first()
        if staff is None:
            raise CommandError(f"There is no member of staff {options['username']!r}.")
        if not remove_second_factor(staff, by=Actor.command("remove_second_factor")):
            raise CommandError(f"{staff} has no second factor.")
        self.stdout.write(f"The second factor of {staff} is removed.")
