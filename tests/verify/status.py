"""Every change of status, allowed or not."""

from harness import *


def check_status():
    """Every transition that the table does not have, and what else a change of status needs."""
    allowed = {
        "COMPILE": {"ENDORSED", "COMPILED", "ACTIVE"},
        "ACTIVATE": {"COMPILED", "ACTIVE"},
        "SUSPEND": set(LIVE),
        "RELEASE": {"SUSPENDED"},
        "SUPERSEDE": {"ENDORSED", "COMPILED", "ACTIVE"},
        "REVOKE": set(STATUSES[1:8]),
        "EXPIRE": {*LIVE, "SUSPENDED"},
        "ERASE": set(STATUSES[1:]) - {"ACTIVE"},
        "ENDORSE": {"PROPOSED"},
    }

    def in_status(w, status):
        """Brings an anchor-to-be "x" into a status, by allowed steps alone."""
        if status == "ADMITTED":
            return w.admit("x", USR, "x", USER)
        w.propose("x0", "x", USER, fields={12: w.time + 10_000})
        if status == "PROPOSED":
            w.ids["x"] = w.ids["x0"]
            return None
        w.endorse("x0", "x", ["ap1", "ap2"], valid_until=w.time + 10_000)
        order = {"ENDORSED": 0, "COMPILED": 1, "ACTIVE": 2, "SUSPENDED": 1, "SUPERSEDED": 1, "REVOKED": 1, "EXPIRED": 1}
        if order[status] >= 1:
            w.compile("x")
        if order[status] >= 2:
            w.activate("x")
        if status == "SUSPENDED":
            w.suspend("x")
        elif status == "SUPERSEDED":
            w.propose("y0", "y", USER)
            w.endorse("y0", "y", ["ap1", "ap2"])
            w.supersede("x", "y", ["ap1", "ap2"])
        elif status == "REVOKED":
            w.revoke("x")
        elif status == "EXPIRED":
            w.time += 20_000
            w.expire("x")
        return None

    def act(w, event):
        if event == "EXPIRE":
            w.time += 20_000
        if event == "SUPERSEDE":
            w.propose("next0", "next", USER)
            w.endorse("next0", "next", ["ap1", "ap2"])
        {
            "COMPILE": lambda: w.compile("x"),
            "ACTIVATE": lambda: w.activate("x"),
            "SUSPEND": lambda: w.suspend("x"),
            "RELEASE": lambda: w.release("x", ["ap1", "ap2"]),
            "SUPERSEDE": lambda: w.supersede("x", "next", ["ap1", "ap2"]),
            "REVOKE": lambda: w.revoke("x"),
            "EXPIRE": lambda: w.expire("x"),
            "ERASE": lambda: w.erase("x"),
            "ENDORSE": lambda: w.endorse("x", "z", ["ap1", "ap2"], influence=3),
        }[event]()

    for event, good in allowed.items():
        for status in STATUSES[1:]:
            w = story()
            in_status(w, status)
            if w.rows[w.id("x")]["status"] != status:
                faults.append(f"the test does not bring a record to {status}")
            act(w, event)
            result = report(w.files())
            name = f"{event} of what is {status}"
            if status in good and not (event == "EXPIRE" and status == "ADMITTED"):
                if not result["sound"]:
                    faults.append(f"{name}: {result['faults'][:2]}")
            else:
                expect(
                    name,
                    result,
                    "status.expire" if status in good else "status.transition",
                    first=True,
                    record=w.id("x").hex(),
                )
    for event, good in allowed.items():
        w = story()
        w.decoded = {**w.decoded}
        ghost = w.record("ghost", ANC, "Nobody brought me.", USER)
        w.rows[ghost] = {"brought": 0, "erased": False, "status": "ADMITTED", "before": None, "changed": 0}
        w.ids["x"] = ghost
        act(w, event)
        expect(f"{event} of what no event brought", report(w.files()), "status.unknown", first=True, record=ghost.hex())

    added("brought twice", "status.new", lambda w: w.event("ADMIT", {20: w.id("plain"), 21: OBS, 22: EXTERNAL}))
    added(
        "proposed what was admitted",
        "status.new",
        lambda w: w.event("PROPOSE", {20: w.id("plain"), 21: OBS, 22: EXTERNAL}),
    )
    added(
        "an anchor brought twice",
        "status.new",
        lambda w: w.propose("c9", "x", USER),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
        lambda w: w.propose("c8", "x", USER),
        lambda w: w.tweaks.update(
            {"a8": put(25, w.id("a9")), "raw record a8": lambda raw: raw.__setitem__(0, w.records[w.id("a9")])}
        ),
        lambda w: w.endorse("c8", "a8", ["ap1", "ap2"]),
        first=True,
    )
    added("admitted an anchor", "status.kind", lambda w: w.admit("c9", ANC, "x", USER))
    added("quarantined an anchor", "status.kind", lambda w: w.quarantine("c9", ANC, "x", USER))
    added("proposed an observation", "status.kind", lambda w: w.bring("PROPOSE", "c9", OBS, "x", EXTERNAL))
    added("proposed what is HOSTILE", "status.hostile", lambda w: w.propose("c9", "x", HOSTILE))
    added(
        "admitted what descends from REVOKED",
        "status.fallen",
        lambda w: w.admit("c9", INF, "x", EXTERNAL, lineage=["bad"]),
    )
    added(
        "admitted what descends from it by two",
        "status.fallen",
        lambda w: w.admit("c9", INF, "x", EXTERNAL, lineage=["child"]),
    )
    added(
        "admitted what descends from it by an anchor",
        "status.fallen",
        lambda w: w.admit("c9", INF, "x", EXTERNAL, lineage=["a3"]),
    )
    added(
        "proposed what descends from REVOKED",
        "status.fallen",
        lambda w: w.propose("c9", "x", EXTERNAL, lineage=["bad"]),
    )
    added("released what descends from REVOKED", "status.ancestor", lambda w: w.release("child", ["ap1", "ap2"]))
    added("released what descends from SUSPENDED", "status.ancestor", lambda w: w.release("deep child", ["ap1", "ap2"]))
    added(
        "endorsed what descends from SUSPENDED",
        "status.ancestor",
        lambda w: w.propose("c9", "x", EXTERNAL, lineage=["deep"]),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
    )
    for what in (lambda w: w.compile("a9"), lambda w: w.activate("a9")):
        added(
            "raised what descends from SUSPENDED",
            "status.ancestor",
            lambda w: w.admit("src", USR, "x", USER),
            lambda w: w.propose("c9", "x", USER, lineage=["src"]),
            lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
            lambda w: w.compile("a9"),
            lambda w: w.suspend("src"),
            what,
        )

    def short_lived(w):
        w.propose("c9", "x", USER)
        w.endorse("c9", "a9", ["ap1", "ap2"], valid_until=w.time + 1000)
        w.compile("a9")

    later = lambda w: setattr(w, "time", w.time + 5000)
    added("compiled what has expired", "status.valid-until", short_lived, later, lambda w: w.compile("a9"))
    added("activated what has expired", "status.valid-until", short_lived, later, lambda w: w.activate("a9"))
    added(
        "released what has expired",
        "status.valid-until",
        short_lived,
        lambda w: w.suspend("a9"),
        later,
        lambda w: w.release("a9", ["ap1", "ap2"]),
    )
    added(
        "endorsed until yesterday",
        "status.valid-until",
        lambda w: w.propose("c9", "x", USER),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"], valid_until=5),
    )
    added(
        "endorsed what has expired",
        "status.valid-until",
        lambda w: w.propose("c9", "x", USER, fields={12: w.time + 10}),
        later,
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"]),
    )
    added("expired too early", "status.expire", short_lived, lambda w: w.expire("a9"))
    added("expired what is valid for ever", "status.expire", lambda w: w.expire("user"))
    added("erased twice", "status.transition", lambda w: w.erase("plain"), lambda w: w.erase("plain"))
    added(
        "pinned without permission",
        "status.influence",
        lambda w: w.propose("c9", "x", USER),
        lambda w: w.endorse("c9", "a9", ["ap1", "ap2"], influence=3),
        lambda w: w.compile("a9"),
    )
    added(
        "more tokens than the policy has",
        "status.tokens",
        short_lived,
        lambda w: w.compile("a9", tokens=1000),
        lambda w: w.activate("a9"),
    )
    added("another anchor set", "anchor.set", short_lived, lambda w: w.activate("a9", digest_of=[w.id("a2")]))
    added(
        "an anchor set in another order",
        "anchor.set",
        short_lived,
        lambda w: w.activate("a9", "a2", digest_of=[w.id("a2"), w.id("a9")]),
    )
    added("a successor that is no anchor", "status.successor", lambda w: w.supersede("a2", "user", ["ap1", "ap2"]))
    added("a successor that is revoked", "status.successor", lambda w: w.supersede("a2", "a3", ["ap1", "ap2"]))
    added("superseded by itself", "status.successor", lambda w: w.supersede("a2", "a2", ["ap1", "ap2"]))
    added("a successor of another", "status.successor", short_lived, lambda w: w.supersede("a9", "a2", ["ap1", "ap2"]))
    added("a cause that is no record", "status.cause", lambda w: w.suspend("user", sha(b"nothing")))
    added("a cause that it does not descend from", "status.cause", lambda w: w.suspend("user", w.id("bad")))
    added(
        "a cause that is live",
        "status.cause",
        lambda w: w.admit("kid", INF, "x", USER, lineage=["user"]),
        lambda w: w.suspend("kid", w.id("user")),
    )
    added(
        "a descendant that stays",
        "status.cascade",
        lambda w: w.revoke("deep"),
        lambda w: w.admit("p", OBS, "x", EXTERNAL),
        lambda w: w.admit("k", INF, "x", EXTERNAL, lineage=["p"]),
        lambda w: w.revoke("p", leave_out=["k"]),
    )
    added(
        "a descendant that falls late",
        "status.cascade",
        lambda w: w.admit("p", OBS, "x", EXTERNAL),
        lambda w: w.admit("k", INF, "x", EXTERNAL, lineage=["p"]),
        lambda w: w.revoke("p", cascade=False),
        lambda w: w.state("s"),
        lambda w: w.suspend("k", w.id("p")),
    )
    added(
        "a descendant that falls of itself",
        "status.cascade",
        lambda w: w.admit("p", OBS, "x", EXTERNAL),
        lambda w: w.admit("k", INF, "x", EXTERNAL, lineage=["p"]),
        lambda w: w.revoke("p", cascade=False),
        lambda w: w.suspend("k", "rule"),
    )
    added(
        "one of three descendants that stays",
        "status.cascade",
        lambda w: w.admit("p", OBS, "x", EXTERNAL),
        lambda w: w.admit("k1", INF, "x", EXTERNAL, lineage=["p"]),
        lambda w: w.admit("k2", INF, "x", EXTERNAL, lineage=["k1"]),
        lambda w: w.admit("k3", INF, "x", EXTERNAL, lineage=["k2", "p"]),
        lambda w: w.revoke("p", leave_out=["k2"]),
    )
