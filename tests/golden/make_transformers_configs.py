#!/usr/bin/env python3
"""transformers_configs.jsonl: random config.json files, many with keys left out, and what the configuration classes of
`transformers` (5.24) read in them; null where they refuse. make_transformers_configs.py > transformers_configs.jsonl"""
import json
import logging
import math
import random

logging.disable(logging.WARNING)
from transformers import AutoConfig  # noqa: E402

rng = random.Random(7)


def maybe(config, key, *values, chance=0.5):
    if rng.random() < chance:
        config[key] = rng.choice(values)


def random_rope(config):
    maybe(config, "rope_theta", 10000.0, 500000, 1e6, 25000.5)
    kind = rng.choice(["none", "none", "default", "linear", "llama3", "llama3"])
    if kind == "none":
        return
    rope = {rng.choice(["type", "rope_type"]): kind} if kind != "default" or rng.random() < 0.5 else {}
    maybe(rope, "rope_theta", 123456.0, 5e5, chance=0.3)
    if kind == "linear":
        maybe(rope, "factor", 2.0, 4, chance=0.9)
    if kind == "llama3":
        maybe(rope, "factor", 8.0, 32.0, chance=0.95)
        maybe(rope, "low_freq_factor", 1.0, chance=0.95)
        maybe(rope, "high_freq_factor", 4.0, chance=0.95)
        maybe(rope, "original_max_position_embeddings", 256, 1024)
    config[rng.choice(["rope_scaling", "rope_parameters"])] = rope


def random_config():
    kind = rng.choice(TYPES)
    heads = rng.choice([4, 8])
    config = {"model_type": kind, "num_hidden_layers": rng.randint(1, 5), "hidden_size": heads * rng.choice([16, 32]), "num_attention_heads": heads,
              "vocab_size": rng.choice([320, 1000]), "intermediate_size": rng.choice([96, 100, 512, 1000, 6656])}
    maybe(config, "num_key_value_heads", 1, 2, 4, chance=0.6)
    maybe(config, "max_position_embeddings", 512, 4096, 131072)
    maybe(config, "tie_word_embeddings", True, False)
    random_rope(config)
    if kind in ("llama", "mixtral"):
        maybe(config, "rms_norm_eps", 1e-5, 2e-6)
        maybe(config, "head_dim", 16, 32, 64, None)
    if kind == "llama":
        maybe(config, "num_key_value_heads", None, chance=0.1)
    if kind == "mixtral":
        maybe(config, "num_local_experts", 4, 6)
        maybe(config, "num_experts_per_tok", 1, 3)
    if kind.startswith("lfm2"):
        maybe(config, "norm_eps", 1e-6)
        maybe(config, "conv_L_cache", 4)
        maybe(config, "tie_embedding", True, False, chance=0.2)
        layers = [rng.choice(["conv", "full_attention"]) for _ in range(config["num_hidden_layers"])]
        maybe(config, "layer_types", layers, chance=0.6 if kind == "lfm2" else 1)
    if kind == "lfm2":
        maybe(config, "full_attn_idxs", [0], [], None)
        maybe(config, "block_ff_dim", 1000, chance=0.3)
        maybe(config, "block_auto_adjust_ff_dim", True, False)
        maybe(config, "block_multiple_of", 64)
        maybe(config, "block_ffn_dim_multiplier", 1.3, 1)
    if kind == "lfm2_moe":
        maybe(config, "num_experts", 8, 16)
        maybe(config, "num_experts_per_tok", 1, 2)
        maybe(config, "moe_intermediate_size", 64)
        maybe(config, "num_dense_layers", 0, 1)
    return config


def divisors(rope, head_dim):
    """As _compute_llama3_parameters changes the frequencies."""
    low, high = rope["original_max_position_embeddings"] / rope["low_freq_factor"], rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    found = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
        found.append(1 if wavelength < high else rope["factor"] if wavelength > low else 1 / ((1 - smooth) / rope["factor"] + smooth))
    return found


def read(config):
    try:
        c = AutoConfig.for_model(**json.loads(json.dumps(config)))
    except Exception:
        return None
    rope = c.rope_parameters
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    types = getattr(c, "layer_types", None) or ["full_attention"] * c.num_hidden_layers
    ffn = c.intermediate_size
    if getattr(c, "block_auto_adjust_ff_dim", False):  # as Lfm2MLP
        ffn = int(2 * ffn / 3)
        if c.block_ffn_dim_multiplier is not None:
            ffn = int(c.block_ffn_dim_multiplier * ffn)
            ffn = c.block_multiple_of * ((ffn + c.block_multiple_of - 1) // c.block_multiple_of)
    experts = getattr(c, "num_local_experts", None) or getattr(c, "num_experts", None) or 0
    dense = c.num_hidden_layers if not experts else getattr(c, "num_dense_layers", 0)
    return {"kv_heads": [c.num_key_value_heads if t == "full_attention" else 0 for t in types], "head_dim": head_dim, "ffn": ffn,
            "eps": getattr(c, "rms_norm_eps", None) or c.norm_eps, "context": c.max_position_embeddings, "tied": c.tie_word_embeddings,
            "rope_base": rope["rope_theta"], "rope_factor": rope["factor"] if rope["rope_type"] in ("linear", "yarn") else 1,
            "rope_divisors": divisors(rope, head_dim) if rope["rope_type"] == "llama3" else [],
            "experts": experts, "experts_used": c.num_experts_per_tok if experts else 0,
            "expert_ffn": (getattr(c, "moe_intermediate_size", None) or c.intermediate_size) if experts else 0,
            "dense_layers": dense, "conv_taps": getattr(c, "conv_L_cache", 0)}


def frequencies(c, head_dim):
    """inv_freq of a model that always takes the long divisors if its context asks for them, and what cos and sin are multiplied by."""
    rope = c.rope_parameters
    kind, base, dims, magnitude = rope["rope_type"], rope["rope_theta"], int(head_dim * rope.get("partial_rotary_factor", 1)), 1.0
    f = [base ** (-2 * i / dims) for i in range(dims // 2)]
    original = rope.get("original_max_position_embeddings")
    if kind == "linear":
        f = [x / rope["factor"] for x in f]
    if kind == "yarn":
        at = lambda turns: dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
        low, high = max(math.floor(at(rope.get("beta_fast") or 32)), 0), min(math.ceil(at(rope.get("beta_slow") or 1)), dims - 1)
        high += 0.001 if low == high else 0
        ramp = [min(max((i - low) / (high - low), 0), 1) for i in range(dims // 2)]
        f = [x / rope["factor"] * r + x * (1 - r) for x, r in zip(f, ramp)]
        magnitude = rope.get("attention_factor") or (0.1 * math.log(rope["factor"]) + 1 if rope["factor"] > 1 else 1)
    if kind == "longrope":
        f = [x / d for x, d in zip(f, rope["long_factor" if c.max_position_embeddings > original else "short_factor"])]
        factor = rope.get("factor") or c.max_position_embeddings / original
        magnitude = rope.get("attention_factor") or (math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1)
    return f, magnitude


def random_rope_of_any_kind(config, dims):
    maybe(config, "rope_theta", 10000.0, 5e5, 1e6, chance=0.7)
    kind = rng.choice(["longrope", "none"] if config["model_type"] == "phi3" else ["none", "linear", "yarn", "yarn"])
    if kind == "none":
        return
    rope = {rng.choice(["type", "rope_type"]): kind}
    if kind == "longrope":
        rope["long_factor"] = [1.0 + i * 0.75 for i in range(dims // 2)]
        rope["short_factor"] = [1.0 + i * 0.0625 for i in range(dims // 2)]
        maybe(config, "original_max_position_embeddings", 1024, 4096)
    else:
        rope["factor"] = rng.choice([2.0, 4, 16.5])
    if kind == "yarn":
        maybe(rope, "original_max_position_embeddings", 256, 1024)
        maybe(rope, "beta_fast", 16.0, chance=0.3)
        maybe(rope, "beta_slow", 2, chance=0.3)
    if kind != "linear":
        maybe(rope, "attention_factor", 1.25, chance=0.3)
    config["rope_scaling"] = rope


def random_config_of(kind):
    heads, head_dim = rng.choice([4, 8]), rng.choice([16, 32])
    config = {"model_type": kind, "num_hidden_layers": rng.randint(1, 9), "hidden_size": heads * head_dim, "num_attention_heads": heads,
              "vocab_size": 320, "intermediate_size": rng.choice([96, 512]), "num_key_value_heads": rng.choice([1, 2, 4])}
    maybe(config, "max_position_embeddings", 512, 4096, 131072)
    maybe(config, "tie_word_embeddings", True, False)
    maybe(config, "rms_norm_eps", 1e-5, 2e-6)
    dims = head_dim
    if kind.startswith("qwen3"):
        maybe(config, "head_dim", 64, 128)
    if kind in ("phi3", "qwen2"):
        maybe(config, "partial_rotary_factor", 0.5, 0.75)
        dims = int(head_dim * config.get("partial_rotary_factor", 1))
    random_rope_of_any_kind(config, dims)
    if kind == "qwen3_moe":
        config["norm_topk_prob"] = True
        maybe(config, "num_experts", 4, 16)
        maybe(config, "num_experts_per_tok", 1, 3)
        maybe(config, "moe_intermediate_size", 64)
    if kind.startswith("granite"):
        for key in ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"):
            maybe(config, key, 0.25, 12.0)
    if kind.startswith("granitemoe"):
        maybe(config, "num_local_experts", 4, 6)
        maybe(config, "num_experts_per_tok", 1, 3)
    if kind == "granitemoeshared":
        maybe(config, "shared_intermediate_size", 128)
    if kind == "smollm3":
        maybe(config, "no_rope_layer_interval", 4)
        maybe(config, "no_rope_layers", [int((i + 1) % 4 != 0) for i in range(config["num_hidden_layers"])])
    return config


def read_more(config):
    values = read(config)
    if values is None:
        return None
    c = AutoConfig.for_model(**json.loads(json.dumps(config)))
    values["inverse_frequency"], values["magnitude"] = frequencies(c, values["head_dim"])
    values["scales"] = [getattr(c, key, None) for key in ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")]
    values["shared_ffn"] = getattr(c, "shared_intermediate_size", 0)
    values["rope_layers"] = getattr(c, "no_rope_layers", None) or [1] * c.num_hidden_layers
    return values


TYPES = ["llama", "mixtral", "lfm2", "lfm2_moe"]
for _ in range(400):
    made = random_config()
    print(json.dumps({"config": made, "read": read(made)}))
for further in ["qwen2", "qwen3", "qwen3_moe", "phi3", "smollm3", "granite", "granitemoe", "granitemoeshared"]:
    for _ in range(25):
        made = random_config_of(further)
        print(json.dumps({"config": made, "read": read_more(made)}))
