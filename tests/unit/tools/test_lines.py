"""JSON of every type."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.persistence.test_rdb_stream import random_stream
from tests.unit.persistence.test_rdb_write import LATE
from tests.unit.tools.files import ENTRIES, Entries, dumped, rdb


def test_json(file: Path) -> None:
    code, out, errors = dumped(file, rdb())
    assert (code, errors) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(line["db"] == 3 for line in lines)
    assert [line["ttl_at"] for line in lines] == [deadline for _, _, deadline in ENTRIES]
    items, numbers, fields, odd, dying, scores, log, text, octets = lines
    assert out.startswith(b'{"db":3,"key":"list","type":"list","ttl_at":null,"value":[')
    assert (text["value"], text["type"]) == ("größe\n", "string")
    assert (octets["key"], octets["value"]) == ({"base64": "/w=="}, {"base64": "AP8="})
    assert items["value"] == ["a", {"base64": "/g=="}, "a"]
    assert numbers["value"] == ["1", "2"]
    assert fields["value"] == {"f": "v", "g": {"base64": "/w=="}}
    assert odd["value"] == [[{"base64": "/w=="}, "v"]]
    assert (sorted(dying["value"]), dying["fields_ttl_at"]) == (["f", "g"], {"g": LATE})
    assert scores["value"] == [["a", 0.1], ["c", 3.0], ["b", "inf"]]
    assert log["value"] == {
        "entries": [
            {"id": "1000-0", "fields": ["f", "v", "g", "1"]},
            {"id": "1002-0", "fields": ["k", "z"]},
        ],
        "last_id": "1002-0",
        "max_deleted_id": "1001-5",
        "entries_added": 3,
        "groups": [],
    }


def test_json_of_groups(file: Path) -> None:
    streams: Entries = [(b"%d" % seed, random_stream(seed), None) for seed in range(8)]
    for line, (_, stream, _) in zip(dumped(file, rdb(streams))[1].splitlines(), streams, strict=True):
        value = json.loads(line)["value"]
        assert len(value["entries"]) == len(stream)
        for group in value["groups"]:
            assert len(group["pending"]) == len(stream.groups[group["name"].encode()].pending)
