"""The ledger's own: keys, policies, receipts, the override, STATE."""

import base64

from harness import *


def check_ledger():
    """The ledger's own: its beginning, time, keys, policies."""
    tweaked("another origin", "GENESIS", put(10, "example.org/other"), "event.genesis")
    added("GENESIS again", "event.genesis", lambda w: w.genesis())
    w = Writer()
    w.admit("web", OBS, "A page.", EXTERNAL)
    expect("no GENESIS", report(w.files()), "event.genesis", first=True, event=0)
    w = Writer()
    expect("an empty ledger", report(w.files()), "event.genesis", first=True)
    tweaked("time that goes back", "ALARM", lambda f: f.__setitem__(3, f[3] - 1000), "event.time")
    tweaked("a time far ahead", "ROLLBACK", lambda f: f.__setitem__(3, f[3] + 10**9), "event.time", first=True)

    def keys(change):
        return lambda fields: change(fields[12])

    stranger = Key("stranger")
    twin = Key(ORIGIN)
    for name, change in {
        "role 0": lambda k: k.append([0, stranger.vkey]),
        "role 6": lambda k: k.append([6, stranger.vkey]),
        "a key with two roles": lambda k: k.append([OPERATOR, k[0][1]]),
        "a key twice": lambda k: k.append(list(k[0])),
        "no vkey": lambda k: k.append([OPERATOR, "stranger"]),
        "a wrong key id": lambda k: k.append([OPERATOR, stranger.vkey.replace("+" + stranger.id.hex(), "+00000000")]),
        "a witness with a signer's key": lambda k: k.append([WITNESS, stranger.vkey]),
        "a root with a witness's key": lambda k: k.append([ROOT, Key("stranger", 4).vkey]),
        "a log of another name": lambda k: k.append([LOG, stranger.vkey]),
    }.items():
        tweaked(f"GENESIS with {name}", "GENESIS", keys(change), "key.form")
    assert twin.vkey == Writer().log.vkey
    same = Key("stranger")
    same.name = "other-name"
    same.id = sha(same.name.encode(), b"\n\x01", same.public)[:4]
    vkey = f"{same.name}+{same.id.hex()}+{base64.b64encode(ED25519 + same.public).decode()}"
    tweaked(
        "GENESIS with one key under two names",
        "GENESIS",
        keys(lambda k: k.extend([[OPERATOR, stranger.vkey], [APPROVER, vkey]])),
        "key.form",
    )
    tweaked(
        "GENESIS with a key of three parts",
        "GENESIS",
        keys(lambda k: k.append([1, stranger.vkey, 1])),
        "event.fields",
        first=True,
    )
    for field, values in {1: (0, -1, "x"), 2: (0, 1), 3: (0,), 8: (-1, "x"), 9: (1 << 63,)}.items():
        for value in values:
            tweaked(
                f"a policy with field {field} = {value}",
                "GENESIS",
                put(13, {**POLICY, field: value}),
                "policy.form",
                first=True,
            )
    tweaked(
        "a policy without field 9",
        "GENESIS",
        put(13, {k: v for k, v in POLICY.items() if k != 9}),
        "policy.form",
        first=True,
    )
    tweaked("a policy with field 10", "GENESIS", put(13, {**POLICY, 10: 1}), "policy.form", first=True)

    added("a key back in force", "key.form", lambda w: w.key("ap3", APPROVER))
    added("a key added twice", "key.form", lambda w: w.key("ap1", APPROVER))
    added("a key with a second role", "key.form", lambda w: w.key("ap1", OPERATOR))
    added("retiring a stranger", "key.form", lambda w: w.key("stranger", APPROVER, "retire"))
    added("retiring in another role", "key.form", lambda w: w.key("ap1", OPERATOR, "retire"))
    added("a key that is none", "key.form", lambda w: w.key("no vkey", APPROVER))
    added("a role that is none", "statement.form", lambda w: w.key("stranger", "admin"))
    added("an action that is none", "statement.form", lambda w: w.key("stranger", APPROVER, "promote"))
    added("a key added by one root", "statement.quorum", lambda w: w.key("stranger", APPROVER, signers=["root1"]))
    added(
        "a key added by a root twice",
        "statement.quorum",
        lambda w: w.key("stranger", APPROVER, signers=["root1", "root1"]),
    )
    added("a key added by approvers", "statement.quorum", lambda w: w.key("stranger", APPROVER, signers=["ap1", "ap2"]))
    added("a key added by itself", "statement.quorum", lambda w: w.key("stranger", ROOT, signers=["root1", "stranger"]))
    added("a policy by one root", "statement.quorum", lambda w: w.set_policy(POLICY, ["root2"]))
    added("a policy by operators", "statement.quorum", lambda w: w.set_policy(POLICY, ["op1", "root2"]))
    added("an old policy's statement", "statement.size", lambda w: w.set_policy(POLICY, size=w.policy_event))
    added("a policy from the future", "statement.size", lambda w: w.set_policy(POLICY, size=len(w.leaves) + 1))
    tweaked("another policy than signed", "note POLICY", line("policy", cbor(POLICY).hex()), "statement.field")
    added("a policy that is none", "policy.form", lambda w: w.set_policy({1: 1}))
    added(
        "an endorsement under the old policy",
        "statement.policy",
        lambda w: w.propose("c9", "x", EXTERNAL),
        lambda w: setattr(w, "policy_event", 0),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
    )
    added("the log's key retired", "key.log", lambda w: w.key(w.log.vkey, LOG, "retire"))


def check_others():
    """Receipts, commits, rollbacks, the override's commands, STATE."""
    added(
        "a receipt of another principal's record",
        "receipt.scope",
        lambda w: w.receipt(["user"], [1], principal="guest"),
    )
    added("a receipt out of order", "receipt.order", lambda w: w.receipt(["user", "a2"], [1, 2]))
    added(
        "a receipt with ids out of order",
        "receipt.order",
        lambda w: w.receipt(sorted([w.id("user"), w.id("a2")], reverse=True), [5, 5]),
    )
    added("a receipt with a record twice", "receipt.order", lambda w: w.receipt(["user", "user"], [5, 5]))
    for name in ("note", "bad", "a1", "brief"):
        added(f"a receipt of {name}, which is not live", "receipt.status", lambda w, name=name: w.receipt([name], [1]))
    added("a receipt of nothing", "status.unknown", lambda w: w.receipt([sha(b"nothing")], [1]))
    tweaked("a boundary that ends before it begins", "COMMIT", put(43, 33), "event.range")
    tweaked("a rollback into the future", "ROLLBACK", put(44, 64), "event.range")
    tweaked("a rollback of nothing", "ROLLBACK", put(34, [sha(b"nothing")]), "status.unknown")
    for name, value in (
        ("cmd", "OBEY"),
        ("target", ""),
        ("target", "agent"),
        ("target", "instance=7"),
        ("counter", "-1"),
        ("counter", 0),
        ("counter", 1 << 40),
        ("nonce", "00"),
        ("prev", "00"),
        ("not_before", "soon"),
        ("not_after", 1_700_000_901),
        ("not_after", 1_700_000_000),
        ("reason", "because"),
    ):
        added(
            f"a command with {name} {value}",
            "override.form",
            lambda w, name=name, value=value: w.command(**{"cmd": "HALT", "counter": 3, name: value}),
        )
    for cmd, arguments in (
        ("REVOKE", {}),
        ("REVOKE", {"record": "*"}),
        ("REVOKE", {"record": bytes(16).hex()}),
        ("REVOKE", {"source": bytes(16).hex()}),
        ("SUSPEND_SOURCE", {}),
        ("SUSPEND_SOURCE", {"source": bytes(32).hex()}),
        ("HALT", {"record": bytes(32).hex()}),
        ("ROTATE_KEY", {"old": Key("stranger").vkey}),
        ("ROTATE_KEY", {"old": "x", "key": Key("stranger").vkey}),
        ("ROTATE_KEY", {"key": Key("root1").vkey, "old": Key("stranger").vkey}),
        ("RESTORE", {"source": "x"}),
        ("RESTORE", {"more": "x"}),
    ):
        added(
            f"{cmd} with {arguments}",
            "override.form",
            lambda w, cmd=cmd, arguments=arguments: w.command(cmd, 3, arguments=arguments),
        )
    w = story()
    for number, (cmd, target, arguments) in enumerate(
        [
            ("NO_ANCHORS", f"agent={AGENT}", {}),
            ("FREEZE_WRITES", "instance=" + bytes(16).hex(), {}),
            ("CLEAN_BOOT", "*", {}),
            ("SUSPEND_SOURCE", "*", {"source": bytes(16).hex()}),
            ("RESTORE", "*", {}),
            ("RESTORE", "*", {"source": bytes(16).hex()}),
            ("ROTATE_KEY", "*", {"old": Key("root1").vkey, "key": Key("stranger").vkey}),
        ]
    ):
        w.command(cmd, 10 + number, target=target, arguments=arguments)
    if not (result := report(w.files()))["sound"]:
        faults.append(f"commands in their form are refused: {result['faults'][:3]}")
    added(
        "a command without signature",
        "override.form",
        lambda w: w.event("OVERRIDE", {31: "fieldprint/override/v1\ncmd=HALT\n"}),
    )
    added("a command for another agent", "override.agent", lambda w: w.command("HALT", 3, target="agent=somebody"))
    added("a command come again", "override.counter", lambda w: w.command("HALT", 2))
    added("an older command", "override.counter", lambda w: w.command("HALT", 1))
    added(
        "revoked by a command that is nowhere",
        "override.unknown",
        lambda w: w.revoke("user", command=w.signed("fieldprint/override/v1\ncmd=REVOKE\n", ["op1"], "x")),
        first=True,
    )
    added(
        "revoked by the command to revoke another",
        "override.target",
        lambda w: w.revoke("user", command=w.command("REVOKE", 3, arguments={"record": w.id("other").hex()})),
    )
    added("revoked by the command to halt", "override.target", lambda w: w.revoke("user", command=w.command("HALT", 3)))
    tweaked("another root of the registry", "STATE 2", put(48, sha(b"other")), "state.root")
    tweaked("another number of rows", "STATE 2", put(49, 3), "state.rows")
    for field, value in {"status": "ADMITTED", "changed": 3, "brought": 2, "erased": True}.items():
        w = story()
        w.rows[w.id("a2")] = {**w.rows[w.id("a2")], field: value}
        w.state("STATE 3")
        expect(f"STATE of a registry with another {field}", report(w.files()), "state.root")
