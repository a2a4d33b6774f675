#!/usr/bin/env python3
"""Log-probabilities over HTTP are those of `fieldprint logits`: the requests of an evaluation harness
(../shared/data/eval/expected_requests.jsonl), as its `local-completions` sends them, on the default model."""
import array
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support.serving import CLI, Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "fieldprint/models/SmolLM2-135M-Instruct.Q4_1.gguf"
PLACES = [ROOT / "../shared", *([pathlib.Path(os.environ["FIELDPRINT_DATA"])] if "FIELDPRINT_DATA" in os.environ else [])]
REQUESTS = next((place / "data/eval/expected_requests.jsonl" for place in PLACES if (place / "data/eval/expected_requests.jsonl").exists()), None)


def skipped(why):
    print(f"skipped: {why}")
    sys.exit(77)


def own_scores(tokens, folder):
    """ln softmax of the last eight tokens, by `fieldprint logits`."""
    out = pathlib.Path(folder) / "logits.f32"
    subprocess.run([CLI, "logits", "-m", MODEL, "--tokens", "-", "--out", out], check=True, capture_output=True,
                   text=True, input=" ".join(map(str, tokens)))
    values = array.array("f", out.read_bytes())
    width = len(values) // len(tokens)
    scores = []
    for i, token in list(enumerate(tokens[1:]))[-8:]:
        row = values[i * width : (i + 1) * width]
        largest = max(row)
        scores.append(row[token] - largest - math.log(math.fsum(math.exp(each - largest) for each in row)))
    return scores


if not MODEL.exists():
    skipped("the default model has not been pulled")
if REQUESTS is None:
    skipped("there is no ../shared/data/eval")

rows = [json.loads(line) for line in REQUESTS.read_text().splitlines()]
compared = scored = 0
with Server(MODEL, "--context", "2048") as server, tempfile.TemporaryDirectory() as folder:
    for number, row in enumerate(rows):
        texts = [context + continuation for context, continuation in row["requests"]]
        prompts = [server.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"] for text in texts]
        assert [server.post("/detokenize", {"tokens": tokens})["prompt"] for tokens in prompts] == texts, row["task"]
        body = {"prompt": prompts, "temperature": 0, "logprobs": 1, "echo": True, "seed": 1234}
        answers = [server.post("/v1/completions", {**body, "max_tokens": 1})["choices"]]
        if number % 3 == 0:
            answers.append(server.post("/v1/completions", {**body, "max_tokens": 0})["choices"])
        for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            scores = [choices[i]["logprobs"]["token_logprobs"][: len(prompt)] for choices in answers]
            assert all(choices[i]["text"].startswith(text) for choices in answers), row["task"]
            assert len(scores[0]) == len(prompt) and scores[0][0] is None, row["task"]
            assert scores[0] == scores[-1], f"{row['task']}: another token changes those before it"
            for token, top in zip(scores[0][1:], answers[0][i]["logprobs"]["top_logprobs"][1:]):
                assert token <= max(top.values())
            scored += 1
        if number % 6 == 0:
            expected = own_scores(prompts[0], folder)
            difference = max(abs(a - b) for a, b in zip(expected, answers[-1][0]["logprobs"]["token_logprobs"][-8:], strict=True))
            assert difference < 1e-9, f"{row['task']}, row {row['row']}: {difference}"
            teacher = server.post("/v1/completions", {"prompt": [prompts[0]], "max_tokens": 1, "prompt_logprobs": 2})["choices"][0]["prompt_logprobs"]
            realised = [place[str(token)]["logprob"] for token, place in zip(prompts[0][1:], teacher[1:], strict=True)]
            assert realised == answers[-1][0]["logprobs"]["token_logprobs"][1 : len(prompts[0])], row["task"]
            compared += 1
    code = server.stop()
    assert code == 0, code
print(f"scores: {scored} requests answered; {compared} of them compared with `fieldprint logits`")
