#!/usr/bin/env python3
"""fieldprint-verify against exports that tests/support/memory_export.py writes: a sound one passes, and of hundreds that a
dishonest writer made, each wrong in one thing and signed all the same, every one is refused with the rule it breaks."""
import base64
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests/support"))
try:
    from memory_export import *
except ImportError as error:
    print(f"verify: skipped, {error} (tools/setup test installs python3-cryptography)")
    sys.exit(77)

PROGRAM = os.path.join(os.environ.get("FIELDPRINT_BUILD", str(REPOSITORY / "build/release")), "fieldprint-verify")
ED25519 = b"\x01"
faults, refused, seen = [], 0, set()


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def report(files, *arguments, prepare=None):
    """The JSON of a run over these files."""
    with tempfile.TemporaryDirectory() as directory:
        write(files, directory)
        if prepare:
            prepare(directory)
        done = run(directory, "--json", *arguments)
    if done.returncode not in (0, 1) or done.stderr:
        return {"sound": None, "faults": [{"rule": f"exit {done.returncode}", "what": done.stderr}]}
    result = json.loads(done.stdout)
    if result["sound"] != (done.returncode == 0) or result["sound"] != (not result["faults"]):
        return {"sound": None, "faults": [{"rule": "exit status and report differ", "what": ""}]}
    return result


def rules(result):
    found = [fault["rule"] for fault in result["faults"]]
    seen.update(found)
    return found


def expect(name, result, rule, first=False, **place):
    """Refused with this rule and no other; with `first` others may follow from it."""
    global refused
    refused += 1
    found = rules(result)
    right = found[:1] == [rule] if first else set(found) == {rule}
    if not right:
        shown = [f'{fault["rule"]}: {fault["what"]}' for fault in result["faults"][:5]]
        faults.append(f"{name}: expected {rule}, found {shown or 'no fault'}")
        return
    fault = result["faults"][0]
    for key, value in place.items():
        if fault.get(key) != value:
            faults.append(f"{name}: {rule} is at {key} {fault.get(key)}, not at {value}")


def put(key, value):
    return lambda fields: fields.__setitem__(key, value)


def drop(key):
    return lambda fields: fields.pop(key)


def label(**changes):
    """Changes a record's label: integrity, sources, readers."""
    keys = {"integrity": 1, "sources": 2, "readers": 3}

    def change(fields):
        fields[5] = {**fields[5], **{keys[name]: value for name, value in changes.items()}}
    return change


def tweaked(name, step, change, rule, first=False):
    w = story({step: change})
    if step in w.tweaks:
        faults.append(f"{name}: the story has no step {step}")
        return
    expect(name, report(w.files()), rule, first)


def line(name, value):
    """Changes one line of a statement."""
    def change(note):
        index = next(i for i, text in enumerate(note["lines"]) if text.split(" ")[0].split("=")[0] == name)
        note["lines"][index] = note["lines"][index][:len(name) + 1] + str(value)
    return change


def signers(*names):
    return put("signers", list(names))


def added(name, rule, *steps, first=False):
    """The story with more events at its end, then the root of what the writer makes of them."""
    w = story()
    for step in steps:
        step(w)
    expect(name, report(w.files()), rule, first)


def check_sound():
    w = story()
    for payloads in (True, False):
        result = report(w.files(payloads))
        if not result["sound"]:
            faults.append(f"a sound export is refused: {result['faults'][:3]}")
    counts = result["counts"]
    if counts["events"] != len(w.leaves) or counts["records"] != len(w.records) or counts["states"] != 2:
        faults.append(f"the counts are not those of the export: {counts}")
    with tempfile.TemporaryDirectory() as directory:
        write(w.files(), directory)
        done = run(directory)
        if done.returncode != 0 or "No fault found." not in done.stdout:
            faults.append(f"the sentences of a sound export: {done.stdout}{done.stderr}")
    # What is allowed, and looks odd: more cosigners than known, old partial tiles, a note signed by keys that do not count.
    odd = Writer()
    odd.genesis()
    odd.admit("web", OBS, "A page.", EXTERNAL)
    older = tiles(odd.leaves)
    odd.admit("any", INF, "From many.", EXTERNAL, lineage=["web"], sources=0)
    odd.admit("nobody", USR, "For nobody.", USER, readers=[])
    odd.propose("c", "Text.", EXTERNAL, lineage=["web"])
    odd.endorse("c", "a", ["ap1", "ap3", "stranger", "op1"], influence=3)
    odd.revoke("a", ["ap1", "op1"])
    odd.revoke("web", ["ap2"])
    odd.event("ALARM", {24: "x", 47: "y" * 60000})
    for number in range(600):
        odd.admit(f"page {number}", OBS, f"Page {number}.", EXTERNAL, fields={12: 1_900_000_000_000} if number % 5 == 0 else {})
        if number in (100, 599):
            odd.state()
    files = {**odd.files(), **older}
    files["checkpoint"] = odd.checkpoint(signers=[Key("stranger.example/w"), odd.log, Key("stranger.example/w2", 4), odd.witness]).encode()
    result = report(files)
    if not result["sound"]:
        faults.append(f"an odd but sound export is refused: {result['faults'][:3]}")


def check_forms():
    """Every field of every kind of event and of a record: left out, of another type; fields that do not belong."""
    w = story()
    steps = {}
    for index, leaf in enumerate(w.leaves):
        steps.setdefault(w.kinds[index], index)
    names = {"GENESIS": "GENESIS", "KEY": "key add ap4", "POLICY": "POLICY", "ADMIT": "plain", "QUARANTINE": "late", "PROPOSE": "c3",
             "ENDORSE": "a3", "COMPILE": "compile a2", "ACTIVATE": "activate a1", "SUSPEND": "suspend note", "RELEASE": "release tmp",
             "SUPERSEDE": "supersede a1", "REVOKE": "revoke plain", "EXPIRE": "expire brief", "ERASE": "erase tmp",
             "RECEIPT": "RECEIPT", "COMMIT": "COMMIT", "ROLLBACK": "ROLLBACK", "ALARM": "ALARM", "OVERRIDE": "OVERRIDE 2", "STATE": "STATE 1"}
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
            "version 2": put(1, 2), "kind 0": put(2, 0), "kind 6": put(2, 6), "no principal": put(4, ""),
            "integrity 6": label(integrity=6), "sources twice": label(sources=[one, one]),
            "sources unsorted": label(sources=sorted([one, two], reverse=True)), "a short source": label(sources=[b"123"]),
            "65 sources": label(sources=sorted(source("a", "b", str(i)) for i in range(65))), "sources 1": label(sources=1),
            "readers unsorted": label(readers=["b", "a"]), "readers twice": label(readers=["a", "a"]), "readers 0": label(readers=0),
            "a label of four": lambda f: f.__setitem__(5, {**f[5], 4: 1}), "a label of one": put(5, {1: 1}),
            "lineage twice": put(7, [bytes(32), bytes(32)]), "lineage unsorted": put(7, [b"\1" + bytes(31), bytes(32)]),
            "influence 8": put(10, 8), "confidence 101": put(11, 101), "valid until 0": put(12, 0),
            "an embedding of none": put(9, {1: "e", 2: 0, 3: bytes(32)}), "an embedding without digest": put(9, {1: "e", 2: 8}),
            "an embedding of more": put(9, {1: "e", 2: 8, 3: bytes(32), 4: 1}), "created 2^63": put(14, 1 << 63)}.items():
        tweaked(f"a record with {name}", "record plain", change, "record.form", first=True)


def check_cbor():
    """What decodes to the same or to nothing, in another spelling."""
    good = cbor({1: 1, 2: EVENTS.index("ALARM") + 1, 3: 7, 4: "monitor", 24: "x", 47: "y"})
    assert good[:1] == b"\xa6"
    spellings = {
        "a longer integer": good.replace(b"\x01\x01", b"\x01\x18\x01", 1), "a longer key": good.replace(b"\x01\x01", b"\x18\x01\x01", 1),
        "an integer of 8 bytes": good.replace(b"\x03\x07", b"\x03\x1b" + bytes(7) + b"\x07", 1),
        "a longer text": good.replace(b"\x61x", b"\x78\x01x", 1), "a map of indefinite length": b"\xbf" + good[1:] + b"\xff",
        "text of indefinite length": good.replace(b"\x61x", b"\x7f\x61x\xff", 1), "a longer map": b"\xb8\x06" + good[1:],
        "keys out of order": b"\xa6" + good[3:] + good[1:3], "a key twice": b"\xa7" + good[1:3] + good[1:],
        "a byte behind": good + b"\0", "half of it": good[:-1], "nothing": b"", "a count too large": b"\xba\xff\xff\xff\xff" + good[1:],
        "a length too large": good.replace(b"\x61x", b"\x7a\xff\xff\xff\xffx", 1), "a float": good.replace(b"\x61x", b"\xf9\x3c\x00", 1),
        "true": good.replace(b"\x61x", b"\xf5", 1), "null": good.replace(b"\x61x", b"\xf6", 1), "a tag": good.replace(b"\x61x", b"\xc0\x61x", 1),
        "text that is not UTF-8": good.replace(b"\x61x", b"\x61\xff", 1), "an overlong slash": good.replace(b"\x61x", b"\x62\xc0\xaf", 1),
        "a surrogate": good.replace(b"\x61x", b"\x63\xed\xa0\x80", 1), "a key of text": good.replace(b"\x18\x18\x61x", b"\x61a\x61x", 1),
        "arrays in arrays": good.replace(b"\x61x", b"\x81" * 1000 + b"\x80", 1), "a reserved length": good.replace(b"\x61x", b"\x7cx", 1)}
    for name, leaf in spellings.items():
        w = story()
        w.leaf(leaf)
        expect(f"an event with {name}", report(w.files()), "cbor.canonical", event=len(w.leaves) - 1)
    for name, change in {"a byte behind": lambda raw: raw + b"\0", "half of it": lambda raw: raw[:-1],
                         "a longer integer": lambda raw: raw[:1] + b"\x01\x18\x01" + raw[3:], "a longer map": lambda raw: b"\xb8" + bytes([raw[0] & 31]) + raw[1:],
                         "keys out of order": lambda raw: raw[:1] + raw[3:5] + raw[1:3] + raw[5:], "a float": lambda raw: raw[:2] + b"\xf9\x3c\x00" + raw[3:]}.items():
        def spell(raws, change=change):
            raws[0] = change(raws[0])
        tweaked(f"a record with {name}", "raw record plain", spell, "cbor.canonical")
    w = story()
    w.leaf(cbor([1, 2]))
    expect("an event that is an array", report(w.files()), "event.fields")


def check_ledger():
    """The ledger's own: its beginning, time, keys, policies."""
    tweaked("another origin", "GENESIS", put(10, "example.org/other"), "event.genesis")
    added("GENESIS again", "event.genesis", lambda w: w.genesis())
    w = Writer()
    w.admit("web", OBS, "A page.", EXTERNAL)
    expect("no GENESIS", report(w.files()), "event.genesis", first=True, event=0)
    w = Writer()
    expect("an empty ledger", report(w.files()), "event.genesis", first=True)
    tweaked("time that goes back", "ALARM", lambda f: f.__setitem__(3, f[3] - 1000), "event.time")
    tweaked("a time far ahead", "ROLLBACK", lambda f: f.__setitem__(3, f[3] + 10 ** 9), "event.time", first=True)

    def keys(change):
        return lambda fields: change(fields[12])
    stranger = Key("stranger")
    twin = Key(ORIGIN)
    for name, change in {
            "role 0": lambda k: k.append([0, stranger.vkey]), "role 6": lambda k: k.append([6, stranger.vkey]),
            "a key with two roles": lambda k: k.append([OPERATOR, k[0][1]]), "a key twice": lambda k: k.append(list(k[0])),
            "no vkey": lambda k: k.append([OPERATOR, "stranger"]),
            "a wrong key id": lambda k: k.append([OPERATOR, stranger.vkey.replace("+" + stranger.id.hex(), "+00000000")]),
            "a witness with a signer's key": lambda k: k.append([WITNESS, stranger.vkey]),
            "a root with a witness's key": lambda k: k.append([ROOT, Key("stranger", 4).vkey]),
            "a log of another name": lambda k: k.append([LOG, stranger.vkey])}.items():
        tweaked(f"GENESIS with {name}", "GENESIS", keys(change), "key.form")
    assert twin.vkey == Writer().log.vkey
    same = Key("stranger")
    same.name = "other-name"
    same.id = sha(same.name.encode(), b"\n\x01", same.public)[:4]
    vkey = f"{same.name}+{same.id.hex()}+{base64.b64encode(ED25519 + same.public).decode()}"
    tweaked("GENESIS with one key under two names", "GENESIS", keys(lambda k: k.extend([[OPERATOR, stranger.vkey], [APPROVER, vkey]])), "key.form")
    tweaked("GENESIS with a key of three parts", "GENESIS", keys(lambda k: k.append([1, stranger.vkey, 1])), "event.fields", first=True)
    for field, values in {1: (0, -1, "x"), 2: (0, 1), 3: (0,), 8: (-1, "x"), 9: (1 << 63,)}.items():
        for value in values:
            tweaked(f"a policy with field {field} = {value}", "GENESIS", put(13, {**POLICY, field: value}), "policy.form", first=True)
    tweaked("a policy without field 9", "GENESIS", put(13, {k: v for k, v in POLICY.items() if k != 9}), "policy.form", first=True)
    tweaked("a policy with field 10", "GENESIS", put(13, {**POLICY, 10: 1}), "policy.form", first=True)

    added("a key back in force", "key.form", lambda w: w.key("ap3", APPROVER))
    added("a key added twice", "key.form", lambda w: w.key("ap1", APPROVER))
    added("a key with a second role", "key.form", lambda w: w.key("ap1", OPERATOR))
    added("retiring a stranger", "key.form", lambda w: w.key("stranger", APPROVER, "retire"))
    added("retiring in another role", "key.form", lambda w: w.key("ap1", OPERATOR, "retire"))
    added("a key that is none", "key.form", lambda w: w.key("no vkey", APPROVER))
    added("a role that is none", "statement.form", lambda w: w.key("stranger", "admin"))
    added("an action that is none", "statement.form", lambda w: w.key("stranger", APPROVER, "promote"))
    added("a key added by one root", "statement.quorum", lambda w: w.key("stranger", APPROVER, signers=["root1"]))
    added("a key added by a root twice", "statement.quorum", lambda w: w.key("stranger", APPROVER, signers=["root1", "root1"]))
    added("a key added by approvers", "statement.quorum", lambda w: w.key("stranger", APPROVER, signers=["ap1", "ap2"]))
    added("a key added by itself", "statement.quorum", lambda w: w.key("stranger", ROOT, signers=["root1", "stranger"]))
    added("a policy by one root", "statement.quorum", lambda w: w.set_policy(POLICY, ["root2"]))
    added("a policy by operators", "statement.quorum", lambda w: w.set_policy(POLICY, ["op1", "root2"]))
    added("an old policy's statement", "statement.size", lambda w: w.set_policy(POLICY, size=w.policy_event))
    added("a policy from the future", "statement.size", lambda w: w.set_policy(POLICY, size=len(w.leaves) + 1))
    tweaked("another policy than signed", "note POLICY", line("policy", cbor(POLICY).hex()), "statement.field")
    added("a policy that is none", "policy.form", lambda w: w.set_policy({1: 1}))
    added("an endorsement under the old policy", "statement.policy", lambda w: w.propose("c9", "x", EXTERNAL), lambda w: setattr(w, "policy_event", 0),
          lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]))
    added("the log's key retired", "key.log", lambda w: w.key(w.log.vkey, LOG, "retire"))


def check_statements():
    """What is signed, by whom, when; for each action."""
    actions = {"a1": ("endorse", ["ap1", "ap2"]), "release tmp": ("release", ["ap3"]), "supersede a1": ("supersede", ["ap1"]),
               "revoke bad": ("revoke", ["op1"]), "key add ap4": ("key", ["root1", "root2"]), "POLICY": ("policy", ["root1", "root2"])}
    for step, (action, by) in actions.items():
        def change(rule, name, what, raw=False):
            tweaked(f"{action} with {name}", ("raw note " if raw else "note ") + step, what, rule, first=action in ("key", "policy", "endorse"))
        change("statement.ledger", "another log", line("log", "example.org/other"))
        change("statement.ledger", "another agent", line("agent", "somebody"))
        change("statement.size", "a size beyond the ledger", line("size", 1000))
        change("statement.form", "another action", lambda n: n["lines"].__setitem__(0, "fieldprint/erase/v1"))
        change("statement.form", "version 2", lambda n: n["lines"].__setitem__(0, f"fieldprint/{action}/v2"))
        change("statement.form", "a line too many", lambda n: n["lines"].append("more x"))
        change("statement.form", "a line too few", lambda n: n["lines"].pop())
        change("statement.form", "two lines swapped", lambda n: n["lines"].insert(1, n["lines"].pop(2)))
        change("statement.form", "a value of nothing", line("log", ""))
        change("statement.form", "a value with a space behind", line("log", ORIGIN + " "))
        change("statement.form", "a size with a leading zero", line("size", "07"))
        change("statement.form", "a size that is none", line("size", "seven"))
        change("statement.quorum", "no signature that counts", signers("stranger"))
        change("statement.quorum", "too few signatures", signers(*by[1:]) if len(by) > 1 else signers("stranger", "root3"))
        change("statement.quorum", "one key twice", signers(by[0], by[0]) if len(by) > 1 else signers("root1"))
        change("note.form", "no signature", put(0, "x\n"), raw=True)
        change("note.form", "no empty line", lambda raw: raw.__setitem__(0, raw[0].replace("\n\n", "\n")), raw=True)
        change("note.form", "no newline at its end", lambda raw: raw.__setitem__(0, raw[0][:-1]), raw=True)
        change("note.form", "a control character", lambda raw: raw.__setitem__(0, raw[0].replace("agent", "agent\t")), raw=True)
        change("note.form", "a line behind the signatures", lambda raw: raw.__setitem__(0, raw[0] + "x\n"), raw=True)
        change("note.form", "65 signatures", lambda n: n.__setitem__("extra", Key("stranger").line("x") * 65))

        def corrupt(raw):
            head, lines = raw[0].split("\n\n")
            first, *rest = lines.splitlines()
            data = bytearray(base64.b64decode(first.split(" ")[2]))
            data[20] ^= 1
            raw[0] = head + "\n\n" + "\n".join([" ".join(first.split(" ")[:2] + [base64.b64encode(data).decode()]), *rest]) + "\n"
        w = story({"raw note " + step: corrupt})
        result = report(w.files())
        global refused
        refused += 1
        if "statement.signature" not in rules(result) or not set(rules(result)) <= {"statement.signature", "statement.quorum", "anchor.sources"}:
            if action not in ("key", "policy"):
                faults.append(f"{action} with a wrong signature: {result['faults'][:3]}")
    other = sha(b"another").hex()
    for name in ("payload", "sources", "lineage"):
        tweaked(f"endorse with another {name}", "note a1", line(name, other), "statement.field")
    tweaked("endorse with another candidate", "note a1", line("record", other), "statement.record")
    tweaked("endorse with another influence", "note a1", line("influence", 3), "statement.field")
    tweaked("endorse with another valid-until", "note a1", line("valid-until", 1_900_000_000_000), "statement.field")
    tweaked("endorse with another valid-until than its event", "note a2", line("valid-until", 0), "statement.field")
    tweaked("endorse under another policy", "note a1", line("policy", 3), "statement.policy")
    tweaked("endorse of a short digest", "note a1", line("payload", "00"), "statement.form")
    tweaked("endorse of upper-case digits", "note a1", lambda n: n["lines"].__setitem__(3, "record " + n["lines"][3][7:].upper()), "statement.form")
    tweaked("endorse by one, of what is EXTERNAL", "note a1", signers("ap1"), "statement.quorum", first=True)
    tweaked("endorse by a retired approver", "note a3", signers("ap1", "ap3"), "statement.quorum", first=True)
    tweaked("endorse by an approver to be", "note a1", signers("ap1", "ap4"), "statement.quorum", first=True)
    tweaked("endorse by operators", "note a2", signers("op1", "root1"), "statement.quorum", first=True)
    tweaked("release of another record", "note release tmp", line("record", other), "statement.record")
    tweaked("supersede of another record", "note supersede a1", line("record", other), "statement.record")
    tweaked("supersede by another record", "note supersede a1", line("successor", other), "statement.record")
    tweaked("revoke of another record", "note revoke bad", line("record", other), "statement.record")
    tweaked("revoke by a root", "note revoke bad", signers("root1", "root2"), "statement.quorum")
    tweaked("revoke by too few approvers", "note revoke bad", signers("ap1"), "statement.quorum")

    # Authentic statements, come again after what they are about has changed.
    w = story()
    kept = {}
    w = story({"raw note release tmp": lambda raw: kept.update(release=raw[0])})
    w.time += 1
    added("release by a statement from before the suspension", "statement.size", lambda w: w.admit("again", USR, "x", USER), lambda w: w.suspend("again"),
          lambda w: w.release("again", ["ap1", "ap2"], size=len(w.leaves) - 1))
    added("endorse by a statement from before the release", "statement.size", lambda w: w.propose("c9", "x", USER), lambda w: w.suspend("c9"),
          lambda w: w.release("c9", ["ap1", "ap2"]), lambda w: w.tweaks.update({"note a9": line("size", len(w.leaves) - 1)}),
          lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]))
    added("supersede by an old statement", "statement.size", lambda w: w.propose("c9", "x", USER), lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
          lambda w: w.supersede("a2", "a9", ["ap1", "ap2"], size=len(w.leaves) - 1))
    added("revoke by an old statement", "statement.size", lambda w: w.revoke("a2", size=10))


def check_records():
    """What a record says beside its event, its ledger, its lineage."""
    tweaked("another kind in the event", "plain", put(21, USR), "record.event")
    tweaked("another integrity in the event", "plain", put(22, HOSTILE), "record.event")
    tweaked("a time of expiry in the event alone", "plain", put(23, 1_900_000_000_000), "record.event")
    tweaked("another time of expiry in the event", "brief", put(23, 1_700_000_000_001), "record.event")
    tweaked("no time of expiry in the event", "brief", drop(23), "record.event")
    tweaked("another agent", "record plain", put(3, "somebody"), "record.agent")
    tweaked("a base size too large", "record plain", put(6, 1000), "record.base-size")
    tweaked("created after its event", "record plain", put(14, 1_900_000_000_000), "record.created")
    for step, kind, integrity in (("plain", OBS, USER), ("tmp", USR, WITNESSED), ("event", EPI, ENDORSED), ("late", INF, WITNESSED)):
        tweaked(f"kind {kind} with integrity {integrity}", f"record {step}", label(integrity=integrity), "label.kind", first=True)
    tweaked("a candidate with integrity WITNESSED", "record c2", label(integrity=WITNESSED), "label.kind", first=True)
    tweaked("an observation that may be pinned", "record plain", put(10, 7), "record.influence", first=True)

    tweaked("integrity above its lineage", "record child", label(integrity=USER), "label.integrity")
    tweaked("sources without its lineage's", "record child", label(sources=[source("x", "y", "z")]), "label.sources")
    tweaked("no sources at all", "record child", label(sources=[]), "label.sources")
    tweaked("readers that its lineage does not have", "record secret2", label(readers=["anna", "carl"]), "label.readers")
    tweaked("everybody, where its lineage has readers", "record secret2", lambda f: f[5].pop(3), "label.readers")
    added("sources where its lineage has any", "label.sources", lambda w: w.admit("any", INF, "x", EXTERNAL, sources=0),
          lambda w: w.tweaks.update({"record few": label(sources=[source("a", "b", "c")])}), lambda w: w.admit("few", INF, "y", EXTERNAL, lineage=["any"]))
    added("lineage of another principal", "label.scope", lambda w: w.admit("mixed", INF, "x", USER, lineage=["other"]))
    added("a principal of its own", "label.scope", lambda w: w.admit("mixed", INF, "x", USER, lineage=["user"], principal="guest"))
    added("a candidate above its lineage", "label.integrity", lambda w: w.propose("c9", "x", USER, lineage=["web"]))
    added("what is derived from HOSTILE is not", "label.integrity", lambda w: w.admit("clean", INF, "x", EXTERNAL, lineage=["spam"]))
    tweaked("lineage that is no record's", "record plain", put(7, [sha(b"nothing")]), "lineage.unknown")
    tweaked("supersedes what is no record", "record plain", put(13, sha(b"nothing")), "lineage.order")
    added("a base size before its lineage", "lineage.order", lambda w: w.admit("x", INF, "x", EXTERNAL, lineage=["deep"], fields={6: 3}))
    added("supersedes what came after it was written", "lineage.order", lambda w: w.admit("x", USR, "x", USER, fields={6: 3, 13: w.id("deep")}))

    w = story()
    hidden = w.record("unborn", OBS, "Not yet.", EXTERNAL)
    w.admit("early", INF, "x", EXTERNAL, lineage=["unborn"])
    w.bring("ADMIT", "unborn2", OBS, "x", EXTERNAL)
    w.event("ADMIT", {20: hidden, 21: OBS, 22: EXTERNAL})
    w.row(hidden, "ADMITTED")
    w.decoded[hidden][6] = 0
    expect("lineage that comes later", report(w.files()), "lineage.order")


def check_anchors():
    tweaked("an anchor of integrity USER", "record a1", label(integrity=USER), "anchor.label")
    tweaked("an anchor with other sources", "record a1", label(sources=[source("x", "y", "z")]), "anchor.sources")
    tweaked("an anchor with the source of one approver", "record a1", lambda f: f[5][2].pop(), "anchor.sources")
    tweaked("an anchor of any source", "record a1", label(sources=0), "anchor.sources")
    tweaked("an anchor with one more in its lineage", "record a1", lambda f: f.__setitem__(7, sorted(f[7] + [story().id("web")])), "anchor.lineage")
    tweaked("an anchor without lineage", "record a3", put(7, []), "anchor.lineage", first=True)
    tweaked("an anchor with another text", "record a1", put(8, sha(b"another text")), "anchor.copy", first=True)
    tweaked("an anchor with another embedding", "record a1", put(9, {1: "ngram-1", 2: 8, 3: sha(b"other")}), "anchor.copy")
    tweaked("an anchor without embedding", "record a1", drop(9), "anchor.copy")
    tweaked("an anchor with other readers", "record a1", label(readers=["anna"]), "anchor.copy")
    tweaked("an anchor with another confidence", "record a1", put(11, 99), "anchor.copy")
    tweaked("an anchor that supersedes", "record a1", lambda f: f.__setitem__(13, f[7][0]), "anchor.copy")
    tweaked("an anchor of another influence", "record a1", put(10, 5), "statement.field")
    tweaked("an anchor valid for longer", "record a2", put(12, 1_900_000_000_000), "record.event")
    tweaked("an anchor valid for ever", "record a2", drop(12), "record.event")
    tweaked("an anchor written in the future", "record a1", put(6, 1000), "record.base-size")
    tweaked("an anchor of another agent", "record a1", put(3, "somebody"), "record.agent")


def check_status():
    """Every transition that the table does not have, and what else a change of status needs."""
    allowed = {
        "COMPILE": {"ENDORSED", "COMPILED", "ACTIVE"}, "ACTIVATE": {"COMPILED", "ACTIVE"}, "SUSPEND": set(LIVE), "RELEASE": {"SUSPENDED"},
        "SUPERSEDE": {"ENDORSED", "COMPILED", "ACTIVE"}, "REVOKE": set(STATUSES[1:8]), "EXPIRE": {*LIVE, "SUSPENDED"},
        "ERASE": set(STATUSES[1:]) - {"ACTIVE"}, "ENDORSE": {"PROPOSED"}}

    def in_status(w, status):
        """Brings an anchor-to-be "x" into a status, by allowed steps alone."""
        if status == "ADMITTED":
            return w.admit("x", USR, "x", USER)
        w.propose("x0", "x", USER, fields={12: w.time + 10_000})
        if status == "PROPOSED":
            w.ids["x"] = w.ids["x0"]
            return None
        w.endorse("x0", "x", ["ap1", "ap2"], valid_until=w.time + 10_000)
        order = {"ENDORSED": 0, "COMPILED": 1, "ACTIVE": 2, "SUSPENDED": 1, "SUPERSEDED": 1, "REVOKED": 1, "EXPIRED": 1}
        if order[status] >= 1:
            w.compile("x")
        if order[status] >= 2:
            w.activate("x")
        if status == "SUSPENDED":
            w.suspend("x")
        elif status == "SUPERSEDED":
            w.propose("y0", "y", USER)
            w.endorse("y0", "y", ["ap1", "ap2"])
            w.supersede("x", "y", ["ap1", "ap2"])
        elif status == "REVOKED":
            w.revoke("x")
        elif status == "EXPIRED":
            w.time += 20_000
            w.expire("x")
        return None

    def act(w, event):
        if event == "EXPIRE":
            w.time += 20_000
        if event == "SUPERSEDE":
            w.propose("next0", "next", USER)
            w.endorse("next0", "next", ["ap1", "ap2"])
        {"COMPILE": lambda: w.compile("x"), "ACTIVATE": lambda: w.activate("x"), "SUSPEND": lambda: w.suspend("x"),
         "RELEASE": lambda: w.release("x", ["ap1", "ap2"]), "SUPERSEDE": lambda: w.supersede("x", "next", ["ap1", "ap2"]), "REVOKE": lambda: w.revoke("x"),
         "EXPIRE": lambda: w.expire("x"), "ERASE": lambda: w.erase("x"), "ENDORSE": lambda: w.endorse("x", "z", ["ap1", "ap2"], influence=3)}[event]()

    for event, good in allowed.items():
        for status in STATUSES[1:]:
            w = story()
            in_status(w, status)
            if w.rows[w.id("x")]["status"] != status:
                faults.append(f"the test does not bring a record to {status}")
            act(w, event)
            result = report(w.files())
            name = f"{event} of what is {status}"
            if status in good and not (event == "EXPIRE" and status == "ADMITTED"):
                if not result["sound"]:
                    faults.append(f"{name}: {result['faults'][:2]}")
            else:
                expect(name, result, "status.expire" if status in good else "status.transition",
                       first=True, record=w.id("x").hex())
    for event, good in allowed.items():
        w = story()
        w.decoded = {**w.decoded}
        ghost = w.record("ghost", ANC, "Nobody brought me.", USER)
        w.rows[ghost] = {"brought": 0, "erased": False, "status": "ADMITTED", "before": None, "changed": 0}
        w.ids["x"] = ghost
        act(w, event)
        expect(f"{event} of what no event brought", report(w.files()), "status.unknown", first=True, record=ghost.hex())

    added("brought twice", "status.new", lambda w: w.event("ADMIT", {20: w.id("plain"), 21: OBS, 22: EXTERNAL}))
    added("proposed what was admitted", "status.new", lambda w: w.event("PROPOSE", {20: w.id("plain"), 21: OBS, 22: EXTERNAL}))
    added("an anchor brought twice", "status.new", lambda w: w.propose("c9", "x", USER), lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
          lambda w: w.propose("c8", "x", USER), lambda w: w.tweaks.update({"a8": put(25, w.id("a9")), "raw record a8": lambda raw: raw.__setitem__(0, w.records[w.id("a9")])}),
          lambda w: w.endorse("c8", "a8", ["ap1", "ap2"]), first=True)
    added("admitted an anchor", "status.kind", lambda w: w.admit("c9", ANC, "x", USER))
    added("quarantined an anchor", "status.kind", lambda w: w.quarantine("c9", ANC, "x", USER))
    added("proposed an observation", "status.kind", lambda w: w.bring("PROPOSE", "c9", OBS, "x", EXTERNAL))
    added("proposed what is HOSTILE", "status.hostile", lambda w: w.propose("c9", "x", HOSTILE))
    added("admitted what descends from REVOKED", "status.fallen", lambda w: w.admit("c9", INF, "x", EXTERNAL, lineage=["bad"]))
    added("admitted what descends from it by two", "status.fallen", lambda w: w.admit("c9", INF, "x", EXTERNAL, lineage=["child"]))
    added("admitted what descends from it by an anchor", "status.fallen", lambda w: w.admit("c9", INF, "x", EXTERNAL, lineage=["a3"]))
    added("proposed what descends from REVOKED", "status.fallen", lambda w: w.propose("c9", "x", EXTERNAL, lineage=["bad"]))
    added("released what descends from REVOKED", "status.ancestor", lambda w: w.release("child", ["ap1", "ap2"]))
    added("released what descends from SUSPENDED", "status.ancestor", lambda w: w.release("deep child", ["ap1", "ap2"]))
    added("endorsed what descends from SUSPENDED", "status.ancestor", lambda w: w.propose("c9", "x", EXTERNAL, lineage=["deep"]),
          lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]))
    for what in (lambda w: w.compile("a9"), lambda w: w.activate("a9")):
        added("raised what descends from SUSPENDED", "status.ancestor", lambda w: w.admit("src", USR, "x", USER), lambda w: w.propose("c9", "x", USER, lineage=["src"]),
              lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]), lambda w: w.compile("a9"), lambda w: w.suspend("src"), what)

    def short_lived(w):
        w.propose("c9", "x", USER)
        w.endorse("c9", "a9", ["ap1", "ap2"], valid_until=w.time + 1000)
        w.compile("a9")
    later = lambda w: setattr(w, "time", w.time + 5000)
    added("compiled what has expired", "status.valid-until", short_lived, later, lambda w: w.compile("a9"))
    added("activated what has expired", "status.valid-until", short_lived, later, lambda w: w.activate("a9"))
    added("released what has expired", "status.valid-until", short_lived, lambda w: w.suspend("a9"), later, lambda w: w.release("a9", ["ap1", "ap2"]))
    added("endorsed until yesterday", "status.valid-until", lambda w: w.propose("c9", "x", USER), lambda w: w.endorse("c9", "a9", ["ap1", "ap2"], valid_until=5))
    added("endorsed what has expired", "status.valid-until", lambda w: w.propose("c9", "x", USER, fields={12: w.time + 10}), later, lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]))
    added("expired too early", "status.expire", short_lived, lambda w: w.expire("a9"))
    added("expired what is valid for ever", "status.expire", lambda w: w.expire("user"))
    added("erased twice", "status.transition", lambda w: w.erase("plain"), lambda w: w.erase("plain"))
    added("pinned without permission", "status.influence", lambda w: w.propose("c9", "x", USER), lambda w: w.endorse("c9", "a9", ["ap1", "ap2"], influence=3), lambda w: w.compile("a9"))
    added("more tokens than the policy has", "status.tokens", short_lived, lambda w: w.compile("a9", tokens=1000), lambda w: w.activate("a9"))
    added("another anchor set", "anchor.set", short_lived, lambda w: w.activate("a9", digest_of=[w.id("a2")]))
    added("an anchor set in another order", "anchor.set", short_lived, lambda w: w.activate("a9", "a2", digest_of=[w.id("a2"), w.id("a9")]))
    added("a successor that is no anchor", "status.successor", lambda w: w.supersede("a2", "user", ["ap1", "ap2"]))
    added("a successor that is revoked", "status.successor", lambda w: w.supersede("a2", "a3", ["ap1", "ap2"]))
    added("superseded by itself", "status.successor", lambda w: w.supersede("a2", "a2", ["ap1", "ap2"]))
    added("a successor of another", "status.successor", short_lived, lambda w: w.supersede("a9", "a2", ["ap1", "ap2"]))
    added("a cause that is no record", "status.cause", lambda w: w.suspend("user", sha(b"nothing")))
    added("a cause that it does not descend from", "status.cause", lambda w: w.suspend("user", w.id("bad")))
    added("a cause that is live", "status.cause", lambda w: w.admit("kid", INF, "x", USER, lineage=["user"]), lambda w: w.suspend("kid", w.id("user")))
    added("a descendant that stays", "status.cascade", lambda w: w.revoke("deep"), lambda w: w.admit("p", OBS, "x", EXTERNAL),
          lambda w: w.admit("k", INF, "x", EXTERNAL, lineage=["p"]), lambda w: w.revoke("p", leave_out=["k"]))
    added("a descendant that falls late", "status.cascade", lambda w: w.admit("p", OBS, "x", EXTERNAL), lambda w: w.admit("k", INF, "x", EXTERNAL, lineage=["p"]),
          lambda w: w.revoke("p", cascade=False), lambda w: w.state("s"), lambda w: w.suspend("k", w.id("p")))
    added("a descendant that falls of itself", "status.cascade", lambda w: w.admit("p", OBS, "x", EXTERNAL), lambda w: w.admit("k", INF, "x", EXTERNAL, lineage=["p"]),
          lambda w: w.revoke("p", cascade=False), lambda w: w.suspend("k", "rule"))
    added("one of three descendants that stays", "status.cascade", lambda w: w.admit("p", OBS, "x", EXTERNAL), lambda w: w.admit("k1", INF, "x", EXTERNAL, lineage=["p"]),
          lambda w: w.admit("k2", INF, "x", EXTERNAL, lineage=["k1"]), lambda w: w.admit("k3", INF, "x", EXTERNAL, lineage=["k2", "p"]),
          lambda w: w.revoke("p", leave_out=["k2"]))


def check_others():
    """Receipts, commits, rollbacks, the override's commands, STATE."""
    added("a receipt of another principal's record", "receipt.scope", lambda w: w.receipt(["user"], [1], principal="guest"))
    added("a receipt out of order", "receipt.order", lambda w: w.receipt(["user", "a2"], [1, 2]))
    added("a receipt with ids out of order", "receipt.order", lambda w: w.receipt(sorted([w.id("user"), w.id("a2")], reverse=True), [5, 5]))
    added("a receipt with a record twice", "receipt.order", lambda w: w.receipt(["user", "user"], [5, 5]))
    for name in ("note", "bad", "a1", "brief"):
        added(f"a receipt of {name}, which is not live", "receipt.status", lambda w, name=name: w.receipt([name], [1]))
    added("a receipt of nothing", "status.unknown", lambda w: w.receipt([sha(b"nothing")], [1]))
    tweaked("a boundary that ends before it begins", "COMMIT", put(43, 33), "event.range")
    tweaked("a rollback into the future", "ROLLBACK", put(44, 64), "event.range")
    tweaked("a rollback of nothing", "ROLLBACK", put(34, [sha(b"nothing")]), "status.unknown")
    for name, value in (("cmd", "OBEY"), ("target", ""), ("target", "agent"), ("target", "instance=7"), ("counter", "-1"), ("counter", 0), ("counter", 1 << 40),
                        ("nonce", "00"), ("prev", "00"), ("not_before", "soon"), ("not_after", 1_700_000_901), ("not_after", 1_700_000_000), ("reason", "because")):
        added(f"a command with {name} {value}", "override.form", lambda w, name=name, value=value: w.command(**{"cmd": "HALT", "counter": 3, name: value}))
    for cmd, arguments in (("REVOKE", {}), ("REVOKE", {"record": "*"}), ("REVOKE", {"record": bytes(16).hex()}), ("REVOKE", {"source": bytes(16).hex()}), ("SUSPEND_SOURCE", {}),
                           ("SUSPEND_SOURCE", {"source": bytes(32).hex()}), ("HALT", {"record": bytes(32).hex()}), ("ROTATE_KEY", {"old": Key("stranger").vkey}),
                           ("ROTATE_KEY", {"old": "x", "key": Key("stranger").vkey}), ("ROTATE_KEY", {"key": Key("root1").vkey, "old": Key("stranger").vkey}),
                           ("RESTORE", {"source": "x"}), ("RESTORE", {"more": "x"})):
        added(f"{cmd} with {arguments}", "override.form", lambda w, cmd=cmd, arguments=arguments: w.command(cmd, 3, arguments=arguments))
    w = story()
    for number, (cmd, target, arguments) in enumerate([("NO_ANCHORS", f"agent={AGENT}", {}), ("FREEZE_WRITES", "instance=" + bytes(16).hex(), {}), ("CLEAN_BOOT", "*", {}),
                                                       ("SUSPEND_SOURCE", "*", {"source": bytes(16).hex()}), ("RESTORE", "*", {}), ("RESTORE", "*", {"source": bytes(16).hex()}),
                                                       ("ROTATE_KEY", "*", {"old": Key("root1").vkey, "key": Key("stranger").vkey})]):
        w.command(cmd, 10 + number, target=target, arguments=arguments)
    if not (result := report(w.files()))["sound"]:
        faults.append(f"commands in their form are refused: {result['faults'][:3]}")
    added("a command without signature", "override.form", lambda w: w.event("OVERRIDE", {31: "fieldprint/override/v1\ncmd=HALT\n"}))
    added("a command for another agent", "override.agent", lambda w: w.command("HALT", 3, target="agent=somebody"))
    added("a command come again", "override.counter", lambda w: w.command("HALT", 2))
    added("an older command", "override.counter", lambda w: w.command("HALT", 1))
    added("revoked by a command that is nowhere", "override.unknown", lambda w: w.revoke("user", command=w.signed("fieldprint/override/v1\ncmd=REVOKE\n", ["op1"], "x")), first=True)
    added("revoked by the command to revoke another", "override.target", lambda w: w.revoke("user", command=w.command("REVOKE", 3, arguments={"record": w.id("other").hex()})))
    added("revoked by the command to halt", "override.target", lambda w: w.revoke("user", command=w.command("HALT", 3)))
    tweaked("another root of the registry", "STATE 2", put(48, sha(b"other")), "state.root")
    tweaked("another number of rows", "STATE 2", put(49, 3), "state.rows")
    for field, value in {"status": "ADMITTED", "changed": 3, "brought": 2, "erased": True}.items():
        w = story()
        w.rows[w.id("a2")] = {**w.rows[w.id("a2")], field: value}
        w.state("STATE 3")
        expect(f"STATE of a registry with another {field}", report(w.files()), "state.root")


def check_files():
    w = story()
    files = w.files()
    bundle, tile = f"tile/entries/000.p/{len(w.leaves)}", f"tile/0/000.p/{len(w.leaves)}"
    for path in files:
        if path != "payloads":
            expect(f"no {path}", report({k: v for k, v in files.items() if k != path}), "export.missing", first=True, file=path)

            def link(directory, path=path):
                full = os.path.join(directory, path)
                os.rename(full, full + ".real")
                os.symlink(full + ".real", full)
            expect(f"{path} is a link", report(files, prepare=link), "export.link", first=True, file=path)

            def fifo(directory, path=path):
                os.remove(os.path.join(directory, path))
                os.mkfifo(os.path.join(directory, path))
            expect(f"{path} is a FIFO", report(files, prepare=fifo), "export.link", first=True, file=path)
        for name, data in (("one byte less", files[path][:-1]), ("one byte more", files[path] + b"x"), ("nothing in it", b"")):
            result = report({**files, path: data})
            if result["sound"] or result["sound"] is None:
                if not (path == "payloads" and not data):
                    faults.append(f"{path} with {name} is not refused: {result}")

    def folder_link(directory):
        os.rename(os.path.join(directory, "tile"), os.path.join(directory, "real"))
        os.symlink("real", os.path.join(directory, "tile"))
    expect("a folder is a link", report(files, prepare=folder_link), "export.link", first=True)
    for path in ("notes.txt", "tile/0/001", "tile/0/x000/000", "tile/1/000", "tile/1/000.p/1", "tile/entries/001", "tile/0/00", "tile/9/000",
                 "tile/0/000", "tile/entries/000.p/0", f"tile/entries/000.p/{len(w.leaves) + 1}", "tile/0/000.p/007", "records.bak", "tile/00/000"):
        expect(f"a stray {path}", report({**files, path: b"x"}), "export.stray", file=path)
    expect("a left tile that is another", report({**files, "tile/0/000.p/7": bytes(32 * 7)}), "tile.hash")
    expect("a left tile that is short", report({**files, "tile/0/000.p/7": files[tile][:32 * 6]}), "tile.hash")
    expect("a left bundle that is another", report({**files, "tile/entries/000.p/2": b"\0\1a\0\1b"}), "tile.hash")

    def nest(directory):
        os.makedirs(os.path.join(directory, "/".join(["d"] * 40)))
    expect("folders in folders", report(files, prepare=nest), "export.read")

    expect("a tile with another hash", report({**files, tile: files[tile][:32] + sha(b"x") + files[tile][64:]}), "tile.hash", event=1, file=tile)
    expect("a short tile", report({**files, tile: files[tile][:-32]}), "tile.size")
    for name, data in {"a count too many": files[bundle] + b"\0\0", "a length too large": files[bundle][:-1], "an entry too few": files[bundle][:-2 - len(w.leaves[-1])]}.items():
        expect(f"a bundle with {name}", report({**files, bundle: data}), "bundle.form", first=True, file=bundle)
    swapped = list(w.leaves)
    swapped[1], swapped[2] = swapped[2], swapped[1]
    result = report({**files, **tiles(swapped)})
    if "tree.root" not in rules(result):
        faults.append(f"two events swapped, and their tile: {rules(result)}")
    result = report({**files, bundle: tiles(swapped)[bundle]})
    if not {"tree.root", "tile.hash"} <= set(rules(result)):
        faults.append(f"two events swapped: {rules(result)}")

    root = base64.b64encode(root_of(w.hashes)).decode()
    size = len(w.leaves)

    def checkpoint(text, keys=None):
        return {**files, "checkpoint": note(text, keys if keys is not None else [w.log, w.witness]).encode()}
    body = f"{ORIGIN}\n{size}\n{root}\n"
    for name, text in {"a leading zero": f"{ORIGIN}\n0{size}\n{root}\n", "no size": f"{ORIGIN}\nmany\n{root}\n", "a short root": f"{ORIGIN}\n{size}\nAAAA\n",
                       "an extension": body + "more\n", "an empty origin": f"\n{size}\n{root}\n", "a size of 2^63": f"{ORIGIN}\n{1 << 63}\n{root}\n",
                       "unused bits": body.replace(root, root[:-2] + chr(ord(root[-2]) ^ 1) + "=") if root[-2] not in "9zZ/" else body.replace(root, "x")}.items():
        expect(f"a checkpoint with {name}", report(checkpoint(text)), "checkpoint.form")
    expect("a checkpoint of another root", report(checkpoint(body.replace(root, base64.b64encode(sha(b"x")).decode()))), "tree.root")
    expect("a checkpoint of another log", report(checkpoint(body.replace(ORIGIN, "example.org/other"))), "checkpoint.origin", first=True)
    expect("a checkpoint signed by nobody known", report(checkpoint(body, [Key("stranger"), w.witness])), "checkpoint.signature")
    expect("a checkpoint without a witness", report(checkpoint(body, [w.log])), "checkpoint.witnesses")
    expect("a checkpoint with a witness that is not the ledger's", report(checkpoint(body, [w.log, Key("w", 4)])), "checkpoint.witnesses")
    forged = Key(ORIGIN)
    forged.private = Key("stranger").private
    expect("a checkpoint with a forged signature", report(checkpoint(body, [forged, w.witness])), "checkpoint.signature")
    forged = Key("witness.example/w1", 4)
    forged.private = Key("stranger").private
    expect("a checkpoint with a forged cosignature", report(checkpoint(body, [w.log, forged])), "checkpoint.signature", first=True)
    for huge in (size + 1, 256, 1 << 20, (1 << 63) - 1):
        result = report(checkpoint(f"{ORIGIN}\n{huge}\n{root}\n"))
        if result["faults"][0]["rule"] != "export.missing" or len(result["faults"]) > 100:
            faults.append(f"a checkpoint of {huge} events: {rules(result)[:3]}")
    result = report(checkpoint(f"{ORIGIN}\n{size - 1}\n{root_of(w.hashes[:size - 1]).hex()}\n"))
    if result["sound"]:
        faults.append("a checkpoint of one event less passes")
    expect("a checkpoint of a megabyte", report({**files, "checkpoint": files["checkpoint"] * 3000}), "export.size")
    expect("a log.vkey that is none", report({**files, "log.vkey": b"hello\n"}), "key.form")
    expect("a log.vkey without newline", report({**files, "log.vkey": w.log.vkey.encode()}), "key.form")
    impostor = Writer()
    impostor.log = Key(ORIGIN + "x")
    other = Key("stranger")
    other.name, other.id = ORIGIN, sha(ORIGIN.encode(), b"\n\x01", other.public)[:4]
    other.vkey = f"{ORIGIN}+{other.id.hex()}+{base64.b64encode(ED25519 + other.public).decode()}"
    expect("an export signed by a key that the ledger does not name",
           report({**checkpoint(body, [other, w.witness]), "log.vkey": (other.vkey + "\n").encode()}), "key.log")

    def records(*items):
        return {**files, "records": b"".join(struct.pack("<I", len(raw)) + raw for raw in items)}
    raws = [raw for _, raw in sorted(w.records.items())]
    expect("records out of order", report(records(*reversed(raws))), "records.order")
    expect("a record twice", report(records(raws[0], *raws)), "records.order")
    missing = sorted(w.records)[3]
    result = report(records(*[raw for identity, raw in sorted(w.records.items()) if identity != w.id("plain")]))
    expect("a record missing", result, "record.missing", first=True, record=w.id("plain").hex())
    stray = Writer()
    stray.record("stray", OBS, "x", EXTERNAL)
    expect("a record that no event brought", report(records(*[raw for _, raw in sorted({**w.records, **stray.records}.items())])), "record.stray")
    for name, data in {"a length of nothing": bytes(4), "a length too large": struct.pack("<I", 1 << 31), "half a length": b"\0\0"}.items():
        expect(f"records with {name}", report({**files, "records": files["records"] + data}), "records.form")
    changed = bytearray(files["records"])
    changed[100] ^= 1
    if report({**files, "records": bytes(changed)})["sound"]:
        faults.append("a changed record passes")

    def payloads(change):
        copy = {identity: list(entry) for identity, entry in w.payloads.items()}
        change(copy)
        return {**files, "payloads": b"".join(identity + salt + struct.pack("<I", len(data)) + data for identity, (salt, data) in sorted(copy.items()))}
    one = w.id("plain")
    text = cbor({1: "A page.", 2: "cli", 3: "", 4: ""})
    expect("another text", report(payloads(lambda p: p[one].__setitem__(1, cbor({1: "B", 2: "cli", 3: "", 4: ""})))), "payload.commitment", record=one.hex())
    expect("another salt", report(payloads(lambda p: p[one].__setitem__(0, bytes(32)))), "payload.commitment")
    expect("a payload of no record", report(payloads(lambda p: p.update({sha(b"x"): p[one]}))), "payload.unknown")
    expect("an erased payload", report(payloads(lambda p: p.update({w.id("tmp"): [sha(b"salt", b"tmp"), cbor({1: "Buy milk.", 2: "cli", 3: "", 4: ""})]}))), "payload.erased")
    expect("payloads out of order", report({**files, "payloads": b"".join(identity + salt + struct.pack("<I", len(data)) + data for identity, (salt, data) in sorted(w.payloads.items(), reverse=True))}), "payloads.order")
    expect("half a payload", report({**files, "payloads": files["payloads"][:-1]}), "payloads.form")
    for name, data in {"no map": cbor([1]), "a field less": cbor({1: "x", 2: "cli", 3: ""}), "a field more": cbor({1: "x", 2: "", 3: "", 4: "", 5: ""}),
                       "bytes for text": cbor({1: b"x", 2: "", 3: "", 4: ""}), "a byte behind": text + b"\0"}.items():
        v = story({"record plain": put(8, digest("payload", sha(b"salt", b"plain") + data))})
        v.payloads[v.id("plain")][1] = data
        expect(f"a payload with {name}", report(v.files()), "payload.form")


def check_commits():
    tokens = struct.pack("<3I", 1, 2, 300)
    w = story({"COMMIT": put(39, digest("tokens", tokens))})
    index = w.kinds.index("COMMIT")

    def commits(*entries):
        return {**w.files(), "commits": b"".join(struct.pack("<QI", at, len(data)) + data for at, data in entries)}
    good = cbor({1: tokens, 2: [[1, "source", 0]], 10: 1})
    result = report(commits((index, good)))
    if not result["sound"] or result["counts"]["commits"] != 1:
        faults.append(f"commits that are right are refused: {result['faults'][:3]}")
    expect("other token ids", report(commits((index, cbor({1: tokens[4:]})))), "commit.tokens", event=index)
    for name, data in {"three bytes": cbor({1: b"123"}), "no token ids": cbor({2: tokens}), "an empty map": cbor({}), "an array": cbor([1, tokens]),
                       "a byte behind": good + b"\0", "no bytes": b""}.items():
        expect(f"a commit of {name}", report(commits((index, data))), "commit.form")
    expect("a commit of another event", report(commits((index + 1, good))), "commit.unknown", event=index + 1)
    expect("a commit of no event", report(commits((1 << 40, good))), "commit.unknown")
    expect("a commit twice", report(commits((index, good), (index, good))), "commits.order")
    for name, data in {"half a head": bytes(11), "a length too large": struct.pack("<QI", index, 1 << 30), "a length beyond": struct.pack("<QI", index, 1)}.items():
        expect(f"commits with {name}", report({**w.files(), "commits": data}), "commits.form")


def check_options():
    w = story()
    files = w.files()
    with tempfile.TemporaryDirectory() as directory:
        export = os.path.join(directory, "export")
        write(files, export)

        def kept(name, text):
            path = os.path.join(directory, name)
            with open(path, "w") as file:
                file.write(text)
            return path

        def check(name, rule, *arguments, code=None, among=False):
            global refused
            done = run(*arguments, "--json")
            code = code if code is not None else 1 if rule else 0
            if done.returncode != code:
                faults.append(f"{name}: exit {done.returncode}, not {code}: {done.stdout[-300:]}{done.stderr}")
            elif rule:
                refused += 1
                found = rules(json.loads(done.stdout))
                if rule not in found or not among and set(found) != {rule}:
                    faults.append(f"{name}: expected {rule}: {found}")
        stranger, second = Key("stranger"), Key("witness.example/w2", 4)
        check("the right log key", None, export, "--log-key", w.log.vkey)
        check("another log key", "key.log", export, "--log-key", impostor_of(w).vkey, among=True)
        check("an older checkpoint of another ledger", "tree.consistency", export, "--older", kept("older", note(w.checkpoint(7).split("\n\n")[0].replace(ORIGIN, "example.org/other") + "\n", [w.log])), among=True)
        with open("/dev/full", "w") as full:
            if subprocess.run([PROGRAM, export], stdout=full, stderr=subprocess.DEVNULL).returncode != 2:
                faults.append("a report that cannot be written ends well")
        check("the right witness", None, export, "--witness", w.witness.vkey)
        check("no witness needed", None, export, "--min-witnesses", 0)
        check("one of two witnesses", None, export, "--witness", w.witness.vkey, "--witness", second.vkey, "--min-witnesses", 1)
        check("two of two witnesses", "checkpoint.witnesses", export, "--witness", w.witness.vkey, "--witness", second.vkey)
        check("another witness", "checkpoint.witnesses", export, "--witness", second.vkey)
        check("two witnesses needed", "checkpoint.witnesses", export, "--min-witnesses", 2)
        for text in ("", "x", w.log.vkey + "x", w.log.vkey.replace("+", "-"), w.log.vkey[:-4]):
            check(f"a log key {text!r}", None, export, f"--log-key={text or ' '}", code=2)
        check("a witness that is none", None, export, "--witness", w.log.vkey, code=2)
        check("a directory that is not there", None, os.path.join(directory, "nowhere"), code=2)
        check("nothing", None, code=2)
        check("a flag that there is not", None, export, "--trust-me", code=2)
        check("an older checkpoint that is not there", None, export, "--older", os.path.join(directory, "nowhere"), code=2)
        other = Writer()
        check("a proof without key or directory", None, "--proof", kept("p", w.proof(0)), code=2)

        for size in (0, 1, 2, 7, 32, len(w.leaves) - 1, len(w.leaves)):
            check(f"a checkpoint kept at {size}", None, export, "--older", kept("older", w.checkpoint(size)))
            if size:
                check(f"another history at {size}", "tree.consistency", export, "--older", kept("older", w.checkpoint(size, root=sha(b"x"))))
        check("a checkpoint from later", "tree.consistency", export, "--older", kept("older", w.checkpoint(len(w.leaves) + 1, root=sha(b"x"))))
        check("a kept checkpoint that nobody signed", "checkpoint.signature", export, "--older", kept("older", w.checkpoint(7, signers=[stranger])))
        check("a kept checkpoint that is none", "note.form", export, "--older", kept("older", "hello"))
        other.origin, other.log = "example.org/other", Key("example.org/other")
        other.genesis()

        own, log = ["--log-key", w.log.vkey], w.log.vkey
        for index in (0, 1, 7, len(w.leaves) - 1):
            for size in {index + 1, len(w.leaves)}:
                check(f"the proof of {index} in {size}", None, "--proof", kept("proof", w.proof(index, size=size)), *own)
                check(f"the proof of {index} in {size}, with the export", None, export, "--proof", kept("proof", w.proof(index, size=size)))
        event = os.path.join(directory, "event")
        with open(event, "wb") as file:
            file.write(w.leaves[9])
        check("a proof with its event beside it", None, "--proof", kept("proof", w.proof(9, extra=False)), "--event", event, *own)
        odd = Writer()
        odd.genesis()
        odd.leaf(b"no event")
        check("a proof of what is no event", "cbor.canonical", "--proof", kept("proof", odd.proof(1)), *own)
        check("a proof of another event", "proof.inclusion", "--proof", kept("proof", w.proof(8)), "--event", event, *own)
        check("a proof without its event", "proof.event", "--proof", kept("proof", w.proof(9, extra=False)), *own)
        good = w.proof(9)
        lines = good.split("\n")
        for name, text, rule in (("another index", good.replace("\nindex 9", "\nindex 8"), "proof.inclusion"), ("an index beyond", good.replace("\nindex 9", "\nindex 900"), "proof.inclusion"),
                                 ("a hash less", "\n".join(lines[:3] + lines[4:]), "proof.inclusion"), ("a hash twice", "\n".join(lines[:4] + lines[3:]), "proof.inclusion"),
                                 ("a leading zero", good.replace("\nindex 9", "\nindex 09"), "proof.form"), ("no index", good.replace("\nindex 9", ""), "proof.form"),
                                 ("version 2", good.replace("@v1", "@v2", 1), "proof.form"), ("a short hash", good.replace(lines[3], "AAAA"), "proof.form"),
                                 ("no empty line", good.replace("\n\n", "\n"), "proof.form"), ("no checkpoint", good.split("\n\n")[0] + "\n\n", "note.form"),
                                 ("64 hashes more", "\n".join(lines[:3] + [lines[3]] * 64 + lines[3:]), "proof.form")):
            check(f"a proof with {name}", rule, "--proof", kept("proof", text), *own)
        check("a proof of another root", "tree.consistency", export, "--proof", kept("proof", other_root(w)))
        check("a proof without the witness asked for", "checkpoint.witnesses", "--proof", kept("proof", good), *own, "--witness", second.vkey)
        check("a proof under another key", "checkpoint.signature", "--proof", kept("proof", good), "--log-key", impostor_of(w).vkey)
        terminal = story({"ALARM": put(4, "principal:\u001b[2J")})
        write(terminal.files(), os.path.join(directory, "terminal"))
        done = run(os.path.join(directory, "terminal"))
        if done.returncode != 1 or "\x1b" in done.stdout or "\\x1b" not in done.stdout:
            faults.append(f"control characters reach the terminal: {done.stdout!r}")


def impostor_of(w):
    key = Key("stranger")
    key.name = w.origin
    key.id = sha(w.origin.encode(), b"\n\x01", key.public)[:4]
    key.vkey = f"{key.name}+{key.id.hex()}+{base64.b64encode(ED25519 + key.public).decode()}"
    return key


def other_root(w):
    """A proof of a fork: right in itself, signed, but of another history."""
    fork = story({"web": lambda fields: fields.__setitem__(3, fields[3] + 1)})
    return fork.proof(3, size=20)


def check_damage():
    """A hundredth of all single-bit flips of an export, and events and records damaged below a fitting tree."""
    damage = os.path.join(os.path.dirname(PROGRAM), "verify-damage")
    with tempfile.TemporaryDirectory() as directory:
        write(story().files(), directory)
        for what, number in (("flips", 100), ("mutants", 500)):
            done = subprocess.run([damage, directory, what, str(number)], capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                faults.append(f"damage, {what}: exit {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")


def check_rules():
    """docs/verify.md names every rule that the program knows, and no other; each has been broken above."""
    prefixes = "anchor|bundle|cbor|checkpoint|commits?|event|export|key|label|lineage|note|override|payloads?|policy|proof|receipt|records?|state|statement|status|tile|tree"
    known = set()
    for path in sorted((REPOSITORY / "verify").glob("*.cpp")):
        known |= set(re.findall(rf'"((?:{prefixes})\.(?!h")[a-z-]+)"', path.read_text()))
    table = (REPOSITORY / "docs/verify.md").read_text().split("## Rules")[1]
    documented = set(re.findall(rf"`((?:{prefixes})\.[a-z-]+)`", table))
    for rule in sorted(known ^ documented):
        faults.append(f"the rule {rule} is {'not in docs/verify.md' if rule in known else 'in docs/verify.md alone'}")
    for rule in sorted(known - seen):
        faults.append(f"no wrong export breaks the rule {rule}")


for check in (check_sound, check_forms, check_cbor, check_ledger, check_statements, check_records, check_anchors, check_status, check_others,
              check_files, check_commits, check_options, check_damage, check_rules):
    check()
print("\n".join(faults) if faults else f"verify: {refused} wrong exports refused, each by its rule")
sys.exit(1 if faults else 0)
