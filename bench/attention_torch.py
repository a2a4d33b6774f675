#!/usr/bin/env python3
"""PyTorch's scaled_dot_product_attention beside `fieldprint attention-bench`: the same shapes, the best of some runs.
   bench/attention_torch.py [KEYS ...]"""
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("attention_torch: PyTorch is not installed")

HEADS, KV_HEADS, SIZE, REPEATS = 32, 8, 128, 5


def best(run):
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


for keys in map(int, sys.argv[1:] or ["4096"]):
    k, v = (torch.randn(1, KV_HEADS, keys, SIZE).repeat_interleave(HEADS // KV_HEADS, 1) for _ in range(2))
    for form, tokens in (("prefill", keys), ("decode", 1)):
        q = torch.randn(1, HEADS, tokens, SIZE)
        seconds = best(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=tokens > 1))
        print(f"{form} N={keys} H={HEADS}/{KV_HEADS} d={SIZE}: {seconds * 1e3:.3f} ms, {torch.get_num_threads()} threads")
