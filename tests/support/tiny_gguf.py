"""Writes a tiny `llama` model with seeded random weights and a byte-level vocabulary: enough to run every command."""
import random
import struct

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
ALIGNMENT = 32
CHATML = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def byte_letters():
    """How byte-level vocabularies spell the 256 bytes: printable ones as they are, the rest from U+0100 on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = 0x100
    for byte in range(256):
        if byte in plain:
            yield chr(byte)
        else:
            yield chr(spare)
            spare += 1


def packed_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def packed_value(kind, value):
    if kind == STRING:
        return packed_string(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(packed_value(inner, item) for item in items)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def write(path, *, bos=False, template=CHATML, context=2048, layers=2, width=32, heads=2, ffn=64, seed=1, name="Tiny"):
    letters = list(byte_letters())
    tokens = letters + ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"]
    kinds = [1] * 256 + [3] * 4  # normal, control
    metadata = [
        ("general.architecture", STRING, "llama"), ("general.name", STRING, name),
        ("llama.context_length", U32, context), ("llama.embedding_length", U32, width),
        ("llama.block_count", U32, layers), ("llama.feed_forward_length", U32, ffn),
        ("llama.attention.head_count", U32, heads), ("llama.attention.head_count_kv", U32, heads),
        ("llama.rope.dimension_count", U32, width // heads), ("llama.rope.freq_base", F32, 10000.0),
        ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), ("llama.vocab_size", U32, len(tokens)),
        ("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)), ("tokenizer.ggml.token_type", ARRAY, (I32, kinds)),
        ("tokenizer.ggml.merges", ARRAY, (STRING, [])),
        ("tokenizer.ggml.bos_token_id", U32, 259), ("tokenizer.ggml.eos_token_id", U32, 258),
        ("tokenizer.ggml.add_bos_token", BOOL, bos),
    ]
    if template:
        metadata.append(("tokenizer.chat_template", STRING, template))

    shapes = [("token_embd.weight", [width, len(tokens)]), ("output_norm.weight", [width])]
    for layer in range(layers):
        b = f"blk.{layer}."
        shapes += [(b + "attn_norm.weight", [width]), (b + "ffn_norm.weight", [width])]
        shapes += [(b + f"attn_{x}.weight", [width, width]) for x in ("q", "k", "v", "output")]
        shapes += [(b + "ffn_gate.weight", [width, ffn]), (b + "ffn_up.weight", [width, ffn]),
                   (b + "ffn_down.weight", [ffn, width])]

    rng = random.Random(seed)
    tensors = []
    for name, shape in shapes:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [1.0] * count if len(shape) == 1 else [rng.gauss(0, 0.3) for _ in range(count)]
        tensors.append((name, shape, struct.pack(f"<{count}f", *values)))
    write_file(path, metadata, tensors)


def write_adapter(path, *, architecture="llama", alpha=4.0, rank=2, width=32, ffn=64, seed=3):
    """A LoRA adapter for the model that write() makes."""
    rng = random.Random(seed)
    tensors = []
    for name, inputs, outputs in (("blk.0.attn_v", width, width), ("blk.1.ffn_up", width, ffn)):
        for end, shape in (("a", [inputs, rank]), ("b", [rank, outputs])):
            count = shape[0] * shape[1]
            tensors.append((f"{name}.weight.lora_{end}", shape, struct.pack(f"<{count}f", *[rng.gauss(0, 0.5) for _ in range(count)])))
    metadata = [("general.type", STRING, "adapter"), ("general.architecture", STRING, architecture),
                ("adapter.type", STRING, "lora"), ("adapter.lora.alpha", F32, alpha)]
    write_file(path, metadata, tensors)


def pieces_of(text):
    """`text` in pieces of some three bytes of which no two are the same."""
    raw, out, i = text.encode(), [], 0
    while i < len(raw):
        n = 3
        while raw[i:i + n] in out and i + n < len(raw):
            n += 1
        piece = raw[i:i + n]
        while piece in out or len(piece) == 1:
            piece = out.pop() + piece
        out.append(piece)
        i += n
    return out


def write_script(path, text, after="x", template=CHATML, breaks_at=None):
    """A model that says `text` and ends, where the raw prompt ends in the letter `after`: each token has one successor,
    since no layer adds anything and the output matrix maps a token to the next. By the template the prompt ends in "\\n". The token of number `breaks_at` makes of what follows it no numbers."""
    letters = list(byte_letters())
    chain = pieces_of(text)
    tokens = letters + ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"] + ["".join(letters[b] for b in piece) for piece in chain]
    n, heads = len(tokens), (len(tokens) + 31) // 32
    width = heads * 32
    successors = {}
    last = ord(after)
    for token in [*range(260, n), 258]:
        successors[token] = last
        last = token
    one_hot = lambda place, value: struct.pack("<f", 0) * place + struct.pack("<f", value) + struct.pack("<f", 0) * (width - place - 1)
    broken = None if breaks_at is None else 260 + breaks_at
    embedding = b"".join(one_hot(token, float("nan") if token == broken else 1.0) for token in range(n))
    output = b"".join(one_hot(successors[token], 40 / width**0.5) if token in successors else bytes(4 * width) for token in range(n))
    ones = struct.pack(f"<{width}f", *[1.0] * width)
    metadata = [
        ("general.architecture", STRING, "llama"), ("general.name", STRING, "Script"),
        ("llama.context_length", U32, 4096), ("llama.embedding_length", U32, width),
        ("llama.block_count", U32, 1), ("llama.feed_forward_length", U32, 32),
        ("llama.attention.head_count", U32, heads), ("llama.attention.head_count_kv", U32, heads),
        ("llama.rope.dimension_count", U32, 32), ("llama.rope.freq_base", F32, 10000.0),
        ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), ("llama.vocab_size", U32, n),
        ("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, [1] * 256 + [3] * 4 + [1] * len(chain))),
        ("tokenizer.ggml.merges", ARRAY, (STRING, [])),
        ("tokenizer.ggml.bos_token_id", U32, 259), ("tokenizer.ggml.eos_token_id", U32, 258),
        ("tokenizer.ggml.add_bos_token", BOOL, False), ("tokenizer.chat_template", STRING, template),
    ]
    square, narrow = bytes(4 * width * width), bytes(4 * width * 32)
    tensors = [("token_embd.weight", [width, n], embedding), ("output.weight", [width, n], output),
               ("output_norm.weight", [width], ones), ("blk.0.attn_norm.weight", [width], ones), ("blk.0.ffn_norm.weight", [width], ones)]
    tensors += [(f"blk.0.attn_{one}.weight", [width, width], square) for one in ("q", "k", "v", "output")]
    tensors += [("blk.0.ffn_gate.weight", [width, 32], narrow), ("blk.0.ffn_up.weight", [width, 32], narrow),
                ("blk.0.ffn_down.weight", [32, width], narrow)]
    write_file(path, metadata, tensors)


def write_file(path, metadata, tensors):
    """tensors: (name, shape, the bytes of its F32 values)"""
    header = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(metadata))
    for key, kind, value in metadata:
        header += packed_string(key) + struct.pack("<I", kind) + packed_value(kind, value)
    data = b""
    for name, shape, values in tensors:
        header += packed_string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        header += struct.pack("<IQ", 0, len(data))  # type F32
        data += values + bytes(-len(values) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % ALIGNMENT) + data)
