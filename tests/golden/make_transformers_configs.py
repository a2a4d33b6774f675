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
            "rope_base": rope["rope_theta"], "rope_factor": rope["factor"] if rope["rope_type"] == "linear" else 1,
            "rope_divisors": divisors(rope, head_dim) if rope["rope_type"] == "llama3" else [],
            "experts": experts, "experts_used": c.num_experts_per_tok if experts else 0,
            "expert_ffn": (getattr(c, "moe_intermediate_size", None) or c.intermediate_size) if experts else 0,
            "dense_layers": dense, "conv_taps": getattr(c, "conv_L_cache", 0)}


TYPES = ["llama", "mixtral", "lfm2", "lfm2_moe"]
for _ in range(400):
    made = random_config()
    print(json.dumps({"config": made, "read": read(made)}))
