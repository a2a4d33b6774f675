#!/usr/bin/env python3
"""The lab's model trained by `fieldprint lab run` and by PyTorch, in turn, with the same number of threads: ms a step of
   forward, loss, backward and Adam. Of PyTorch the better of the plain form and, for dot, its fused attention; both with
   its fused Adam. With --memory the most memory of Gram at growing lengths.
   bench/lab_torch.py PROGRAM [--pairs N] [--threads N] [--memory]"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

WIDTH, HEADS, VOCABULARY, STEPS = 64, 4, 64, 60


def torch_model(kind, length, fused):
    import torch
    from torch import nn
    from torch.nn import functional as F

    size = WIDTH // HEADS
    frequencies = 10000.0 ** (-torch.arange(0, size, 2).double() / size)
    angles = torch.arange(length).double()[:, None] * frequencies[None]
    cosine, sine = angles.cos().float(), angles.sin().float()
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)

    class Lab(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(VOCABULARY, WIDTH)
            self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
            self.r = nn.Linear(WIDTH, WIDTH) if kind == "gram" else None
            self.unembed = nn.Linear(WIDTH, VOCABULARY, bias=False)

        def heads(self, x, turned):
            x = x.view(x.shape[0], length, HEADS, size).transpose(1, 2)
            if not turned:
                return x
            a, b = x.chunk(2, -1)
            return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)

        def scores(self, q, k, r):
            qk = q @ k.transpose(-1, -2)
            if r is None:
                return qk / math.sqrt(size)
            rk = r @ k.transpose(-1, -2)
            qq, rr, rq = ((a * b).sum(-1)[..., :, None] for a, b in ((q, q), (r, r), (r, q)))
            kk = (k * k).sum(-1)[..., None, :]
            return -(qq * kk * rr + 2 * qk * rk * rq - qq * rk**2 - kk * rq**2 - rr * qk**2) * size**-1.5

        def forward(self, tokens):
            x = self.embed(tokens)
            q, k = self.heads(self.q(x), True), self.heads(self.k(x), True)
            v, r = self.heads(self.v(x), False), self.heads(self.r(x), True) if self.r else None
            if fused:
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                y = self.scores(q, k, r).masked_fill(hidden, float("-inf")).softmax(-1) @ v
            return self.unembed(self.out(y.transpose(1, 2).reshape(x.shape)))

    return Lab()


def torch_step_ms(kind, length, batch, steps, fused):
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    model = torch_model(kind, length, fused)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    times = []
    for _ in range(steps):
        half = torch.randint(VOCABULARY, (batch, length // 2))
        tokens = torch.cat([half, half], 1)
        start = time.perf_counter()
        loss = F.cross_entropy(model(tokens)[:, :-1].reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1))
        adam.zero_grad()
        loss.backward()
        adam.step()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[min(5, steps - 1):])


def child(arguments):
    """Of a process of its own: what it prints, as JSON, and the most memory it had, in MiB."""
    before = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"lab_torch: {arguments[0]} failed after {time.perf_counter() - before:.0f} s")
    return json.loads(printed), usage.ru_maxrss / 1024


def ours(program, kind, length, batch, steps, threads):
    return child([program, "lab", "run", "--kind", kind, "--length", str(length), "--batch", str(batch), "--steps",
                  str(steps), "--every", str(steps), "--held-out", "1", "--threads", str(threads), "--quiet", "--json"])


def theirs(kind, length, batch, steps, threads, fused):
    return child([sys.executable, __file__, "--child", kind, str(length), str(batch), str(steps), str(threads),
                  str(int(fused))])


def main():
    if sys.argv[1] == "--child":
        import torch

        kind, numbers = sys.argv[2], [int(number) for number in sys.argv[3:]]
        torch.set_num_threads(numbers[3])
        print(json.dumps({"ms": torch_step_ms(kind, *numbers[:3], bool(numbers[4]))}))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    flags = parser.parse_args()
    if flags.memory:
        print("| gram, length | PyTorch, MiB over that of length 64 | fieldprint, MiB over that of length 64 |\n|---|---:|---:|")
        base = (theirs("gram", 64, 1, 2, flags.threads, False)[1], ours(flags.program, "gram", 64, 1, 2, flags.threads)[1])
        for length in (512, 1024, 2048, 4096):
            a = theirs("gram", length, 1, 2, flags.threads, False)[1] - base[0]
            b = ours(flags.program, "gram", length, 1, 2, flags.threads)[1] - base[1]
            print(f"| {length} | {a:.0f} | {b:.1f} |", flush=True)
        return
    print("| model | PyTorch, ms a step | tokens/s | fieldprint, ms a step | tokens/s | times as fast: median (least to most) |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind, length, batch in (("dot", 64, 32), ("gram", 64, 32), ("dot", 512, 4), ("gram", 512, 4)):
        pairs = []
        for _ in range(flags.pairs):
            forms = [theirs(kind, length, batch, STEPS, flags.threads, False)[0]["ms"]]
            if kind == "dot":
                forms.append(theirs(kind, length, batch, STEPS, flags.threads, True)[0]["ms"])
            pairs.append((min(forms), 1000 * ours(flags.program, kind, length, batch, STEPS, flags.threads)[0]["step_seconds"]))
        a, b = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        ratios = sorted(x / y for x, y in pairs)
        tokens = 1000 * length * batch
        print(f"| {kind}, {batch} x {length} | {a:.2f} | {tokens / a:.0f} | {b:.2f} | {tokens / b:.0f} | "
              f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |", flush=True)


if __name__ == "__main__":
    main()
