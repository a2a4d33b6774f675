"""What people sign."""

import base64

from harness import *


def check_statements():
    """What is signed, by whom, when; for each action."""
    actions = {
        "a1": ("endorse", ["ap1", "ap2"]),
        "release tmp": ("release", ["ap3"]),
        "supersede a1": ("supersede", ["ap1"]),
        "revoke bad": ("revoke", ["op1"]),
        "key add ap4": ("key", ["root1", "root2"]),
        "POLICY": ("policy", ["root1", "root2"]),
    }
    for step, (action, by) in actions.items():

        def change(rule, name, what, raw=False):
            tweaked(
                f"{action} with {name}",
                ("raw note " if raw else "note ") + step,
                what,
                rule,
                first=action in ("key", "policy", "endorse"),
            )

        change("statement.ledger", "another log", line("log", "example.org/other"))
        change("statement.ledger", "another agent", line("agent", "somebody"))
        change("statement.size", "a size beyond the ledger", line("size", 1000))
        change("statement.form", "another action", lambda n: n["lines"].__setitem__(0, "fieldprint/erase/v1"))
        change("statement.form", "version 2", lambda n: n["lines"].__setitem__(0, f"fieldprint/{action}/v2"))
        change("statement.form", "a line too many", lambda n: n["lines"].append("more x"))
        change("statement.form", "a line too few", lambda n: n["lines"].pop())
        change("statement.form", "two lines swapped", lambda n: n["lines"].insert(1, n["lines"].pop(2)))
        change("statement.form", "a value of nothing", line("log", ""))
        change("statement.form", "a value with a space behind", line("log", ORIGIN + " "))
        change("statement.form", "a size with a leading zero", line("size", "07"))
        change("statement.form", "a size that is none", line("size", "seven"))
        change("statement.quorum", "no signature that counts", signers("stranger"))
        change(
            "statement.quorum", "too few signatures", signers(*by[1:]) if len(by) > 1 else signers("stranger", "root3")
        )
        change("statement.quorum", "one key twice", signers(by[0], by[0]) if len(by) > 1 else signers("root1"))
        change("note.form", "no signature", put(0, "x\n"), raw=True)
        change("note.form", "no empty line", lambda raw: raw.__setitem__(0, raw[0].replace("\n\n", "\n")), raw=True)
        change("note.form", "no newline at its end", lambda raw: raw.__setitem__(0, raw[0][:-1]), raw=True)
        change(
            "note.form",
            "a control character",
            lambda raw: raw.__setitem__(0, raw[0].replace("agent", "agent\t")),
            raw=True,
        )
        change("note.form", "a line behind the signatures", lambda raw: raw.__setitem__(0, raw[0] + "x\n"), raw=True)
        change("note.form", "65 signatures", lambda n: n.__setitem__("extra", Key("stranger").line("x") * 65))

        def corrupt(raw):
            head, lines = raw[0].split("\n\n")
            first, *rest = lines.splitlines()
            dash, name, signature = first.split(" ")
            data = bytearray(base64.b64decode(signature))
            data[20] ^= 1
            lines = [" ".join([dash, name, base64.b64encode(data).decode()]), *rest]
            raw[0] = head + "\n\n" + "".join(line + "\n" for line in lines)

        name = f"{action} with a wrong signature"
        found = set(rules(report(story({"raw note " + step: corrupt}).files())))
        refused.append(name)
        if "statement.signature" not in found or found - {"statement.signature", "statement.quorum", "anchor.sources"}:
            faults.append(f"{name}: {found}")
    other = sha(b"another").hex()
    for name in ("payload", "sources", "lineage"):
        tweaked(f"endorse with another {name}", "note a1", line(name, other), "statement.field")
    tweaked("endorse with another candidate", "note a1", line("record", other), "statement.record")
    tweaked("endorse with another influence", "note a1", line("influence", 3), "statement.field")
    tweaked("endorse with another valid-until", "note a1", line("valid-until", 1_900_000_000_000), "statement.field")
    tweaked("endorse with another valid-until than its event", "note a2", line("valid-until", 0), "statement.field")
    tweaked("endorse under another policy", "note a1", line("policy", 3), "statement.policy")
    tweaked("endorse of a short digest", "note a1", line("payload", "00"), "statement.form")
    tweaked(
        "endorse of upper-case digits",
        "note a1",
        lambda n: n["lines"].__setitem__(3, "record " + n["lines"][3][7:].upper()),
        "statement.form",
    )
    tweaked("endorse by one, of what is EXTERNAL", "note a1", signers("ap1"), "statement.quorum", first=True)
    tweaked("endorse by a retired approver", "note a3", signers("ap1", "ap3"), "statement.quorum", first=True)
    tweaked("endorse by an approver to be", "note a1", signers("ap1", "ap4"), "statement.quorum", first=True)
    tweaked("endorse by operators", "note a2", signers("op1", "root1"), "statement.quorum", first=True)
    tweaked("release of another record", "note release tmp", line("record", other), "statement.record")
    tweaked("supersede of another record", "note supersede a1", line("record", other), "statement.record")
    tweaked("supersede by another record", "note supersede a1", line("successor", other), "statement.record")
    tweaked("revoke of another record", "note revoke bad", line("record", other), "statement.record")
    tweaked("revoke by a root", "note revoke bad", signers("root1", "root2"), "statement.quorum")
    tweaked("revoke by too few approvers", "note revoke bad", signers("ap1"), "statement.quorum")

    # Authentic statements, come again after what they are about has changed.
    w = story()
    kept = {}
    w = story({"raw note release tmp": lambda raw: kept.update(release=raw[0])})
    w.time += 1
    added(
        "release by a statement from before the suspension",
        "statement.size",
        lambda w: w.admit("again", USR, "x", USER),
        lambda w: w.suspend("again"),
        lambda w: w.release("again", ["ap1", "ap2"], size=len(w.leaves) - 1),
    )
    added(
        "endorse by a statement from before the release",
        "statement.size",
        lambda w: w.propose("c9", "x", USER),
        lambda w: w.suspend("c9"),
        lambda w: w.release("c9", ["ap1", "ap2"]),
        lambda w: w.tweaks.update({"note a9": line("size", len(w.leaves) - 1)}),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
    )
    added(
        "supersede by an old statement",
        "statement.size",
        lambda w: w.propose("c9", "x", USER),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
        lambda w: w.supersede("a2", "a9", ["ap1", "ap2"], size=len(w.leaves) - 1),
    )
    added("revoke by an old statement", "statement.size", lambda w: w.revoke("a2", size=10))
