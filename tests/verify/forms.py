"""Fields of events and records, and their spelling in CBOR."""

from harness import *


def check_forms():
    """Every field of every kind of event and of a record: left out, of another type; fields that do not belong."""
    w = story()
    steps = {}
    for index, leaf in enumerate(w.leaves):
        steps.setdefault(w.kinds[index], index)
    names = {
        "GENESIS": "GENESIS",
        "KEY": "key add ap4",
        "POLICY": "POLICY",
        "ADMIT": "plain",
        "QUARANTINE": "late",
        "PROPOSE": "c3",
        "ENDORSE": "a3",
        "COMPILE": "compile a2",
        "ACTIVATE": "activate a1",
        "SUSPEND": "suspend note",
        "RELEASE": "release tmp",
        "SUPERSEDE": "supersede a1",
        "REVOKE": "revoke plain",
        "EXPIRE": "expire brief",
        "ERASE": "erase tmp",
        "RECEIPT": "RECEIPT",
        "COMMIT": "COMMIT",
        "ROLLBACK": "ROLLBACK",
        "ALARM": "ALARM",
        "OVERRIDE": "OVERRIDE 2",
        "STATE": "STATE 1",
    }
    assert set(names) == set(EVENTS)
    for kind, step in names.items():
        fields = {}
        story({step: fields.update})
        for key, value in fields.items():
            tweaked(f"{kind} without field {key}", step, drop(key), "event.fields", first=True)
            other = "text" if not isinstance(value, str) else 7
            tweaked(f"{kind} with field {key} of another type", step, put(key, other), "event.fields", first=True)
            if isinstance(value, bytes):
                tweaked(f"{kind} with field {key} too short", step, put(key, value[:-1]), "event.fields", first=True)
        for key in (5, 9, 14, 17, 19, 50, 63, 64, 1000, -1):
            tweaked(f"{kind} with a field {key}", step, put(key, 1), "event.fields", first=True)
    tweaked("a foreign field", "plain", put(24, "why"), "event.fields", first=True)
    tweaked("REVOKE with a note and a command", "revoke plain", put(31, "x"), "event.fields", first=True)
    tweaked("event 22", "ALARM", put(2, 22), "event.fields")
    tweaked("event 0", "ALARM", put(2, 0), "event.fields")
    tweaked("version 2", "ALARM", put(1, 2), "event.fields")
    tweaked("integrity 6", "COMMIT", put(22, 6), "event.fields")
    tweaked("time 2^63", "ALARM", put(3, 1 << 63), "event.fields")
    tweaked("fewer scores", "RECEIPT", put(35, [1]), "event.fields")
    for actor in ("", "root", "principal:", "key:", "gateway ", "principal:a\nb", "clock\0"):
        tweaked(f"actor {actor!r}", "ALARM", put(4, actor), "event.actor")

    fields = {}
    story({"record plain": fields.update})
    fields[12], fields[13] = 1_800_000_000_000, bytes(32)
    for key, value in fields.items():
        if key not in (9, 12, 13):
            tweaked(f"a record without field {key}", "record plain", drop(key), "record.form")
        tweaked(f"a record with field {key} of another type", "record plain", put(key, -5), "record.form", first=True)
        if isinstance(value, bytes):
            tweaked(f"a record with field {key} too short", "record plain", put(key, value[:-1]), "record.form")
    for key in (0, 15, 64, -1):
        tweaked(f"a record with a field {key}", "record plain", put(key, 1), "record.form")
    one, two = source("a", "b", "c"), source("a", "b", "d")
    for name, change in {
        "version 2": put(1, 2),
        "kind 0": put(2, 0),
        "kind 6": put(2, 6),
        "no principal": put(4, ""),
        "integrity 6": label(integrity=6),
        "sources twice": label(sources=[one, one]),
        "sources unsorted": label(sources=sorted([one, two], reverse=True)),
        "a short source": label(sources=[b"123"]),
        "65 sources": label(sources=sorted(source("a", "b", str(i)) for i in range(65))),
        "sources 1": label(sources=1),
        "readers unsorted": label(readers=["b", "a"]),
        "readers twice": label(readers=["a", "a"]),
        "readers 0": label(readers=0),
        "a label of four": lambda f: f.__setitem__(5, {**f[5], 4: 1}),
        "a label of one": put(5, {1: 1}),
        "lineage twice": put(7, [bytes(32), bytes(32)]),
        "lineage unsorted": put(7, [b"\1" + bytes(31), bytes(32)]),
        "influence 8": put(10, 8),
        "confidence 101": put(11, 101),
        "valid until 0": put(12, 0),
        "an embedding of none": put(9, {1: "e", 2: 0, 3: bytes(32)}),
        "an embedding without digest": put(9, {1: "e", 2: 8}),
        "an embedding of more": put(9, {1: "e", 2: 8, 3: bytes(32), 4: 1}),
        "created 2^63": put(14, 1 << 63),
    }.items():
        tweaked(f"a record with {name}", "record plain", change, "record.form", first=True)


def check_cbor():
    """What decodes to the same or to nothing, in another spelling."""
    good = cbor({1: 1, 2: EVENTS.index("ALARM") + 1, 3: 7, 4: "monitor", 24: "x", 47: "y"})
    assert good[:1] == b"\xa6"
    spellings = {
        "a longer integer": good.replace(b"\x01\x01", b"\x01\x18\x01", 1),
        "a longer key": good.replace(b"\x01\x01", b"\x18\x01\x01", 1),
        "an integer of 8 bytes": good.replace(b"\x03\x07", b"\x03\x1b" + bytes(7) + b"\x07", 1),
        "a longer text": good.replace(b"\x61x", b"\x78\x01x", 1),
        "a map of indefinite length": b"\xbf" + good[1:] + b"\xff",
        "text of indefinite length": good.replace(b"\x61x", b"\x7f\x61x\xff", 1),
        "a longer map": b"\xb8\x06" + good[1:],
        "keys out of order": b"\xa6" + good[3:] + good[1:3],
        "a key twice": b"\xa7" + good[1:3] + good[1:],
        "a byte behind": good + b"\0",
        "half of it": good[:-1],
        "nothing": b"",
        "a count too large": b"\xba\xff\xff\xff\xff" + good[1:],
        "a length too large": good.replace(b"\x61x", b"\x7a\xff\xff\xff\xffx", 1),
        "a float": good.replace(b"\x61x", b"\xf9\x3c\x00", 1),
        "true": good.replace(b"\x61x", b"\xf5", 1),
        "null": good.replace(b"\x61x", b"\xf6", 1),
        "a tag": good.replace(b"\x61x", b"\xc0\x61x", 1),
        "text that is not UTF-8": good.replace(b"\x61x", b"\x61\xff", 1),
        "an overlong slash": good.replace(b"\x61x", b"\x62\xc0\xaf", 1),
        "a surrogate": good.replace(b"\x61x", b"\x63\xed\xa0\x80", 1),
        "a key of text": good.replace(b"\x18\x18\x61x", b"\x61a\x61x", 1),
        "arrays in arrays": good.replace(b"\x61x", b"\x81" * 1000 + b"\x80", 1),
        "a reserved length": good.replace(b"\x61x", b"\x7cx", 1),
    }
    for name, leaf in spellings.items():
        w = story()
        w.leaf(leaf)
        expect(f"an event with {name}", report(w.files()), "cbor.canonical", event=len(w.leaves) - 1)
    for name, change in {
        "a byte behind": lambda raw: raw + b"\0",
        "half of it": lambda raw: raw[:-1],
        "a longer integer": lambda raw: raw[:1] + b"\x01\x18\x01" + raw[3:],
        "a longer map": lambda raw: b"\xb8" + bytes([raw[0] & 31]) + raw[1:],
        "keys out of order": lambda raw: raw[:1] + raw[3:5] + raw[1:3] + raw[5:],
        "a float": lambda raw: raw[:2] + b"\xf9\x3c\x00" + raw[3:],
    }.items():

        def spell(raws, change=change):
            raws[0] = change(raws[0])

        tweaked(f"a record with {name}", "raw record plain", spell, "cbor.canonical")
    w = story()
    w.leaf(cbor([1, 2]))
    expect("an event that is an array", report(w.files()), "event.fields")
