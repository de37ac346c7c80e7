"""A writer of the MaxMind DB format (maxmind.github.io/MaxMind-DB), as small as a test needs: 24 bits a record."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)
STRING, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11


def write_mmdb(path: Path, countries: Mapping[str, str], *, kind: str = "GeoLite2-Country") -> Path:
    """Networks (of either version) by ISO code; none may lie within another."""
    tree: list[list[int | bytes | None]] = [[None, None]]
    for network, code in countries.items():
        _add(tree, _bits(network), _map({"country": _map({"iso_code": _text(code)})}))
    data, places = b"", {}
    for record in (record for node in tree for record in node):
        if isinstance(record, bytes) and record not in places:
            places[record] = len(tree) + len(SEPARATOR) + len(data)
            data += record
    numbers = [
        places[record] if isinstance(record, bytes) else len(tree) if record is None else record
        for node in tree
        for record in node
    ]
    search_tree = b"".join(number.to_bytes(3, "big") for number in numbers)
    path.write_bytes(search_tree + SEPARATOR + data + MARKER + _metadata(len(tree), kind))
    return path


def _add(tree: list[list[int | bytes | None]], bits: str, record: bytes) -> None:
    node = 0
    for bit in map(int, bits[:-1]):
        following = tree[node][bit]
        if not isinstance(following, int):
            tree.append([None, None])
            following = tree[node][bit] = len(tree) - 1
        node = following
    tree[node][int(bits[-1])] = record


def _bits(text: str) -> str:
    """Of an address of version 4 as the tree of version 6 has it: behind 96 zeros."""
    network = ip_network(text)
    behind = "" if network.version == 6 else "0" * 96
    width = network.max_prefixlen
    return behind + f"{int(network.network_address):0{width}b}"[: network.prefixlen]


def _metadata(nodes: int, kind: str) -> bytes:
    return _map(
        {
            "binary_format_major_version": _number(UINT16, 2),
            "binary_format_minor_version": _number(UINT16, 0),
            "build_epoch": _number(UINT64, 1_790_000_000),
            "database_type": _text(kind),
            "description": _map({"en": _text("a test's")}),
            "ip_version": _number(UINT16, 6),
            "languages": _control(ARRAY, 1) + _text("en"),
            "node_count": _number(UINT32, nodes),
            "record_size": _number(UINT16, 24),
        }
    )


def _control(kind: int, size: int) -> bytes:
    """Types from 8 on are extended: their number follows. Sizes here are below 29."""
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])


def _text(text: str) -> bytes:
    return _control(STRING, len(text)) + text.encode()


def _number(kind: int, value: int) -> bytes:
    told = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(told)) + told


def _map(entries: Mapping[str, bytes]) -> bytes:
    return _control(MAP, len(entries)) + b"".join(_text(key) + value for key, value in entries.items())
