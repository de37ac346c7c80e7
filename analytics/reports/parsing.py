"""Which parser reads which kind of report; each is a pure function of the report."""

from collections.abc import Callable
from typing import Final

from analytics.models import ReportKind
from analytics.observations import BadReport, Parsed, Report
from analytics.reports.hub import parse_startup, parse_sync
from analytics.reports.hub_log import parse_log
from analytics.reports.logpush import parse_logpush

PARSERS: Final[dict[ReportKind, Callable[[Report], Parsed]]] = {
    ReportKind.STARTUP: parse_startup,
    ReportKind.SYNC: parse_sync,
    ReportKind.LOG: parse_log,
    ReportKind.LOGPUSH: parse_logpush,
}


def parse_report(report: Report) -> Parsed:
    """Times are judged by when the report was received. Errors: BadReport, of a report that cannot be used at all."""
    parser = PARSERS.get(report.kind)
    if parser is None:
        raise BadReport("unknown_kind", f"nothing reads {report.kind!r}")
    return parser(report)
