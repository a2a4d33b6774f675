"""Exports that have to pass."""

import tempfile

from harness import *


def check_sound():
    w = story()
    for payloads in (True, False):
        result = report(w.files(payloads))
        if not result["sound"]:
            faults.append(f"a sound export is refused: {result['faults'][:3]}")
    counts = result["counts"]
    if counts["events"] != len(w.leaves) or counts["records"] != len(w.records) or counts["states"] != 2:
        faults.append(f"the counts are not those of the export: {counts}")
    with tempfile.TemporaryDirectory() as directory:
        write(w.files(), directory)
        done = run(directory)
        if done.returncode != 0 or "No fault found." not in done.stdout:
            faults.append(f"the sentences of a sound export: {done.stdout}{done.stderr}")
    # What is allowed, and looks odd: more cosigners than known, old partial tiles, a note signed by keys that do not count.
    odd = Writer()
    odd.genesis()
    odd.admit("web", OBS, "A page.", EXTERNAL)
    older = tiles(odd.leaves)
    odd.admit("any", INF, "From many.", EXTERNAL, lineage=["web"], sources=0)
    odd.admit("nobody", USR, "For nobody.", USER, readers=[])
    odd.propose("c", "Text.", EXTERNAL, lineage=["web"])
    odd.endorse("c", "a", ["ap1", "ap3", "stranger", "op1"], influence=3)
    odd.revoke("a", ["ap1", "op1"])
    odd.revoke("web", ["ap2"])
    odd.event("ALARM", {24: "x", 47: "y" * 60000})
    for number in range(600):
        odd.admit(
            f"page {number}",
            OBS,
            f"Page {number}.",
            EXTERNAL,
            fields={12: 1_900_000_000_000} if number % 5 == 0 else {},
        )
        if number in (100, 599):
            odd.state()
    files = {**odd.files(), **older}
    files["checkpoint"] = odd.checkpoint(
        signers=[Key("stranger.example/w"), odd.log, Key("stranger.example/w2", 4), odd.witness]
    ).encode()
    result = report(files)
    if not result["sound"]:
        faults.append(f"an odd but sound export is refused: {result['faults'][:3]}")
