#!/usr/bin/env python3
"""Writes models of random weights of the architectures gpt2, classic and lab into tests/golden/architectures, and the
logits that their formulas give for tokens.txt, every sum in float64: NAME-f32.gguf, NAME-f32.exact.

    tests/golden/make_architectures.py

Shares no code with the program. The vocabulary is that of qwen2-f32.gguf. Needs numpy and gguf (PyPI).
"""
import math
import pathlib

import gguf
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "architectures"
VOCABULARY = 320
erf = np.vectorize(math.erf)


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def rms_norm(x, weight, eps):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x))


def rope_halves(x):
    """x [T, heads, d]; pairs (i, i + d / 2)."""
    half = x.shape[-1] // 2
    angle = np.arange(len(x))[:, None] * 10000.0 ** (-np.arange(half) / half)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * c - b * s, a * s + b * c], -1)


def determinant(q, k, r):
    gram = np.array([[a @ b for b in (q, k, r)] for a in (q, k, r)])
    return np.linalg.det(gram)


class Model:
    def __init__(self, name, architecture, width, heads, layers, ffn, seed, **more):
        self.name, self.architecture = name, architecture
        self.width, self.heads, self.layers, self.ffn = width, heads, layers, ffn
        self.kv_heads = more.pop("kv_heads", heads)
        self.d = width // heads
        self.eps = np.float64(np.float32(1e-5))
        self.more = more
        self.random = np.random.default_rng(seed)
        self.weights, self.keys = {}, {}

    def matrix(self, name, rows, cols, size=1.0):
        self.weights[name] = self.random.normal(size=(rows, cols)) * size / math.sqrt(cols)

    def vector(self, name, n, mean=0.0):
        self.weights[name] = mean + 0.2 * self.random.normal(size=n)

    def norm(self, name, n, bias=True, mean=1.0):
        self.vector(name + ".weight", n, mean)
        if bias:
            self.vector(name + ".bias", n)

    def __getitem__(self, name):
        return self.weights[name].astype(np.float32).astype(np.float64)

    def linear(self, x, name):
        y = x @ self[name + ".weight"].T
        return y + self[name + ".bias"] if name + ".bias" in self.weights else y

    def attention(self, blk, x):
        """One layer's, of kind dot, expressive, gram (r at the query) or gram_key (r at the key)."""
        kind, rope, norm = (self.more.get(k) for k in ("kind", "rope", "head_norm"))  # norm: "rms" is without weights
        tokens = len(x)
        if blk + "attn_qkv.weight" in self.weights:
            parts = np.split(self.linear(x, blk + "attn_qkv"), 3, -1)
        else:
            parts = [self.linear(x, blk + "attn_" + name) for name in "qkv"]
        if kind in ("gram", "gram_key"):
            parts.append(self.linear(x, blk + "attn_r"))
        q, k, v, *r = (part.reshape(tokens, -1, self.d) for part in parts)
        r = r[0] if r else None
        if norm:
            def normed(name, y):
                return rms_norm(y, 1 if norm == "rms" else self[blk + f"attn_{name}_norm.weight"], self.eps)

            q, k = normed("q", q), normed("k", k)
            r = normed("r", r) if r is not None else None
        if rope:
            q, k = rope_halves(q), rope_halves(k)
            r = rope_halves(r) if r is not None else None
        out = np.zeros((tokens, self.heads, self.d))
        for h in range(self.heads):
            g = h * self.kv_heads // self.heads
            for i in range(tokens):
                if kind == "gram":
                    s = [-determinant(q[i, h], k[j, g], r[i, h]) * self.d**-1.5 for j in range(i + 1)]
                elif kind == "gram_key":
                    s = [-determinant(q[i, h], k[j, g], r[j, g]) * self.d**-1.5 for j in range(i + 1)]
                elif kind == "expressive":
                    s = [(q[i, h] @ k[j, g]) ** 2 / self.d for j in range(i + 1)]
                else:
                    s = [q[i, h] @ k[j, g] * self.d**-0.5 for j in range(i + 1)]
                p = np.exp(np.array(s) - max(s))
                out[i, h] = p / p.sum() @ v[: i + 1, g]
        return self.linear(out.reshape(tokens, -1), blk + "attn_output")

    def attention_weights(self, blk, bias):
        rows = {"q": self.heads, "k": self.kv_heads, "v": self.kv_heads}
        kind = self.more.get("kind")
        if kind in ("gram", "gram_key"):
            rows["r"] = self.heads if kind == "gram" else self.kv_heads
        for name, heads in rows.items():
            size = 1.2 if kind == "gram" and name != "v" else 1  # so that scores of degree 6 are about 1
            self.matrix(blk + f"attn_{name}.weight", heads * self.d, self.width, size)
            if bias:
                self.vector(blk + f"attn_{name}.bias", heads * self.d)
            if self.more.get("head_norm") == "weights" and name != "v":
                self.norm(blk + f"attn_{name}_norm", self.d, bias=False, mean=0.6)
        self.matrix(blk + "attn_output.weight", self.width, self.heads * self.d)
        if bias:
            self.vector(blk + "attn_output.bias", self.width)

    def ffn_weights(self, blk, bias, gate=False):
        for name in (["gate"] if gate else []) + ["up"]:
            self.matrix(blk + f"ffn_{name}.weight", self.ffn, self.width)
        self.matrix(blk + "ffn_down.weight", self.width, self.ffn)
        if bias:
            self.vector(blk + "ffn_up.bias", self.ffn)
            self.vector(blk + "ffn_down.bias", self.width)

    def sizes(self):
        self.keys |= {
            "block_count": self.layers,
            "context_length": 64,
            "embedding_length": self.width,
            "feed_forward_length": self.ffn,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
        }

    def write(self, tokens):
        logits = self.forward(tokens)
        vocabulary = gguf.GGUFReader(FOLDER / "qwen2-f32.gguf")
        out = gguf.GGUFWriter(FOLDER / (self.name + "-f32.gguf"), self.architecture)
        for key, value in self.keys.items():
            key = f"{self.architecture}.{key}"
            if isinstance(value, bool):
                out.add_bool(key, value)
            elif isinstance(value, str):
                out.add_string(key, value)
            elif isinstance(value, int):
                out.add_uint32(key, value)
            else:
                out.add_float32(key, value)
        for field in vocabulary.fields.values():
            if field.name.startswith("tokenizer."):
                kind, *inner = field.types
                out.add_key_value(field.name, field.contents(), kind, inner[0] if inner else None)
        for name, values in self.weights.items():
            out.add_tensor(name, values.astype(np.float32))
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()
        logits.astype(np.float32).tofile(FOLDER / (self.name + "-f32.exact"))


class Gpt2(Model):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.sizes()
        self.keys["attention.layer_norm_epsilon"] = float(self.eps)
        del self.keys["attention.head_count_kv"]
        self.matrix("token_embd.weight", VOCABULARY, self.width, 3)
        self.matrix("position_embd.weight", 64, self.width, 3)
        self.norm("output_norm", self.width)
        for i in range(self.layers):
            blk = f"blk.{i}."
            self.norm(blk + "attn_norm", self.width)
            self.matrix(blk + "attn_qkv.weight", 3 * self.width, self.width)
            self.vector(blk + "attn_qkv.bias", 3 * self.width)
            self.matrix(blk + "attn_output.weight", self.width, self.width)
            self.vector(blk + "attn_output.bias", self.width)
            self.norm(blk + "ffn_norm", self.width)
            self.ffn_weights(blk, bias=True)

    def forward(self, tokens):
        def norm(name, y):
            return layer_norm(y, self[name + ".weight"], self[name + ".bias"], self.eps)

        x = self["token_embd.weight"][tokens] + self["position_embd.weight"][: len(tokens)]
        for i in range(self.layers):
            blk = f"blk.{i}."
            x = x + self.attention(blk, norm(blk + "attn_norm", x))
            x = x + self.linear(gelu_tanh(self.linear(norm(blk + "ffn_norm", x), blk + "ffn_up")), blk + "ffn_down")
        return norm("output_norm", x) @ self["token_embd.weight"].T


class Classic(Model):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.sizes()
        self.place, bias = self.more["norm"], self.more["bias"]
        self.keys |= {"attention.layer_norm_epsilon": float(self.eps), "norm": self.place, "gelu": self.more["gelu"]}
        self.matrix("token_embd.weight", VOCABULARY, self.width, 3)
        if self.place == "pre":
            self.norm("output_norm", self.width)
        self.matrix("output.weight", VOCABULARY, self.width)
        for i in range(self.layers):
            blk = f"blk.{i}."
            self.attention_weights(blk, bias)
            self.ffn_weights(blk, bias)
            if self.place != "none":
                self.norm(blk + "attn_norm", self.width)
                self.norm(blk + "ffn_norm", self.width)

    def forward(self, tokens):
        gelu = {"erf": gelu_erf, "tanh": gelu_tanh}[self.more["gelu"]]

        def norm(name, y):
            return layer_norm(y, self[name + ".weight"], self[name + ".bias"], self.eps)

        def half(name, part, y):
            added = part(norm(name, y) if self.place == "pre" else y) + y
            return norm(name, added) if self.place == "post" else added

        x = self["token_embd.weight"][tokens]
        for p in range(len(tokens)):
            for i in range(self.width // 2):
                x[p, 2 * i] += math.sin(p / 10000 ** (2 * i / self.width))
                x[p, 2 * i + 1] += math.cos(p / 10000 ** (2 * i / self.width))
        for i in range(self.layers):
            blk = f"blk.{i}."
            x = half(blk + "attn_norm", lambda y: self.attention(blk, y), x)
            x = half(blk + "ffn_norm", lambda y: self.linear(gelu(self.linear(y, blk + "ffn_up")), blk + "ffn_down"), x)
        if self.place == "pre":
            x = norm("output_norm", x)
        return x @ self["output.weight"].T


class Lab(Model):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.sizes()
        more = self.more
        self.keys |= {
            "attention.layer_norm_rms_epsilon": float(self.eps),
            "attention.kind": more["kind"],
            "attention.head_norm": "rms" if more.get("head_norm") == "rms" else "none",
            "positions": "rope" if more.get("rope") else "none",
            "residual": bool(more.get("residual")),
            "norm": more.get("norm", "none"),
        }
        self.matrix("token_embd.weight", VOCABULARY, self.width, 3)
        if more.get("output_norm"):
            self.norm("output_norm", self.width, bias=False)
        self.matrix("output.weight", VOCABULARY, self.width, 3)
        for i in range(self.layers):
            blk = f"blk.{i}."
            if "norm" in more:
                self.norm(blk + "attn_norm", self.width, bias=False)
            self.attention_weights(blk, bias=bool(more.get("bias")))
            if self.ffn > 0:
                self.ffn_weights(blk, bias=more.get("between") == "gelu", gate=more.get("between") == "swiglu")
                if "norm" in more:
                    self.norm(blk + "ffn_norm", self.width, bias=False)

    def forward(self, tokens):
        more = self.more

        def half(name, part, y):
            z = part(rms_norm(y, self[name + ".weight"], self.eps) if "norm" in more else y)
            return z + y if more.get("residual") else z

        def ffn(blk, y):
            if more["between"] == "gelu":
                return self.linear(gelu_erf(self.linear(y, blk + "ffn_up")), blk + "ffn_down")
            return self.linear(silu(self.linear(y, blk + "ffn_gate")) * self.linear(y, blk + "ffn_up"), blk + "ffn_down")

        x = self["token_embd.weight"][tokens]
        for i in range(self.layers):
            blk = f"blk.{i}."
            x = half(blk + "attn_norm", lambda y: self.attention(blk, y), x)
            if self.ffn > 0:
                x = half(blk + "ffn_norm", lambda y: ffn(blk, y), x)
        if more.get("output_norm"):
            x = rms_norm(x, self["output_norm.weight"], self.eps)
        return x @ self["output.weight"].T


def main():
    tokens = np.array([int(t) for t in (FOLDER / "tokens.txt").read_text().split()])
    Gpt2("gpt2", "gpt2", 32, 4, 2, 96, seed=1).write(tokens)
    Classic("classic-pre", "classic", 32, 4, 2, 96, seed=2, norm="pre", gelu="erf", bias=True).write(tokens)
    Classic("classic-post", "classic", 32, 4, 2, 64, seed=3, norm="post", gelu="tanh", bias=False, kv_heads=2).write(tokens)
    Lab("lab-dot", "lab", 32, 4, 2, 0, seed=4, kind="dot", rope=True, head_norm="rms").write(tokens)
    Lab("lab-gram", "lab", 32, 4, 1, 0, seed=5, kind="gram", rope=True, residual=True, bias=True).write(tokens)
    Lab("lab-gram-key", "lab", 32, 4, 1, 64, seed=6, kind="gram_key", rope=True, head_norm="weights", residual=True,
        kv_heads=2, between="swiglu", norm="pre", output_norm=True).write(tokens)
    Lab("lab-expressive", "lab", 32, 4, 2, 64, seed=7, kind="expressive", residual=True, between="gelu").write(tokens)


if __name__ == "__main__":
    main()
