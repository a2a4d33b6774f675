#!/usr/bin/env python3
"""Writes src/text/unicode_ranges.inc: the general categories that pre-tokenizers ask about, as ranges.

    tools/unicode_table.py > src/text/unicode_ranges.inc

Takes the PyPI package unicodedata2 where it is installed, else Python's own tables. The table in the repository is of
Unicode 16 (unicodedata2 16.0.0), which Hugging Face tokenizers 0.23 also uses.
"""
try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

# White_Space=yes outside the Z categories.
CONTROL_SPACES = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85}


def kind(code_point):
    category = unicodedata.category(chr(code_point))
    if code_point in CONTROL_SPACES or category[0] == "Z":
        return "kSpace"
    return {"L": "kLetter", "N": "kNumber", "M": "kMark"}.get(category[0])


ranges = []
for code_point in range(0x110000):
    name = kind(code_point)
    if name and ranges and ranges[-1][1] == code_point - 1 and ranges[-1][2] == name:
        ranges[-1][1] = code_point
    elif name:
        ranges.append([code_point, code_point, name])

print(f"// Made by tools/unicode_table.py from Unicode {unicodedata.unidata_version}: first, last, class. "
      "What no range holds is kOther.")
row = ""
for first, last, name in ranges:
    entry = f"{{0x{first:X}, 0x{last:X}, {name}}},"
    if row and len(row) + 1 + len(entry) > 118:
        print(row)
        row = ""
    row = f"{row} {entry}" if row else entry
print(row)
