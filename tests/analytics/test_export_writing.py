"""Rows as text: JSON that parses line by line, CSV that says the same and never becomes a formula."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.csv_cells import FORMULA_MARKS
from analytics.exports.writing import csv_head, csv_lines, ndjson

cells = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())


def test_a_row_is_a_json_object_a_line() -> None:
    rows: list[dict[str, object]] = [{"a": "line\nbreak", "b": None, "c": [["n", "v"]]}, {"a": "é", "b": 0.5, "c": []}]
    assert ndjson(rows) == b'{"a":"line\\nbreak","b":null,"c":[["n","v"]]}\n' + '{"a":"é","b":0.5,"c":[]}\n'.encode()
    assert ndjson([]) == b""


@given(st.lists(st.dictionaries(st.text(), cells)))
def test_whatever_is_in_it_each_line_is_its_row(rows: list[dict[str, object]]) -> None:
    assert [json.loads(line) for line in ndjson(rows).decode().split("\n")[:-1]] == rows


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("line\nbreak", '"line\nbreak"'),
        ("line\r\nbreak", '"line\r\nbreak"'),
        ("", ""),
        (None, ""),
        (0, "0"),
        (-5, "-5"),
        (0.25, "0.25"),
        ([["n", "v"]], '"[[""n"",""v""]]"'),
        ([], "[]"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", '"\'\r=1"'),
        ('=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
    ],
)
def test_a_cell_is_quoted_where_it_must_be_and_never_a_formula(value: object, cell: str) -> None:
    assert csv_lines([{"first": 1, "second": value}]) == f"1,{cell}\r\n".encode()


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_csv_reads_back_as_it_was_but_for_the_mark(rows: list[list[str]]) -> None:
    written = csv_lines(dict(enumerate(row)) for row in rows)  # type: ignore[arg-type]  # names do not matter
    expected = [[f"'{cell}" if cell.startswith(FORMULA_MARKS) else cell for cell in row] for row in rows]
    assert list(csv.reader(io.StringIO(written.decode(), newline=""), strict=True)) == expected


def test_the_head_names_the_columns() -> None:
    assert csv_head(["period_start", "requests"]) == b"period_start,requests\r\n"
