#!/usr/bin/env python3
"""The tasks of `fieldprint eval` whose answers are written, and perplexity, as users run them: on a tiny model and rows of
the test's own, whatever the streams and threads, and going on where a run was cut."""
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import tiny_gguf  # noqa: E402
from evaluating import call, check, faults  # noqa: E402

TASKS = "gsm8k,ifeval,mmlu_pro_law,mmlu_pro_math,perplexity"


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_data(folder):
    folder.mkdir()
    sums = [{"question": f"{i} and {i}?", "answer": f"That is {2 * i}.\n#### {2 * i}"} for i in range(8)]
    write_rows(folder / "gsm8k_train.jsonl", sums)
    write_rows(folder / "gsm8k_test.jsonl", sums[:4])
    write_rows(folder / "ifeval.jsonl", [
        {"key": i, "prompt": f"Say {i}", "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
         "kwargs": [{}, {"num_words": 400, "relation": "less than"}]} for i in range(3)])
    letters = [{"question": f"Which {i}?", "options": ["x", "y", "z"], "answer": "ABC"[i % 3], "category": ("law", "math")[i % 2],
                "cot_content": "A: Let's think step by step. The answer is (A)."} for i in range(10)]
    write_rows(folder / "mmlu_pro_validation.jsonl", letters)
    write_rows(folder / "mmlu_pro_test.jsonl", letters[:4])
    (folder / "perplexity.txt").write_text("A text of a few words, and the end.\n" * 8)


def samples(out):
    files = {path.name.rsplit("_", 1)[0]: path.read_text().splitlines() for path in out.glob("*/samples_*.jsonl")}
    return {name: [json.loads(line) for line in lines] for name, lines in files.items()}


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model, data = folder / "tiny.gguf", folder / "data"
        tiny_gguf.write(str(model))
        write_data(data)
        asked = (model, "--data", data, "--tasks", TASKS, "--max-tokens", 12)

        whole = call(*asked, "--out", folder / "whole")
        for row in ("strict-match", "flexible-extract", "prompt_level_strict_acc", "inst_level_loose_acc", "custom-extract", "bits_per_byte"):
            check(row in whole.stdout, f"no {row} in the table:\n{whole.stdout}")
        check("ended at the limit" in whole.stdout + whole.stderr, "how many answers were cut stands nowhere")
        found = samples(folder / "whole")
        check({name: len(rows) for name, rows in found.items()} ==
              {"samples_gsm8k": 8, "samples_ifeval": 3, "samples_mmlu_pro_law": 2, "samples_mmlu_pro_math": 2, "samples_perplexity": 1},
              f"samples: {[(name, len(rows)) for name, rows in found.items()]}")
        first = found["samples_gsm8k"][0]["arguments"]["gen_args_0"]
        check(first["arg_0"].endswith("Question: 0 and 0?\nAnswer:") and first["arg_0"].count("#### ") == 5, f"asked: {first['arg_0']!r}")
        check(first["arg_1"]["until"] == ["Question:", "</s>", "<|im_end|>"], f"stops: {first['arg_1']}")

        for more in (("--streams", 1, "--threads", 1), ("--streams", 5, "--threads", 3)):
            again = call(*asked, *more, "--out", folder / ("more" + str(more[1])))
            check(again.stdout == whole.stdout and samples(folder / ("more" + str(more[1]))) == found, f"{more} change the answers")

        log = folder / "whole/items.jsonl"
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:7]) + lines[7][:20])
        again = call(*asked, "--out", folder / "whole")
        check(again.stdout == whole.stdout, f"a cut run ends otherwise:\n{again.stdout}")

        (data / "ifeval.jsonl").write_text('{"key": 1, "prompt": "x", "instruction_id_list": ["keywords:rhyme"], "kwargs": [{}]}\n')
        refused = call(model, "--data", data, "--tasks", "ifeval", code=2).stderr
        check("ifeval.jsonl:1" in refused and "there is no instruction 'keywords:rhyme'" in refused, refused)


main()
for fault in faults:
    print(f"eval_written: {fault}", file=sys.stderr)
sys.exit(1 if faults else 0)
