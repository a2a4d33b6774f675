#!/usr/bin/env python3
"""Our encoders beside llama-quantize's, on the same tensors with the same importance matrix, for every type: a table in
Markdown. Errors are relative root mean squares over the chosen tensors, each tensor counting alike: `weighted` by the
importance matrix that both got, `plain` without one (for the types that llama-quantize refuses to write without, both get
one of ones)."""
import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

TYPES = {  # ours: theirs
    "Q4_0": "q4_0", "Q4_1": "q4_1", "Q5_0": "q5_0", "Q5_1": "q5_1", "Q8_0": "q8_0", "MXFP4": "mxfp4", "NVFP4": "nvfp4",
    "Q2_K": "q2_k", "Q3_K": "q3_k", "Q4_K": "q4_k", "Q5_K": "q5_k", "Q6_K": "q6_k", "IQ1_S": "iq1_s", "IQ1_M": "iq1_m",
    "IQ2_XXS": "iq2_xxs", "IQ2_XS": "iq2_xs", "IQ2_S": "iq2_s", "IQ3_XXS": "iq3_xxs", "IQ3_S": "iq3_s", "IQ4_NL": "iq4_nl",
    "IQ4_XS": "iq4_xs", "TQ1_0": "tq1_0", "TQ2_0": "tq2_0"}
NEED_IMPORTANCE = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="the model, F16 or F32 (GGUF)")
parser.add_argument("imatrix", help="its importance matrix")
parser.add_argument("--fieldprint", default="build/release/fieldprint")
parser.add_argument("--bench", default="build/release/quant_error_bench")
parser.add_argument("--llama-quantize", default="llama-quantize")
parser.add_argument("--layers", default="0,5,10,15,20,25,29", help="whose ffn_down are compared")
parser.add_argument("--types", default=",".join(TYPES))
parser.add_argument("--threads", default="2")
arguments = parser.parse_args()
layers = arguments.layers.split(",")


def call(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def columns():
    info = call(arguments.fieldprint, "info", "--json", arguments.model)
    return int(re.search(r'"name":\s*"blk\.%s\.ffn_down\.weight".*?"shape":\s*\[\s*(\d+)' % layers[0], info, re.S).group(1))


def ones(path):
    """llama.cpp's older format: entries of a name, a number of chunks, and values."""
    count = columns()
    entries = b"".join(
        struct.pack("<i", len(name)) + name + struct.pack("<ii", 1, count) + struct.pack("<f", 1.0) * count
        for name in (f"blk.{layer}.ffn_down.weight".encode() for layer in layers))
    path.write_bytes(struct.pack("<i", len(layers)) + entries)
    return path


def compare(folder, ours, importance, measured):
    """(ours, theirs, tensors where ours errs more)"""
    with_ours = ["--imatrix", importance] if importance else ["--allow-unweighted"]
    rules = [f"--tensor=blk.{layer}.ffn_down.weight={ours}" for layer in layers]
    base = "F16" if ours == "Q8_0" else "Q8_0"
    call(arguments.fieldprint, "quantize", arguments.model, folder / "ours.gguf", base, "-q", "--threads", arguments.threads,
         *with_ours, *rules)
    with_theirs = ["--imatrix", importance] if importance else []
    pattern = rf"blk\.({'|'.join(layers)})\.ffn_down={TYPES[ours]}"
    call(arguments.llama_quantize, *with_theirs, "--tensor-type", pattern, arguments.model, folder / "theirs.gguf", "Q8_0",
         arguments.threads)
    lines = call(arguments.bench, "--files", arguments.model, folder / "ours.gguf", folder / "theirs.gguf", *measured)
    found = re.search(rf"^{ours} +(\d+) +(\S+) +(\S+) +\S+ +(\d+)$", lines, re.M)
    if found is None or int(found[1]) != len(layers):
        sys.exit(f"{ours}: not the same tensors in both files\n{lines}")
    return float(found[2]), float(found[3]), int(found[4])


print("| type | plain | llama.cpp | ratio | weighted | llama.cpp | ratio | tensors where ours errs more |")
print("|---|---|---|---|---|---|---|---|", flush=True)
with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    flat = ones(folder / "ones.dat")
    for ours in arguments.types.split(","):
        plain = compare(folder, ours, flat if ours in NEED_IMPORTANCE else None, [])
        weighted = compare(folder, ours, arguments.imatrix, [arguments.imatrix])
        print(f"| {ours} | {plain[0]:.4g} | {plain[1]:.4g} | {plain[0] / plain[1]:.3f} "
              f"| {weighted[0]:.4g} | {weighted[1]:.4g} | {weighted[0] / weighted[1]:.3f} | {plain[2] + weighted[2]} |", flush=True)
