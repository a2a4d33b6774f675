#!/usr/bin/env python3
"""Makes tests/golden/lora/: an adapter that PEFT saves, and logits of the model with it, by transformers and PEFT in
float32. The model is `fieldprint synth tiny-llama:F32 MODEL`.

    pip install torch transformers peft gguf numpy
    tests/golden/make_lora.py MODEL
"""
import json
import pathlib
import sys

import gguf
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

TOKENS = [1, 5, 9, 200, 31, 77, 42, 8, 120, 60]
OUT = pathlib.Path(__file__).resolve().parent / "lora"
NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}

reader = gguf.GGUFReader(sys.argv[1])
tensors = {t.name: torch.tensor(np.array(t.data).reshape([int(n) for n in reversed(t.shape)])) for t in reader.tensors}
field = lambda key: reader.fields["llama." + key].parts[-1][0]
heads, kv_heads, layers = (int(field(k)) for k in ("attention.head_count", "attention.head_count_kv", "block_count"))


def halves_apart(matrix, heads):
    """Rows of a head that RoPE pairs are neighbours in GGUF files and half a head apart in transformers."""
    return matrix.reshape(heads, matrix.shape[0] // heads // 2, 2, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


state = {"model.embed_tokens.weight": tensors["token_embd.weight"], "model.norm.weight": tensors["output_norm.weight"],
         "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"])}
for i in range(layers):
    for there, here in NAMES.items():
        state[f"model.layers.{i}.{there}.weight"] = tensors[f"blk.{i}.{here}.weight"]
    for name, count in (("q_proj", heads), ("k_proj", kv_heads)):
        key = f"model.layers.{i}.self_attn.{name}.weight"
        state[key] = halves_apart(state[key], count)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=tensors["token_embd.weight"].shape[0], hidden_size=int(field("embedding_length")),
    intermediate_size=int(field("feed_forward_length")), num_hidden_layers=layers, num_attention_heads=heads,
    num_key_value_heads=kv_heads, rms_norm_eps=float(field("attention.layer_norm_rms_epsilon")),
    rope_theta=float(field("rope.freq_base")), tie_word_embeddings="output.weight" not in tensors))
model.load_state_dict(state)
torch.manual_seed(3)
model = get_peft_model(model.eval(), LoraConfig(r=2, lora_alpha=5, use_rslora=True, target_modules=["q_proj", "k_proj", "down_proj"],
                                                layers_to_transform=[1])).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.normal_(0, 0.2)
    logits = model(torch.tensor([TOKENS])).logits[0, -1]
model.save_pretrained(OUT)
(OUT / "README.md").unlink()
(OUT / "logits.json").write_text(json.dumps({"tokens": TOKENS, "logits": [float(f"{x:.7g}") for x in logits.tolist()]}) + "\n")
