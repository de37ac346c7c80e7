"""Cells of a CSV are told, never reckoned."""

import pytest

from accounts.csv_cells import csv_rows, guarded


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"])
def test_what_a_spreadsheet_would_reckon_is_text(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("value", ["plain", "a=b", "", -1, 2.5, None, True])
def test_what_is_no_formula_stays(value: object) -> None:
    assert guarded(value) is value


def test_rows_are_written_as_rfc_4180_has_them() -> None:
    assert csv_rows([["a", 'say "x"', None], ["=b", -1, "two\nlines"]]) == (
        b'a,"say ""x""",\r\n\'=b,-1,"two\nlines"\r\n'
    )
