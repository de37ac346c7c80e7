"""Time zones by their names of the IANA database."""

from zoneinfo import ZoneInfo

# What systems keep beside the zones: their own, and zones that count leap seconds.
NO_ZONES = frozenset({"localtime", "posix", "posixrules", "right"})


def zone_named(name: str) -> ZoneInfo | None:
    """None unless there is such a zone; ZoneInfo itself raises all of these for names that are none."""
    if name.partition("/")[0] in NO_ZONES:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
