#!/usr/bin/env python3
"""Writes src/chat/python_names.inc: letters and marks that cannot stand in Python's names as they are, as ranges.

    tools/python_names.py > src/chat/python_names.inc

They are those that Python's normal form of names (NFKC) changes, by themselves or with what stands before them, and
those that are no part of a name. Ranges run on over what is neither letter nor mark, which nobody asks about. Takes the
PyPI package unicodedata2 where it is installed, else Python's own tables; the repository's is of Unicode 16.
"""
try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

VERTICAL_TILDE = 0x2E2F  # a letter, but kept for patterns
second = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # what joins the character before it; Hangul's first
for code in range(0x110000):
    parts = unicodedata.decomposition(chr(code)).split()
    if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", chr(code)) == chr(code):
        second.add(int(parts[1], 16))

ranges = []
open_range = False
for code in range(0x80, 0x110000):
    letter, category = chr(code), unicodedata.category(chr(code))
    if category[0] not in "LM":
        continue
    safe = unicodedata.normalize("NFKC", letter) == letter and code not in second and category != "Me" and code != VERTICAL_TILDE
    if not safe and open_range:
        ranges[-1][1] = code
    elif not safe:
        ranges.append([code, code])
    open_range = not safe

print(f"// Made by tools/python_names.py from Unicode {unicodedata.unidata_version}: first, last.")
row = ""
for first, last in ranges:
    entry = f"{{0x{first:X}, 0x{last:X}}},"
    if row and len(row) + 1 + len(entry) > 118:
        print(row)
        row = ""
    row = f"{row} {entry}" if row else entry
print(row)
