"""What the commands that export share: their arguments, where they write to, and how far they are."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.exports.parsing import BadExport
from analytics.exports.writing import Page, csv_head, csv_lines, ndjson

AGO: Final = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ExportCommand(BaseCommand):
    usual_format: str

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--app", required=True, help="id or client id")
        parser.add_argument("--since", required=True, help="inclusive: an ISO 8601 time, or 30m, 24h, 7d, 2w ago")
        parser.add_argument("--until", help="exclusive (default: now)")
        parser.add_argument("--filters", help='JSON: [{"field": "status_code", "op": "gte", "value": 400}]')
        parser.add_argument("--format", choices=["ndjson", "csv"], default=self.usual_format)
        parser.add_argument("--output", type=Path, help="a file, there once it is whole (default: standard output)")

    def write(self, pages: Iterator[Page], names: Sequence[str], options: dict[str, Any]) -> None:
        """All rows, and their number on standard error. Who closes standard output has seen enough."""
        number = 0
        as_csv = options["format"] == "csv"
        try:
            with self._target(options["output"]) as write:
                write(csv_head(names) if as_csv else b"")
                for page in pages:
                    write(csv_lines(page.rows) if as_csv else ndjson(page.rows))
                    number += len(page.rows)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the end
        self.stderr.write(f"{number:,} rows", self.style.SUCCESS)

    @contextmanager
    def _target(self, output: Path | None) -> Iterator[Callable[[bytes], object]]:
        if output is None:
            yield lambda written: self.stdout.write(written.decode(), ending="")
            return
        part = output.with_name(f"{output.name}.part")
        if output.is_dir():
            raise CommandError(f"--output: {output} is a folder.")
        try:
            file = part.open("wb")
        except OSError as error:
            raise CommandError(f"--output: {error}.") from error
        try:
            with file:
                yield file.write
            part.replace(output)
        except BaseException:
            part.unlink()
            raise


def asked_of(options: dict[str, Any], *, now: datetime, names: Sequence[str]) -> dict[str, object]:
    """What was typed, as the body of a call would say it. Errors: CommandError."""
    asked = {name: options[name] for name in names if options[name] is not None}
    for name in ("since", "until"):
        if name in asked and (ago := AGO.fullmatch(asked[name])):
            asked[name] = (now - timedelta(**{UNITS[ago[2]]: int(ago[1])})).isoformat()
    if "filters" in asked:
        try:
            asked["filters"] = json.loads(asked["filters"])
        except ValueError as error:
            raise CommandError(f"--filters is not JSON: {error}.") from error
    return asked


@contextmanager
def refusals_explained() -> Iterator[None]:
    try:
        yield
    except BadExport as bad:
        raise CommandError(f"{'.'.join(bad.place)}: {bad.sentence}") from bad


def with_progress(pages: Iterator[Page], *, since: datetime, until: datetime) -> Iterator[Page]:
    """The same pages; how much of the time between is read is shown on standard error."""
    reached, length = since, max(0, int((until - since).total_seconds()))
    with click.progressbar(length=length, label="exporting", file=sys.stderr) as bar:
        for page in pages:
            yield page
            if page.read_up_to > reached:
                bar.update(int((page.read_up_to - reached).total_seconds()))
                reached = page.read_up_to


def listed(text: str | None) -> list[str] | None:
    """`a,b` -> `["a", "b"]`."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
