#!/usr/bin/env python3
"""The examples of docs/server.md run against a server with the default model: curl, Python and JavaScript. All flags of
`serve` are named there."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support.serving import CLI, Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs/server.md").read_text()
MODEL = pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "fieldprint/models/SmolLM2-135M-Instruct.Q4_1.gguf"
faults, left_out = [], set()
ran = 0


def check_flags():
    page = subprocess.run([CLI, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    but_sampling = re.sub(r"(?ms)^(Sampling|More sampling)\b.*?^$", "", page)
    for flag in sorted(set(re.findall(r"(?m)^ {2,6}(?:-\w, )?(--[a-z-]+)", but_sampling))):
        if f"`{flag}`" not in TEXT:
            faults.append(f"docs/server.md does not name {flag}")


def run(language, command, port):
    global ran
    ran += 1
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, cwd=ROOT)
    wrong = done.returncode != 0 or '"error":{' in done.stdout or not (done.stdout or language == "python")
    if wrong:
        faults.append(f"docs/server.md, {language}: ended with {done.returncode}\n{command[-1]}\n{done.stdout[-500:]}\n{done.stderr[-1500:]}")


def importable(name):
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0


def run_examples(port):
    for language, block in re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.S):
        block = block.replace("localhost:8080", f"localhost:{port}")
        if language == "sh" and "curl" in block:
            if shutil.which("curl") is None:
                left_out.add("curl is not here")
                continue
            for command in re.findall(r"(?ms)^curl .*?(?=^curl |\Z)", block):
                run(language, ["bash", "-c", command], port)
        elif language == "python":
            package = re.search(r"^from (openai|anthropic) import", block, flags=re.M)
            if package and not importable(package.group(1)):
                left_out.add(f"Python's {package.group(1)} is not here")
                continue
            run(language, [sys.executable, "-c", block], port)
        elif language == "js":
            if shutil.which("node") is None:
                left_out.add("node is not here")
                continue
            run(language, ["node", "--input-type=module", "-e", block], port)


check_flags()
if MODEL.exists():
    with Server(MODEL, "--context", "2048") as server:
        run_examples(server.port)
    if ran < 8:
        faults.append(f"only {ran} examples were found")
else:
    left_out.add("the default model is not here: no example is run")
print("\n".join(faults) if faults else f"server docs: {ran} examples run" + "".join(f"; {each}" for each in sorted(left_out)))
sys.exit(1 if faults else 0)
