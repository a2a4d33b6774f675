#!/usr/bin/env python3
"""added_tokens.jsonl: random tokenizers whose added tokens overlap and carry flags, and how Hugging Face's `tokenizers`
(0.23) cuts random texts with them. make_added_tokens.py > added_tokens.jsonl"""
import json
import random

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

PIECES = ["<a>", "<a", "a>", "<", ">", "<|u|>", "<|u", "u|>", "xx", "xxx", "x", "_", "é", "<é>", "  ", "b b", "\n\n", "7"]
TEXT = PIECES + [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u0085", "\u200b", "\x1f", "a", "b", "word", "don't", ".", "\u1680", "12"]
ALPHABET = sorted(ByteLevel.alphabet())


def tokenizer(rng):
    vocabulary = {c: i for i, c in enumerate(ALPHABET)}
    vocabulary["xx"] = len(vocabulary)
    added = [{"id": len(vocabulary) + i, "content": content, "special": rng.random() < 0.5, "lstrip": rng.random() < 0.3,
              "rstrip": rng.random() < 0.3, "normalized": rng.random() < 0.4, "single_word": False}
             for i, content in enumerate(rng.sample([p for p in PIECES if p not in vocabulary], rng.randint(1, 6)))]
    normalizers = [None, {"type": "Sequence", "normalizers": []}]
    return {"version": "1.0", "added_tokens": added, "normalizer": rng.choice(normalizers),
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "vocab": vocabulary, "merges": [["x", "x"]]}}


rng = random.Random(1)
for _ in range(150):
    described = tokenizer(rng)
    made = Tokenizer.from_str(json.dumps(described))
    texts = ["".join(rng.choice(TEXT) for _ in range(rng.randint(1, 14))) for _ in range(6)]
    print(json.dumps({"added_tokens": described["added_tokens"], "normalizer": described["normalizer"],
                      "cases": [[text, made.encode(text, add_special_tokens=False).ids] for text in texts]}))
