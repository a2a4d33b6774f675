#!/usr/bin/env python3
"""Writes optimizer.json, llama.json and gram.json beside itself: what training computes, by PyTorch. Needs torch.

    tests/golden/train/make_train.py
"""
import json
import math
import pathlib
import random

import torch

HERE = pathlib.Path(__file__).parent
V, WIDTH, HEADS, FFN, T, BATCH, EPS, BASE = 11, 16, 2, 24, 6, 2, 1e-5, 10000.0
ADAMW = {"lr": 3e-3, "betas": [0.9, 0.999], "eps": 1e-8}


def number(x):
    """The shortest text that reads as the same number."""
    return float(x)


def float32(x):
    """The shortest text that reads as the same float32."""
    return float(f"{x:.9g}")


def digits(tensor, count):
    """Nested lists of `count` significant digits."""
    def cut(x):
        return [cut(y) for y in x] if isinstance(x, list) else float(f"{x:.{count}g}")
    return cut(tensor.tolist())


def write(name, value):
    text = json.dumps(value, separators=(",", ":"))
    (HERE / name).write_text(text.replace('],"', '],\n"').replace('},"', '},\n"').replace("},{", "},\n{") + "\n")


# --- optimisers -------------------------------------------------------------------------------------------------------

def steps_of(make, start, gradients, dtype, text):
    """values after each step of optimiser `make`"""
    values = torch.tensor(start, dtype=dtype, requires_grad=True)
    optimiser = make([values])
    after = []
    for gradient in gradients:
        values.grad = torch.tensor(gradient, dtype=dtype)
        optimiser.step()
        after.append([text(x) for x in values.tolist()])
    return after


def optimizers():
    draw = random.Random(27)
    dyadic = lambda size: draw.randint(-4096, 4096) / 4096 * size  # exact in float32
    start = [dyadic(1) for _ in range(12)] + [0.0, 1.0, -64.0, 0.0078125]
    sizes = [1] * 8 + [2.0**-30, 2.0**-14, 64, 1024] + [1, 0, 2.0**-20, 16]
    gradients = [[dyadic(size) for size in sizes] for _ in range(10)]
    gradients[4][0] = gradients[5][0] = 0.0
    adamw = lambda decay: lambda p: torch.optim.AdamW(p, lr=3e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay,
                                                      foreach=False)
    sgd = lambda momentum: lambda p: torch.optim.SGD(p, lr=1e-2, momentum=momentum, foreach=False)
    cases = [({"name": "adamw", **ADAMW, "weight_decay": 0.1}, adamw(0.1)),
             ({"name": "adamw", **ADAMW, "weight_decay": 0.0}, adamw(0.0)),
             ({"name": "sgd", "lr": 1e-2, "momentum": 0.9, "weight_decay": 0.0}, sgd(0.9)),
             ({"name": "sgd", "lr": 1e-2, "momentum": 0.0, "weight_decay": 0.0}, sgd(0.0))]
    write("optimizer.json", {
        "start": start, "gradients": gradients,
        "cases": [{**options, "float64": steps_of(make, start, gradients, torch.float64, number),
                   "float32": steps_of(make, start, gradients, torch.float32, float32)} for options, make in cases]})


# --- models, in float64 ----------------------------------------------------------------------------------------------

def rms_norm(x, weight):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS) * weight


def rope(x):
    """x [B, H, T, d], position t; element i is turned with element i + d/2"""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * BASE ** (-torch.arange(half, dtype=x.dtype) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def attention(x, w, block, gram):
    d = WIDTH // HEADS
    heads = lambda name: (x @ w[f"blk.{block}.attn_{name}.weight"].T).unflatten(-1, (HEADS, d)).transpose(1, 2)
    q, k, v = rope(heads("q")), rope(heads("k")), heads("v")
    qk = q @ k.transpose(-1, -2)
    if gram:
        r = rope(heads("r"))
        qq, rr, rq = (q * q).sum(-1, True), (r * r).sum(-1, True), (r * q).sum(-1, True)
        kk, rk = (k * k).sum(-1)[..., None, :], r @ k.transpose(-1, -2)
        s = -(qq * kk * rr + 2 * qk * rk * rq - qq * rk**2 - kk * rq**2 - rr * qk**2) * d**-1.5
    else:
        s = qk / math.sqrt(d)
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    y = s.masked_fill(mask, -math.inf).softmax(-1) @ v
    return y.transpose(1, 2).flatten(-2) @ w[f"blk.{block}.attn_output.weight"].T


def llama(w, tokens):
    x = w["token_embd.weight"][tokens]
    for block in range(2):
        x = x + attention(rms_norm(x, w[f"blk.{block}.attn_norm.weight"]), w, block, False)
        y = rms_norm(x, w[f"blk.{block}.ffn_norm.weight"])
        gate, up = (y @ w[f"blk.{block}.ffn_{name}.weight"].T for name in ("gate", "up"))
        x = x + (torch.nn.functional.silu(gate) * up) @ w[f"blk.{block}.ffn_down.weight"].T
    return rms_norm(x, w["output_norm.weight"]) @ w["output.weight"].T


def gram(w, tokens):
    return attention(w["token_embd.weight"][tokens], w, 0, True) @ w["output.weight"].T


def loss_of(model, w, tokens):
    """mean cross-entropy of all tokens but the first of each sequence"""
    logits = model(w, tokens)
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def shapes(model):
    square, result = (WIDTH, WIDTH), {"token_embd.weight": (V, WIDTH)}
    for block in range(2 if model is llama else 1):
        names = {f"attn_{name}": square for name in ("q", "k", "v", "output")}
        if model is llama:
            names |= {"attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "ffn_gate": (FFN, WIDTH), "ffn_up": (FFN, WIDTH),
                      "ffn_down": (WIDTH, FFN)}
        else:
            names["attn_r"] = square
        result |= {f"blk.{block}.{name}.weight": shape for name, shape in names.items()}
    return result | ({"output_norm.weight": (WIDTH,)} if model is llama else {}) | {"output.weight": (V, WIDTH)}


def train(model, decay, name):
    draw = random.Random(27)

    def values(shape):  # multiples of 1/128 are exact in float32 and short
        if len(shape) == 1:
            return [1 + draw.randint(-32, 32) / 128 for _ in range(shape[0])]
        return [[draw.randint(-64, 64) / 128 for _ in range(shape[1])] for _ in range(shape[0])]

    start = {key: values(shape) for key, shape in shapes(model).items()}
    w = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in start.items()}
    tokens = torch.tensor([[draw.randrange(V) for _ in range(T)] for _ in range(BATCH)])
    optimiser = torch.optim.AdamW(
        [{"params": [x for x in w.values() if x.dim() > 1], "weight_decay": decay},
         {"params": [x for x in w.values() if x.dim() == 1], "weight_decay": 0.0}], lr=3e-3, betas=(0.9, 0.999), eps=1e-8)
    losses, gradients = [], None
    for _ in range(10):
        optimiser.zero_grad()
        loss = loss_of(model, w, tokens)
        loss.backward()
        losses.append(loss.item())
        gradients = gradients or {key: digits(x.grad, 10) for key, x in w.items()}
        optimiser.step()
    losses.append(loss_of(model, w, tokens).item())
    write(name, {
        "vocabulary": V, "width": WIDTH, "heads": HEADS, "ffn": FFN if model is llama else 0, "rms_eps": EPS,
        "rope_base": BASE, "tokens": tokens.tolist(), "optimizer": {"name": "adamw", **ADAMW, "weight_decay": decay},
        "losses": losses, "logits": digits(model({k: torch.tensor(x, dtype=torch.float64) for k, x in start.items()}, tokens), 12),
        "weights": start, "gradients": gradients, "after": {key: digits(x.detach(), 10) for key, x in w.items()}})


optimizers()
train(llama, 0.1, "llama.json")
train(gram, 0.0, "gram.json")
