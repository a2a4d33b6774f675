"""Runs `fieldprint eval` for the scripts that test it, and gathers what is wrong."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CLI = os.environ.get("FIELDPRINT_CLI", str(ROOT / "build/release/fieldprint"))
faults = []


def check(truth, what):
    if not truth:
        faults.append(what)


def call(*arguments, code=0):
    done = subprocess.run([CLI, "eval", *map(str, arguments)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    check(done.returncode == code, f"eval {' '.join(map(str, arguments))}: ended with {done.returncode}\n{done.stderr[-800:]}")
    return done
