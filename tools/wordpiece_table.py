#!/usr/bin/env python3
"""Writes src/text/wordpiece_unicode.inc: what BERT's normaliser and pre-tokenizer do with each character.

    tools/wordpiece_table.py > src/text/wordpiece_unicode.inc

The tables that Hugging Face's tokenizers carry are of several versions of Unicode, some of them old, and models were
trained through them. So the library itself is asked, character by character: the PyPI package tokenizers (0.23.3).
"""
import tokenizers
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer


def normaliser(**on):
    all_off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return BertNormalizer(**(all_off | on))


CLEAN, STRIP = normaliser(clean_text=True), normaliser(strip_accents=True)
LOWER, APART = normaliser(lowercase=True), normaliser(handle_chinese_chars=True)
WORDS = BertPreTokenizer()
HANGUL = range(0xAC00, 0xD7A4)  # taken apart by arithmetic


def kind(code, char):
    cleaned = CLEAN.normalize_str(f"a{char}a")
    if cleaned == "aa":
        return "kGone"
    if cleaned == "a a":
        return "kSpace"
    if APART.normalize_str(char) != char:
        return "kIdeograph"
    if STRIP.normalize_str(f"a{char}a") == "aa":
        return "kMark"
    if len(WORDS.pre_tokenize_str(f"a{char}a")) == 3:
        return "kPunctuation"
    return None


def print_rows(rows):
    line = ""
    for row in rows:
        entry = "{" + ", ".join(row) + "},"
        if line and len(line) + 1 + len(entry) > 118:
            print(line)
            line = ""
        line = f"{line} {entry}" if line else entry
    print(line)


kinds, stripped, lower = [], [], []
for code in range(0x110000):
    if 0xD800 <= code < 0xE000:
        continue
    char = chr(code)
    name = kind(code, char)
    if name and kinds and kinds[-1][1] == code - 1 and kinds[-1][2] == name:
        kinds[-1][1] = code
    elif name:
        kinds.append([code, code, name])
    if name in ("kGone", "kSpace", "kMark"):
        continue
    bare = STRIP.normalize_str(char)
    if bare != char and code not in HANGUL:
        stripped += [(code, ord(one)) for one in bare]
    small = LOWER.normalize_str(char)
    if small == char:
        continue
    rows = [(code, ord(one)) for one in small]
    last = lower[-1] if lower else None
    # A run: every or every other character, all moved by as much.
    step = code - last[1] if last else 0
    if len(rows) == 1 and last and last[3] == rows[0][1] - code and step in (1, 2) and last[2] in (0, step):
        last[1], last[2] = code, step
    else:
        lower += [[a, a, 0, b - a] for a, b in rows]

number = "0x{:X}".format
print(f"// Made by tools/wordpiece_table.py from Hugging Face tokenizers {tokenizers.__version__}.")
print("constexpr KindRange kKinds[] = {  // first, last")
print_rows((number(a), number(b), c) for a, b, c in kinds)
print("};")
print("constexpr Mapping kWithoutMarks[] = {  // a character, and what stays of its decomposition: a row a character")
print_rows((number(a), number(b)) for a, b in stripped)
print("};")
print("constexpr CaseRange kLowerCase[] = {  // first, last, step, how far; a row for each character it becomes")
print_rows((number(a), number(b), str(max(c, 1)), str(d)) for a, b, c, d in lower)
print("};")
