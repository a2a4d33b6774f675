#!/usr/bin/env python3
"""The ledger's files against golang.org/x/mod/sumdb, an implementation of its own: random logs made here are checked
there (tests/sumdb), and logs made there here (src/ledger/sumdb_test.cpp).

1,000 logs each way times $FIELDPRINT_TRIALS (0.01), 24 at least. Skipped (77) without Go, or where the module is not in
Go's cache: `make test` fetches it.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent
build = pathlib.Path(os.environ.get("FIELDPRINT_BUILD", root / "build/release"))
tests = os.environ.get("FIELDPRINT_TESTS", str(build / "fieldprint_tests"))
count = max(24, int(1000 * float(os.environ.get("FIELDPRINT_TRIALS", "0.01"))))


def skip(why):
    print(why)
    sys.exit(77)


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        print(" ".join(command), done.stdout, done.stderr, sep="\n")
        sys.exit(1)
    return done.stdout


if not shutil.which("go"):
    skip("no Go here")
with tempfile.TemporaryDirectory(prefix="ledger-sumdb-") as folder:
    program = f"{folder}/sumdb"
    offline = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    built = subprocess.run(["go", "build", "-o", program, "."], cwd=root / "tests/sumdb", env=offline,
                           capture_output=True, text=True)
    if built.returncode != 0:
        if "GOPROXY=off" in built.stderr or "module lookup disabled" in built.stderr:
            skip("golang.org/x/mod is not in Go's cache: (cd tests/sumdb && go mod download)")
        sys.exit(built.stderr)
    ours, theirs = f"{folder}/ours", f"{folder}/theirs"
    settings = {**os.environ, "LEDGER_SUMDB_COUNT": str(count)}
    run([tests, "--gtest_also_run_disabled_tests", "--gtest_filter=LedgerSumdb.DISABLED_Writes"], env={**settings, "LEDGER_SUMDB_WRITE": ours})
    said = run([program, "check", ours]).strip()
    assert said.startswith(f"{count} logs, "), said
    print("ours, checked there:", said)
    run([program, "make", theirs, str(count), "1"])
    run([tests, "--gtest_also_run_disabled_tests", "--gtest_filter=LedgerSumdb.DISABLED_Reads"], env={**settings, "LEDGER_SUMDB_READ": theirs})
    print("theirs, checked here:", count, "logs")
    # Neither takes what is wrong.
    tile = next(pathlib.Path(ours).glob("*/tile/0/000*"))
    tile = next(tile.iterdir()) if tile.is_dir() else tile
    data = bytearray(tile.read_bytes())
    data[5] ^= 1
    tile.write_bytes(data)
    assert subprocess.run([program, "check", ours], capture_output=True).returncode != 0
