#!/usr/bin/env python3
"""fieldprint-verify against exports that tests/support/memory_export.py writes: a sound one passes, and of hundreds that a
dishonest writer made, each wrong in one thing and signed all the same, every one is refused with the rule it breaks. The
exports stand in tests/verify/, by what is wrong with them."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "verify")]
sys.dont_write_bytecode = True
try:
    import cryptography
except ImportError as error:
    print(f"verify: skipped, {error} (tools/setup test installs python3-cryptography)")
    sys.exit(77)

import damage
import files
import forms
import ledger
import options
import records
import sound
import statements
import status
from harness import faults, refused

for check in (
    sound.check_sound,
    forms.check_forms,
    forms.check_cbor,
    ledger.check_ledger,
    ledger.check_others,
    statements.check_statements,
    records.check_records,
    records.check_anchors,
    status.check_status,
    files.check_files,
    files.check_commits,
    options.check_options,
    damage.check_damage,
    damage.check_rules,
):
    check()
print("\n".join(faults) if faults else f"verify: {len(refused)} wrong exports refused, each by its rule")
sys.exit(1 if faults else 0)
