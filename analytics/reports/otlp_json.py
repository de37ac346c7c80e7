"""How OTLP's JSON becomes its messages: as it stands where all is as OTLP has it, else as much of it as can be read.

Nearly all reports are read in one go. In the others fields that are null are absent, letters that JavaScript broke are
mended, and what of a list is not as it should be is left out alone: an attribute, a point, a span.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from analytics.observations import BadReport
from analytics.reports.mending import MENDED_MAX_BYTES, mended
from analytics.reports.otlp_messages import Form, Id
from analytics.reports.wire import FIELDS_MAX

Message = TypeVar("Message", bound=Form)
BAD_ITEM: Final = "bad_json"
_STRUCTURE: Final = (b"{", b"[")
_WRONG: Final = (msgspec.DecodeError, UnicodeDecodeError)  # of syntax, or of types


def decoded_json(body: bytes, form: type[Message], dropped: Counter[str]) -> Message:
    """`dropped` takes what was left out. Errors: BadReport bad_json, too_deep, too_many."""
    if sum(map(body.count, _STRUCTURE)) > FIELDS_MAX:
        raise BadReport("too_many", f"over {FIELDS_MAX} objects and lists")
    try:
        try:
            return msgspec.json.decode(body, type=form, strict=False, dec_hook=_id)
        except _WRONG:
            return _readable(body, form, dropped)
    except RecursionError as error:
        raise BadReport("too_deep") from error
    except _WRONG as error:
        raise BadReport("bad_json", str(error)) from error


def _readable(body: bytes, form: type[Message], dropped: Counter[str]) -> Message:
    value = _without_nulls(_values(body))
    try:
        return msgspec.convert(value, form, strict=False, dec_hook=_id)
    except msgspec.ValidationError:
        if len(body) > MENDED_MAX_BYTES:
            raise
        return _message(value, form, dropped)


def _values(body: bytes) -> Any:
    """Numbers that are not finite as protobuf's JSON writes them, in text: a point that tells of one is left out."""
    try:
        return msgspec.json.decode(body)
    except _WRONG:
        return msgspec.json.decode(mended(body, not_finite=str))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _message(value: Any, form: type[Message], dropped: Counter[str]) -> Message:
    """Of a message without those elements of its lists that cannot be read. Errors: ValidationError."""
    if not isinstance(value, dict):
        raise msgspec.ValidationError("no object")
    fields = (field for field in _fields(form) if field.told_as in value)
    return form(**{field.name: _told(value[field.told_as], field, dropped) for field in fields})


def _told(value: Any, field: "_Field", dropped: Counter[str]) -> Any:
    if field.form is None:
        return msgspec.convert(value, field.kind, strict=False, dec_hook=_id)
    if not field.is_list:
        return _message(value, field.form, dropped)
    if not isinstance(value, list):
        raise msgspec.ValidationError("no list")
    return tuple(_elements(value, field.form, dropped))


def _elements(values: list[Any], form: type[Form], dropped: Counter[str]) -> Iterator[Form]:
    for value in values:
        try:
            yield _message(value, form, dropped)
        except msgspec.ValidationError:
            dropped[BAD_ITEM] += 1


class _Field(NamedTuple):
    """`form` is of the message, or of the messages, that it holds."""

    name: str
    told_as: str
    kind: Any
    form: type[Form] | None
    is_list: bool


@cache
def _fields(form: type[Form]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.name, field.encode_name, field.type, _form_in(field.type), get_origin(field.type) is tuple)
        for field in msgspec.structs.fields(form)
    )


def _form_in(kind: Any) -> type[Form] | None:
    """Of `Form`, `Form | None` and `tuple[Form, ...]`."""
    return next((each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, Form)), None)


def _id(_kind: type, told: Any) -> Id:
    try:
        return Id.fromhex(told)
    except (TypeError, ValueError):
        return Id()
