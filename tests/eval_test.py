#!/usr/bin/env python3
"""`fieldprint eval` as users run it, on a tiny model and questions of the test's own: its table, its files, several models,
a run that is killed and goes on to the same figures, and what it says about data that is not there."""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import tiny_gguf  # noqa: E402
from evaluating import CLI, call, check, faults  # noqa: E402

QUESTIONS = 150


def write_data(folder):
    rows = [{"goal": f"open box {i}", "sol1": "lift its lid " * (1 + i % 3), "sol2": f"wait {i} days", "label": i % 2} for i in range(QUESTIONS)]
    folder.mkdir()
    (folder / "piqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "boolq.json").write_text(json.dumps([{"question": "is it", "passage": f"It is {i}.", "label": i % 2 == 0} for i in range(4)]))


def killed_run(out, *arguments):
    """Kills the run once some questions are in the log, and not all."""
    process = subprocess.Popen([CLI, "eval", *map(str, arguments), "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = out / "items.jsonl"
    while process.poll() is None:
        if log.exists() and log.read_bytes().count(b"\n") > 10:
            process.send_signal(signal.SIGKILL)
            process.wait()
    lines = log.read_bytes().count(b"\n")
    check(10 < lines, f"the log of a killed run has {lines} lines")
    with log.open("ab") as file:  # what a kill in the middle of a write leaves
        file.write(b'{"key":"0123')


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model, other, adapter, data = (folder / each for each in ("a.gguf", "b.gguf", "adapter.gguf", "data"))
        tiny_gguf.write(str(model))
        tiny_gguf.write(str(other), seed=2)
        write_data(data)
        asked = (model, "--data", data, "--tasks", "piqa,boolq")

        whole = call(*asked, "--out", folder / "whole")
        check("|piqa |      1|none  |     0|acc     |↑  |" in whole.stdout, f"no table:\n{whole.stdout}")
        check("154 documents" in whole.stderr and "times as many" in whole.stderr, f"no cost:\n{whole.stderr}")
        samples = next((folder / "whole").glob("*/samples_piqa_*.jsonl")).read_text()
        check(samples.count("\n") == QUESTIONS, "not a sample a question")

        killed_run(folder / "killed", *asked)
        again = call(*asked, "--out", folder / "killed")
        check(again.stdout == whole.stdout, f"a killed run ends otherwise:\n{again.stdout}")
        check("from the log" in again.stderr, f"a killed run began anew:\n{again.stderr}")
        check(next((folder / "killed").glob("*/samples_piqa_*.jsonl")).read_text() == samples, "samples of a killed run differ")
        keys = [json.loads(line)["key"] for line in (folder / "killed/items.jsonl").read_text().splitlines() if line.endswith("}")]
        check(len(keys) == len(set(keys)) == QUESTIONS + 4, f"{len(keys)} lines, {len(set(keys))} questions")

        check(call(*asked, "--threads", "3", "--chunk", "9").stdout == whole.stdout, "threads and chunk change the scores")
        several = call(model, other, "--data", data, "--tasks", "piqa", "--limit", "20", "--quiet").stdout
        check("| model" in several and "against" in several and "mean |dLL|" in several, f"no comparison:\n{several}")
        results = json.loads(call(*asked, "--format", "json").stdout)
        check(results["n-samples"]["piqa"] == {"original": QUESTIONS, "effective": QUESTIONS}, "JSON has no numbers of documents")
        check(call(*asked, "--format", "mlx").stdout.startswith("Results:\n{\n    \""), "not as mlx_lm prints it")
        tiny_gguf.write_adapter(str(adapter))
        added = json.loads(call(f"{model}+{adapter}", "--data", data, "--tasks", "piqa", "--format", "json").stdout)
        check(added["fieldprint"]["fingerprint"] != results["fieldprint"]["fingerprint"], "the adapter was not added")

        listed = call("ls", "--data", data).stdout
        check("piqa.jsonl" in listed and "not found" in listed, f"ls:\n{listed}")
        missing = call(model, "--data", data, "--tasks", "winogrande", code=2).stderr
        check("winogrande.jsonl: the documents of winogrande are not there" in missing and "load_dataset(" in missing, missing)
        second = call(model, folder / "nosuch.gguf", "--data", data, "--tasks", "piqa", code=2)
        check("nosuch.gguf" in second.stderr and second.stdout == "", f"a missing second model: {second.stdout}{second.stderr}")
        second = call(model, f"{model}+{folder}/nosuch-adapter.gguf", "--data", data, "--tasks", "piqa", code=2)
        check("nosuch-adapter.gguf" in second.stderr and second.stdout == "", f"a missing adapter: {second.stderr}")
        check("no adapter is named" in call(f"{model}+", "--data", data, "--tasks", "piqa", code=2).stderr, "MODEL+")
        short = call(model, "--data", data, "--tasks", "piqa", "--limit", "3", "--context", "48").stdout
        check("longer than the context" in short, f"shortened requests are not told:\n{short}")
        check("did you mean" in call(model, "--task", "piqa", code=2).stderr, "a mistyped flag")


main()
for fault in faults:
    print(f"eval: {fault}", file=sys.stderr)
sys.exit(1 if faults else 0)
