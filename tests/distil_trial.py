#!/usr/bin/env python3
"""Runs of `fieldprint distil` that are killed (SIGKILL) at 200 random moments, against a server that fails in every way.

Rounds of 1, 2 and 5 shards take turns; in each the shards run and are killed until all rows are there. After every kill:
rows that were on disk are still there, byte for byte, and none of them is asked for again. At the end of each round the
merged file has the hash that a run without any kill or fault gives.

    tests/distil_trial.py [--seed N]

$FIELDPRINT_CLI is the program; $FIELDPRINT_TRIALS the share of the 200 kills (1; a twentieth in `make test`).
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.faulty_teacher import FAULTS, FaultyTeacher  # noqa: E402

CLI = os.environ.get("FIELDPRINT_CLI", "build/release/fieldprint")
KILLS = max(3, round(200 * float(os.environ.get("FIELDPRINT_TRIALS", "1"))))
PROMPTS, SAMPLES = (60 if KILLS > 50 else 20), 3  # a round takes about one kill for each eight rows

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
chance = random.Random(parser.parse_args().seed)


def command(url, prompts, out, shard="1/1"):
    return [CLI, "distil", "run", str(prompts), "--teacher", url, "--out", str(out), "--n", str(SAMPLES), "--shard", shard,
            "--temp", "0.7", "--attempts", "8", "--backoff", "0.01", "--timeout", "0.3", "--breaker", "1000", "--quiet"]


def environment(folder):
    return {**{k: v for k, v in os.environ.items() if not k.startswith("FIELDPRINT_")}, "XDG_CONFIG_HOME": str(folder)}


def whole_lines(path):
    data = path.read_bytes() if path.exists() else b""
    return data[:data.rfind(b"\n") + 1]


def answered(out):
    """(prompt, seed) of each answer on disk."""
    found = []
    for path in out.glob("rows-*.jsonl"):
        for line in whole_lines(path).splitlines():
            row = json.loads(line)
            if "failure" not in row:
                found.append((row["messages"][-1]["content"], row["seed"]))
    return found


def merged_hash(out):
    merged = out / "merged.jsonl"
    told = json.loads(subprocess.run([CLI, "distil", "merge", str(out), "--out", str(merged), "--json"], check=True,
                                     capture_output=True, text=True, timeout=60).stdout)
    assert told["sha256"] == hashlib.sha256(merged.read_bytes()).hexdigest()
    assert told["rows"] == (PROMPTS + 2) * SAMPLES, told
    assert told["failed"] == 2 * SAMPLES, told
    return told["sha256"]


def one_round(folder, prompts, shards, kills_left, totals):
    out = folder / f"round-{totals['rounds']}"
    out.mkdir()
    with FaultyTeacher(kinds=FAULTS[:-1] * 3 + FAULTS[-1:], latency=0.004, slow=3) as teacher:
        todo = list(range(1, shards + 1))
        while todo:
            shard = chance.choice(todo)
            before = {path: whole_lines(path) for path in out.glob("rows-*.jsonl")}
            had = set(answered(out))
            asked_before = len(teacher.asked)
            process = subprocess.Popen(command(teacher.url, prompts, out, f"{shard}/{shards}"), env=environment(folder),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            killed = False
            if totals["kills"] < kills_left:
                time.sleep(chance.uniform(0.01, 0.35) * (1 if chance.random() < 0.8 else 0.2))
                killed = process.poll() is None
                process.send_signal(signal.SIGKILL)
            error = process.communicate(timeout=120)[1]
            if killed:
                totals["kills"] += 1
            else:
                assert process.returncode == 0, error
                todo.remove(shard)
            # A request that was on its way when the process died is none of the next run's.
            for path, lines in before.items():
                if not whole_lines(path).startswith(lines):
                    totals["lost"] += 1
            now = answered(out)
            totals["lost"] += len(had - set(now))
            totals["repeated"] += len(now) - len(set(now))
            totals["repeated"] += len(had & set(teacher.asked[asked_before:]))
            totals["torn"] += sum(not path.read_bytes().endswith(b"\n") for path in out.glob("rows-*.jsonl")
                                  if path.stat().st_size > 0)
            totals["requests"] += len(teacher.asked) - asked_before
    totals["rounds"] += 1
    return merged_hash(out)


def main():
    with tempfile.TemporaryDirectory(prefix="fieldprint-distil-") as name:
        folder = pathlib.Path(name)
        prompts = folder / "prompts.jsonl"
        texts = [f"Question {i}: what is {i} times {i + 3}?" for i in range(PROMPTS)] + ["POISON one", "POISON two"]
        prompts.write_text("".join(json.dumps({"prompt": text, "id": f"q{i}"}) + "\n" for i, text in enumerate(texts)))
        calm = folder / "calm"
        with FaultyTeacher(kinds=[], latency=0) as teacher:
            subprocess.run(command(teacher.url, prompts, calm), env=environment(folder), check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        wanted = merged_hash(calm)
        totals = dict(rounds=0, kills=0, lost=0, repeated=0, torn=0, requests=0)
        hashes = []
        while totals["kills"] < KILLS or len(hashes) < 3:
            hashes.append(one_round(folder, prompts, (1, 2, 5)[len(hashes) % 3], KILLS, totals))
        equal = sum(each == wanted for each in hashes)
        print(f"{totals['kills']} kills in {totals['rounds']} rounds of 1, 2 and 5 shards, {totals['requests']} requests: "
              f"rows lost {totals['lost']}, repeated {totals['repeated']}; {totals['torn']} kills left a torn line; "
              f"{equal} of {len(hashes)} merged hashes equal {wanted[:16]}")
        return 0 if totals["lost"] == totals["repeated"] == 0 and equal == len(hashes) else 1


if __name__ == "__main__":
    sys.exit(main())
