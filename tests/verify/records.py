"""Records, their labels and lineage; anchors."""

from harness import *


def check_records():
    """What a record says beside its event, its ledger, its lineage."""
    tweaked("another kind in the event", "plain", put(21, USR), "record.event")
    tweaked("another integrity in the event", "plain", put(22, HOSTILE), "record.event")
    tweaked("a time of expiry in the event alone", "plain", put(23, 1_900_000_000_000), "record.event")
    tweaked("another time of expiry in the event", "brief", put(23, 1_700_000_000_001), "record.event")
    tweaked("no time of expiry in the event", "brief", drop(23), "record.event")
    tweaked("another agent", "record plain", put(3, "somebody"), "record.agent")
    tweaked("a base size too large", "record plain", put(6, 1000), "record.base-size")
    tweaked("created after its event", "record plain", put(14, 1_900_000_000_000), "record.created")
    for step, kind, integrity in (
        ("plain", OBS, USER),
        ("tmp", USR, WITNESSED),
        ("event", EPI, ENDORSED),
        ("late", INF, WITNESSED),
    ):
        tweaked(
            f"kind {kind} with integrity {integrity}",
            f"record {step}",
            label(integrity=integrity),
            "label.kind",
            first=True,
        )
    tweaked("a candidate with integrity WITNESSED", "record c2", label(integrity=WITNESSED), "label.kind", first=True)
    tweaked("an observation that may be pinned", "record plain", put(10, 7), "record.influence", first=True)

    tweaked("integrity above its lineage", "record child", label(integrity=USER), "label.integrity")
    tweaked("sources without its lineage's", "record child", label(sources=[source("x", "y", "z")]), "label.sources")
    tweaked("no sources at all", "record child", label(sources=[]), "label.sources")
    tweaked(
        "readers that its lineage does not have", "record secret2", label(readers=["anna", "carl"]), "label.readers"
    )
    tweaked("everybody, where its lineage has readers", "record secret2", lambda f: f[5].pop(3), "label.readers")
    added(
        "sources where its lineage has any",
        "label.sources",
        lambda w: w.admit("any", INF, "x", EXTERNAL, sources=0),
        lambda w: w.tweaks.update({"record few": label(sources=[source("a", "b", "c")])}),
        lambda w: w.admit("few", INF, "y", EXTERNAL, lineage=["any"]),
    )
    added("lineage of another principal", "label.scope", lambda w: w.admit("mixed", INF, "x", USER, lineage=["other"]))
    added(
        "a principal of its own",
        "label.scope",
        lambda w: w.admit("mixed", INF, "x", USER, lineage=["user"], principal="guest"),
    )
    added("a candidate above its lineage", "label.integrity", lambda w: w.propose("c9", "x", USER, lineage=["web"]))
    added(
        "what is derived from HOSTILE is not",
        "label.integrity",
        lambda w: w.admit("clean", INF, "x", EXTERNAL, lineage=["spam"]),
    )
    tweaked("lineage that is no record's", "record plain", put(7, [sha(b"nothing")]), "lineage.unknown")
    tweaked("supersedes what is no record", "record plain", put(13, sha(b"nothing")), "lineage.order")
    added(
        "a base size before its lineage",
        "lineage.order",
        lambda w: w.admit("x", INF, "x", EXTERNAL, lineage=["deep"], fields={6: 3}),
    )
    added(
        "supersedes what came after it was written",
        "lineage.order",
        lambda w: w.admit("x", USR, "x", USER, fields={6: 3, 13: w.id("deep")}),
    )

    w = story()
    hidden = w.record("unborn", OBS, "Not yet.", EXTERNAL)
    w.admit("early", INF, "x", EXTERNAL, lineage=["unborn"])
    w.bring("ADMIT", "unborn2", OBS, "x", EXTERNAL)
    w.event("ADMIT", {20: hidden, 21: OBS, 22: EXTERNAL})
    w.row(hidden, "ADMITTED")
    w.decoded[hidden][6] = 0
    expect("lineage that comes later", report(w.files()), "lineage.order")


def check_anchors():
    tweaked("an anchor of integrity USER", "record a1", label(integrity=USER), "anchor.label")
    tweaked("an anchor with other sources", "record a1", label(sources=[source("x", "y", "z")]), "anchor.sources")
    tweaked("an anchor with the source of one approver", "record a1", lambda f: f[5][2].pop(), "anchor.sources")
    tweaked("an anchor of any source", "record a1", label(sources=0), "anchor.sources")
    tweaked(
        "an anchor with one more in its lineage",
        "record a1",
        lambda f: f.__setitem__(7, sorted(f[7] + [story().id("web")])),
        "anchor.lineage",
    )
    tweaked("an anchor without lineage", "record a3", put(7, []), "anchor.lineage", first=True)
    tweaked("an anchor with another text", "record a1", put(8, sha(b"another text")), "anchor.copy", first=True)
    tweaked(
        "an anchor with another embedding", "record a1", put(9, {1: "ngram-1", 2: 8, 3: sha(b"other")}), "anchor.copy"
    )
    tweaked("an anchor without embedding", "record a1", drop(9), "anchor.copy")
    tweaked("an anchor with other readers", "record a1", label(readers=["anna"]), "anchor.copy")
    tweaked("an anchor with another confidence", "record a1", put(11, 99), "anchor.copy")
    tweaked("an anchor that supersedes", "record a1", lambda f: f.__setitem__(13, f[7][0]), "anchor.copy")
    tweaked("an anchor of another influence", "record a1", put(10, 5), "statement.field")
    tweaked("an anchor valid for longer", "record a2", put(12, 1_900_000_000_000), "record.event")
    tweaked("an anchor valid for ever", "record a2", drop(12), "record.event")
    tweaked("an anchor written in the future", "record a1", put(6, 1000), "record.base-size")
    tweaked("an anchor of another agent", "record a1", put(3, "somebody"), "record.agent")
