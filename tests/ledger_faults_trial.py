#!/usr/bin/env python3
"""Faults of the system at every place where a ledger asks it for something.

A fixed workload (LedgerFaults.DISABLED_Workload of src/ledger/ledger_crash_test.cpp) runs under strace, which makes the n-th call
of one kind in one thread fail with EIO or ENOSPC, or kills the process there. Then LedgerFaults.DISABLED_Kept looks whether all
that the workload was promised is there, whether there was a fork, and whether the ledger goes on.

    tests/ledger_faults_trial.py [--tests PROGRAM]

$FIELDPRINT_TRIALS is the share of places that are tried (1; a hundredth in `make test`). Exit 77: no strace.
"""
import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

CALLS = ["write", "pwrite64", "fsync", "fdatasync", "rename", "link", "unlink", "openat", "ftruncate", "mkdir"]
FAULTS = ["error=EIO", "error=ENOSPC", "signal=KILL"]
THREADS = ["main", "ledger-commit", "ledger-sign"]

parser = argparse.ArgumentParser()
build = os.environ.get("FIELDPRINT_BUILD", "build/release")
parser.add_argument("--tests", default=f"{build}/fieldprint_tests")
tests = os.path.abspath(parser.parse_args().tests)
program = [tests, "--gtest_also_run_disabled_tests"]
share = float(os.environ.get("FIELDPRINT_TRIALS", "1"))


def environment(folder, **more):
    return {**os.environ, "LEDGER_DIR": str(folder / "ledger"), **more}


def workload(folder, thread, strace):
    """Runs it with `strace` (arguments) on one thread; returns what it reported."""
    out_read, out_write = os.pipe()
    go_read, go_write = os.pipe()

    def place():  # the report at 3, the go at 4
        a, b = os.dup(out_write), os.dup(go_read)
        os.dup2(a, 3), os.dup2(b, 4)

    command = [*program, "--gtest_filter=LedgerFaults.DISABLED_Workload"]
    if thread == "main":
        command = ["strace", *strace, *command]
    env = environment(folder, **({} if thread == "main" else {"LEDGER_WAIT": "1"}))
    with subprocess.Popen(command, env=env, preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        os.close(out_write), os.close(go_read)
        tracer = None
        report = b""
        if thread != "main":
            while b"\n" not in report:
                got = os.read(out_read, 65536)
                if not got:
                    break
                report += got
            found = re.search(rf"\b{thread}=(\d+)".encode(), report)
            if not found:
                raise SystemExit(f"the workload did not start: {report}")
            tracer = subprocess.Popen(["strace", *strace, "-p", found.group(1).decode()], stderr=subprocess.PIPE, text=True)
            tracer.stderr.readline()  # "Process N attached"
        os.write(go_write, b"g")
        os.close(go_write)
        while got := os.read(out_read, 65536):
            report += got
        os.close(out_read)
        process.wait()
        if tracer:
            tracer.communicate()
    return report.decode()


def count(folder, thread):
    """How often the workload makes each call in that thread, when nothing fails."""
    log = folder / "calls"
    report = workload(folder, thread, ["-o", str(log), "-e", "trace=" + ",".join(CALLS)])
    if "error" in report or "head" not in report:
        raise SystemExit(f"the workload does not work: {report}")
    return collections.Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(), re.M))


def kept(folder, report):
    promises = folder / "promises"
    promises.write_text(report)
    done = subprocess.run([*program, "--gtest_filter=LedgerFaults.DISABLED_Kept"], capture_output=True, text=True,
                          env=environment(folder, LEDGER_PROMISES=str(promises)))
    return "" if done.returncode == 0 else done.stdout + done.stderr


if not shutil.which("strace"):
    print("no strace here")
    sys.exit(77)
if not os.path.exists(tests):
    print(f"{tests} is not built")
    sys.exit(77)

places = []
with tempfile.TemporaryDirectory(prefix="ledger-faults-") as temporary:
    temporary = pathlib.Path(temporary)
    for thread in THREADS:
        folder = temporary / f"count-{thread}"
        folder.mkdir()
        calls = count(folder, thread)
        print(f"{thread}: " + ", ".join(f"{call} {calls[call]}" for call in CALLS if calls[call]), flush=True)
        places += [(thread, call, n, fault) for call in CALLS for n in range(1, calls[call] + 1) for fault in FAULTS]
    chosen = places
    if share < 1:
        chosen = random.Random(1).sample(places, max(10, int(len(places) * share)))
    stopped = failed = 0
    for i, (thread, call, n, fault) in enumerate(chosen):
        folder = temporary / str(i)
        folder.mkdir()
        report = workload(folder, thread, ["-o", "/dev/null", "-e", f"inject={call}:{fault}:when={n}"])
        stopped += "error" in report or report.count("ack") < 16
        wrong = kept(folder, report)
        if wrong:
            failed += 1
            print(f"{thread} {call} {n} {fault}:\n{report}\n{wrong}", flush=True)
        shutil.rmtree(folder)
        if (i + 1) % 200 == 0:
            print(f"{i + 1} of {len(chosen)}, {failed} failed", flush=True)
print(f"{len(chosen)} of {len(places)} places: {stopped} stopped the workload, {failed} left something wrong")
sys.exit(1 if failed else 0)
