#!/usr/bin/env python3
"""The lines of docs/training.md that lead from a file to a better model, run as they stand; all flags of `train` that the
page names exist, and a training that is killed goes on to the same bits. Without the default model a tiny one is trained."""
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLI = os.environ.get("FIELDPRINT_CLI", str(ROOT / "build/release/fieldprint"))
TEXT = (ROOT / "docs/training.md").read_text()
MODEL = pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "fieldprint/models/SmolLM2-135M-Instruct.Q4_1.gguf"
faults = []


def call(*arguments, code=0, **rest):
    done = subprocess.run([CLI, *map(str, arguments)], capture_output=True, text=True, timeout=1200, stdin=subprocess.DEVNULL, cwd=ROOT, **rest)
    if done.returncode != code:
        faults.append(f"{shlex.join(map(str, arguments))}: ended with {done.returncode}, not {code}\n{done.stderr[-1500:]}")
    return done


def walk(folder):
    """The page's first block; what lies in build/ goes into a folder of its own."""
    lines = re.search(r"```sh\n(.*?)```", TEXT, flags=re.S).group(1).strip().splitlines()
    if len(lines) > 10:
        faults.append(f"{len(lines)} lines are more than ten")
    answers = []
    for line in lines:
        words = shlex.split(line.replace("build/", f"{folder}/"))
        if words[1] == "pull":
            continue
        done = call(*words[1:])
        if words[1] == "run":
            answers.append(done.stdout)
        if "--dry-run" in words and ("⟦" not in done.stdout or "memory:" not in done.stdout or "time:" not in done.stdout):
            faults.append(f"the dry run shows no mask, memory or time\n{done.stdout}")
    before, after, merged = answers
    wanted = {"name": "Ana", "age": 31, "city": "Lima", "job": "baker"}
    for name, answer in (("the adapter", after), ("the merged model", merged)):
        try:
            if set(json.loads(answer)) != set(wanted):
                faults.append(f"{name} answers otherwise: {answer}")
        except ValueError:
            faults.append(f"{name} does not answer in JSON: {answer}")
    if before.lstrip().startswith("{"):
        faults.append(f"the model answers in JSON before it has learned to: {before}")
    for file in ("adapter.gguf", "adapter_model.safetensors", "adapter_config.json", "log.csv", "log.jsonl", "loss.svg"):
        if not pathlib.Path(folder, "people", file).exists():
            faults.append(f"{file} was not written")


def kill_and_resume(folder):
    model, data = folder / "tiny.gguf", folder / "rows.jsonl"
    call("synth", "tiny-lfm2moe:Q8_0", model)
    data.write_text("".join(json.dumps({"text": f"row {i} says {i * i}"}) + "\n" for i in range(40)))
    flags = ["train", model, "--data", data, "--steps", "12", "--batch", "4", "--batch-tokens", "128", "--checkpoint-every", "2", "--lr", "1e-2", "--quiet"]
    call(*flags, "--out", folder / "whole")
    whole = (folder / "whole/adapter.gguf").read_bytes()
    for name, how in (("killed", signal.SIGKILL), ("stopped", signal.SIGINT)):
        out = folder / name
        process = subprocess.Popen([CLI, *map(str, flags), "--out", str(out)], stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not list(out.glob("checkpoints/step-*")):
            time.sleep(0.01)
        process.send_signal(how)
        said = process.communicate()[1]
        if process.returncode == 130 and "--resume" not in said:
            faults.append(f"Ctrl-C does not say how to go on: {said}")
        call(*flags, "--out", out, "--resume", "--threads", "1")
        if (out / "adapter.gguf").read_bytes() != whole:
            faults.append(f"{name} and resumed, the adapter is another")


def check_flags():
    known = set(re.findall(r"--[a-z-]+", call("train", "--help").stdout))
    for flag in sorted(set(re.findall(r"`(--[a-z-]+)", TEXT)) - {"--lora"}):
        if flag not in known:
            faults.append(f"train has no {flag}")


check_flags()
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    kill_and_resume(folder)
    if MODEL.exists():
        walk(folder)
print("\n".join(faults) if faults else "training docs: killed and resumed" + (", lines run" if MODEL.exists() else "; the default model is not here: no line is run"))
sys.exit(1 if faults else 0)
