"""Which parser reads which kind of report; each is a pure function of the report."""

from collections.abc import Callable
from typing import Final

from analytics.models import ReportKind
from analytics.observations import Parsed, Report
from analytics.reports.hub import parse_startup, parse_sync
from analytics.reports.hub_log import parse_log
from analytics.reports.logpush import parse_logpush
from analytics.reports.otlp_logs import parse_logs
from analytics.reports.otlp_metrics import parse_metrics
from analytics.reports.otlp_traces import parse_traces

PARSERS: Final[dict[ReportKind, Callable[[Report], Parsed]]] = {
    ReportKind.STARTUP: parse_startup,
    ReportKind.SYNC: parse_sync,
    ReportKind.LOG: parse_log,
    ReportKind.LOGPUSH: parse_logpush,
    ReportKind.TRACES: parse_traces,
    ReportKind.LOGS: parse_logs,
    ReportKind.METRICS: parse_metrics,
}


def parse_report(report: Report) -> Parsed:
    """Times are judged by when the report was received. Errors: BadReport, of a report that cannot be used at all."""
    return PARSERS[report.kind](report)
