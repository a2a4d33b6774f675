#!/usr/bin/env python3
"""PyTorch's scaled_dot_product_attention beside attention_bench: the same shapes, the best of some runs;
   fused, and as the plain form that keeps all scores.
   bench/attention_torch.py [KEYS ...]"""
import sys
import time

try:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError:
    sys.exit("attention_torch: PyTorch 2.3 or newer is not installed")

HEADS, KV_HEADS, SIZE, REPEATS = 32, 8, 128, 5
MOST_SCORES = 1 << 30  # of heads that the plain form takes together


def best(run, repeats=REPEATS):
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


for keys in map(int, sys.argv[1:] or ["4096"]):
    k, v = (torch.randn(1, KV_HEADS, keys, SIZE).repeat_interleave(HEADS // KV_HEADS, 1) for _ in range(2))
    for form, tokens in (("prefill", keys), ("decode", 1)):
        q = torch.randn(1, HEADS, tokens, SIZE)
        step = max(1, min(HEADS, MOST_SCORES // (tokens * keys)))

        def attend(step):
            for h in range(0, HEADS, step):
                torch.nn.functional.scaled_dot_product_attention(
                    *(x[:, h : h + step] for x in (q, k, v)), is_causal=tokens > 1)

        with sdpa_kernel(SDPBackend.MATH):
            plain = best(lambda: attend(step), 1)
        print(f"{form} N={keys} H={HEADS}/{KV_HEADS} d={SIZE}: fused {best(lambda: attend(HEADS)) * 1e3:.3f} ms, "
              f"scores kept {plain * 1e3:.3f} ms, {torch.get_num_threads()} threads")
