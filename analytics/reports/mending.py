"""How JSON that SDKs are known to break is mended, so that a letter does not cost a whole report.

JavaScript cuts long texts in the middle of a character, and writes the half that is left as an escape which strict
readers refuse. Python writes NaN, which JSON has no word for.
"""

import json
import math
from collections.abc import Callable
from typing import Final

from analytics.observations import BadReport
from analytics.reports.cleaning import UNCLEAN

MENDED_MAX_BYTES: Final = 2 * 1024 * 1024  # mending needs some twenty times the text's memory


def mended(text: bytes, *, not_finite: Callable[[str], str | None] = lambda _: None) -> bytes:
    """Halves of a character become U+FFFD; numbers that are not finite what `not_finite` makes of them, null unless
    it is told. Errors: BadReport bad_json, too_deep."""
    if len(text) > MENDED_MAX_BYTES:
        raise BadReport("bad_json", "no valid JSON, and too large to be mended")

    def number(told: str) -> float | str | None:
        value = float(told)
        return value if math.isfinite(value) else not_finite(told)

    try:
        value = json.loads(text.decode("utf-8-sig"), parse_constant=not_finite, parse_float=number)
        return UNCLEAN.sub("\ufffd", json.dumps(value, ensure_ascii=False)).encode()
    except RecursionError as error:
        raise BadReport("too_deep", "nested too deep to be read") from error
    except ValueError as error:  # of JSON, of UTF-8, of integers of thousands of digits
        raise BadReport("bad_json", str(error)) from error
