"""Flipped bits and mutants; the list of rules."""

import os
import re
import subprocess
import tempfile

from harness import *


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
