"""Time zones by their names of the IANA database."""

from zoneinfo import ZoneInfo


def zone_named(name: str) -> ZoneInfo | None:
    """None unless there is such a zone; ZoneInfo itself raises all of these for names that are none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
