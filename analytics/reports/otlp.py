"""How an OTLP body is read, protobuf or JSON, into one form: entries of a resource, with scopes, with items."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from analytics.reports.otlp_harvest import APITALLY, Harvest, Sender
from analytics.reports.otlp_json import decoded_json
from analytics.reports.otlp_messages import Body
from analytics.reports.wire import NUMBER, Wire

Item = TypeVar("Item")

# Alike in all three signals: entries of a body; resource and scopes of an entry; scope and items of a scope.
_ENTRIES, _RESOURCE, _SCOPES, _SCOPE, _ITEMS = 1, 1, 2, 1, 2


class Signal(NamedTuple, Generic[Item]):
    """How the items of a signal are read."""

    json: type[Body]
    from_json: Callable[[Any], Item]
    from_wire: Callable[[Harvest, Wire, int, int], Item | None]


def read(harvest: Harvest, signal: Signal[Item]) -> Iterator[tuple[Sender, str, Iterable[Item]]]:
    """Each scope of a report: who speaks, the scope's name, its items. Errors: BadReport bad_protobuf, bad_json,
    too_deep, too_many."""
    return _from_json(harvest, signal) if harvest.report.is_json else _from_protobuf(harvest, signal)


def _from_protobuf(harvest: Harvest, signal: Signal[Item]) -> Iterator[tuple[Sender, str, Iterable[Item]]]:
    wire = Wire(harvest.body)
    for number, start, stop in wire.fields(0, len(harvest.body)):
        if number != _ENTRIES or stop == NUMBER:
            continue
        scopes = [
            (_scope_name(harvest, wire, first, last), first, last)
            for number, first, last in wire.fields(start, stop)
            if number == _SCOPES and last != NUMBER
        ]
        if not scopes:
            continue
        resource = harvest.message(resource_pb2.Resource.FromString, wire.parts(_RESOURCE, start, stop))
        if resource is None:
            continue
        sender = harvest.sender(resource.attributes, is_apitally=any(name == APITALLY for name, _, _ in scopes))
        if sender is not None:
            for name, first, last in scopes:
                yield sender, name, _items(harvest, signal, wire, first, last)


def _scope_name(harvest: Harvest, wire: Wire, start: int, stop: int) -> str:
    scope = harvest.message(common_pb2.InstrumentationScope.FromString, wire.parts(_SCOPE, start, stop))
    return scope.name if scope else ""


def _items(harvest: Harvest, signal: Signal[Item], wire: Wire, start: int, stop: int) -> Iterator[Item]:
    for number, first, last in wire.fields(start, stop):
        if number == _ITEMS and last != NUMBER:
            item = signal.from_wire(harvest, wire, first, last)
            if item is not None:
                yield item


def _from_json(harvest: Harvest, signal: Signal[Item]) -> Iterator[tuple[Sender, str, Iterable[Item]]]:
    for entry in decoded_json(harvest.body, signal.json, harvest.dropped).entries:
        if not entry.scopes:
            continue
        names = [scope.scope.name for scope in entry.scopes]
        sender = harvest.sender(entry.resource.attributes, is_apitally=APITALLY in names)
        if sender is not None:
            for scope in entry.scopes:
                yield sender, scope.scope.name, map(signal.from_json, scope.items)
