"""What the wrong exports of tests/verify/ are made and judged with."""

import json
import os
import pathlib
import subprocess
import tempfile

from memory_export import *

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.path.join(os.environ.get("FIELDPRINT_BUILD", str(REPOSITORY / "build/release")), "fieldprint-verify")
ED25519 = b"\x01"
faults, refused, seen = [], [], set()  # what went wrong; names of exports that were refused; rules that were broken


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
    refused.append(name)
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
        note["lines"][index] = note["lines"][index][: len(name) + 1] + str(value)

    return change


def signers(*names):
    return put("signers", list(names))


def added(name, rule, *steps, first=False):
    """The story with more events at its end, then the root of what the writer makes of them."""
    w = story()
    for step in steps:
        step(w)
    expect(name, report(w.files()), rule, first)
