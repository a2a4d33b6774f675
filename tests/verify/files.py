"""The files of an export."""

import base64
import os
import struct

from harness import *


def check_files():
    w = story()
    files = w.files()
    bundle, tile = f"tile/entries/000.p/{len(w.leaves)}", f"tile/0/000.p/{len(w.leaves)}"
    for path in files:
        if path != "payloads":
            expect(
                f"no {path}",
                report({k: v for k, v in files.items() if k != path}),
                "export.missing",
                first=True,
                file=path,
            )

            def link(directory, path=path):
                full = os.path.join(directory, path)
                os.rename(full, full + ".real")
                os.symlink(full + ".real", full)

            expect(f"{path} is a link", report(files, prepare=link), "export.link", first=True, file=path)

            def fifo(directory, path=path):
                os.remove(os.path.join(directory, path))
                os.mkfifo(os.path.join(directory, path))

            expect(f"{path} is a FIFO", report(files, prepare=fifo), "export.link", first=True, file=path)
        for name, data in (
            ("one byte less", files[path][:-1]),
            ("one byte more", files[path] + b"x"),
            ("nothing in it", b""),
        ):
            result = report({**files, path: data})
            if result["sound"] or result["sound"] is None:
                if not (path == "payloads" and not data):
                    faults.append(f"{path} with {name} is not refused: {result}")

    def folder_link(directory):
        os.rename(os.path.join(directory, "tile"), os.path.join(directory, "real"))
        os.symlink("real", os.path.join(directory, "tile"))

    expect("a folder is a link", report(files, prepare=folder_link), "export.link", first=True)
    for path in (
        "notes.txt",
        "tile/0/001",
        "tile/0/x000/000",
        "tile/1/000",
        "tile/1/000.p/1",
        "tile/entries/001",
        "tile/0/00",
        "tile/9/000",
        "tile/0/000",
        "tile/entries/000.p/0",
        f"tile/entries/000.p/{len(w.leaves) + 1}",
        "tile/0/000.p/007",
        "records.bak",
        "tile/00/000",
    ):
        expect(f"a stray {path}", report({**files, path: b"x"}), "export.stray", file=path)
    expect("a left tile that is another", report({**files, "tile/0/000.p/7": bytes(32 * 7)}), "tile.hash")
    expect("a left tile that is short", report({**files, "tile/0/000.p/7": files[tile][: 32 * 6]}), "tile.hash")
    expect("a left bundle that is another", report({**files, "tile/entries/000.p/2": b"\0\1a\0\1b"}), "tile.hash")

    def nest(directory):
        os.makedirs(os.path.join(directory, "/".join(["d"] * 40)))

    expect("folders in folders", report(files, prepare=nest), "export.read")

    expect(
        "a tile with another hash",
        report({**files, tile: files[tile][:32] + sha(b"x") + files[tile][64:]}),
        "tile.hash",
        event=1,
        file=tile,
    )
    expect("a short tile", report({**files, tile: files[tile][:-32]}), "tile.size")
    for name, data in {
        "a count too many": files[bundle] + b"\0\0",
        "a length too large": files[bundle][:-1],
        "an entry too few": files[bundle][: -2 - len(w.leaves[-1])],
    }.items():
        expect(f"a bundle with {name}", report({**files, bundle: data}), "bundle.form", first=True, file=bundle)
    swapped = list(w.leaves)
    swapped[1], swapped[2] = swapped[2], swapped[1]
    result = report({**files, **tiles(swapped)})
    if "tree.root" not in rules(result):
        faults.append(f"two events swapped, and their tile: {rules(result)}")
    result = report({**files, bundle: tiles(swapped)[bundle]})
    if not {"tree.root", "tile.hash"} <= set(rules(result)):
        faults.append(f"two events swapped: {rules(result)}")

    root = base64.b64encode(root_of(w.hashes)).decode()
    size = len(w.leaves)

    def checkpoint(text, keys=None):
        return {**files, "checkpoint": note(text, keys if keys is not None else [w.log, w.witness]).encode()}

    body = f"{ORIGIN}\n{size}\n{root}\n"
    for name, text in {
        "a leading zero": f"{ORIGIN}\n0{size}\n{root}\n",
        "no size": f"{ORIGIN}\nmany\n{root}\n",
        "a short root": f"{ORIGIN}\n{size}\nAAAA\n",
        "an extension": body + "more\n",
        "an empty origin": f"\n{size}\n{root}\n",
        "a size of 2^63": f"{ORIGIN}\n{1 << 63}\n{root}\n",
        "unused bits": (
            body.replace(root, root[:-2] + chr(ord(root[-2]) ^ 1) + "=")
            if root[-2] not in "9zZ/"
            else body.replace(root, "x")
        ),
    }.items():
        expect(f"a checkpoint with {name}", report(checkpoint(text)), "checkpoint.form")
    expect(
        "a checkpoint of another root",
        report(checkpoint(body.replace(root, base64.b64encode(sha(b"x")).decode()))),
        "tree.root",
    )
    expect(
        "a checkpoint of another log",
        report(checkpoint(body.replace(ORIGIN, "example.org/other"))),
        "checkpoint.origin",
        first=True,
    )
    expect(
        "a checkpoint signed by nobody known",
        report(checkpoint(body, [Key("stranger"), w.witness])),
        "checkpoint.signature",
    )
    expect("a checkpoint without a witness", report(checkpoint(body, [w.log])), "checkpoint.witnesses")
    expect(
        "a checkpoint with a witness that is not the ledger's",
        report(checkpoint(body, [w.log, Key("w", 4)])),
        "checkpoint.witnesses",
    )
    forged = Key(ORIGIN)
    forged.private = Key("stranger").private
    expect(
        "a checkpoint with a forged signature", report(checkpoint(body, [forged, w.witness])), "checkpoint.signature"
    )
    forged = Key("witness.example/w1", 4)
    forged.private = Key("stranger").private
    expect(
        "a checkpoint with a forged cosignature",
        report(checkpoint(body, [w.log, forged])),
        "checkpoint.signature",
        first=True,
    )
    for huge in (size + 1, 256, 1 << 20, (1 << 63) - 1):
        result = report(checkpoint(f"{ORIGIN}\n{huge}\n{root}\n"))
        if result["faults"][0]["rule"] != "export.missing" or len(result["faults"]) > 100:
            faults.append(f"a checkpoint of {huge} events: {rules(result)[:3]}")
    result = report(checkpoint(f"{ORIGIN}\n{size - 1}\n{root_of(w.hashes[:size - 1]).hex()}\n"))
    if result["sound"]:
        faults.append("a checkpoint of one event less passes")
    expect("a checkpoint of a megabyte", report({**files, "checkpoint": files["checkpoint"] * 3000}), "export.size")
    expect("a log.vkey that is none", report({**files, "log.vkey": b"hello\n"}), "key.form")
    expect("a log.vkey without newline", report({**files, "log.vkey": w.log.vkey.encode()}), "key.form")
    impostor = Writer()
    impostor.log = Key(ORIGIN + "x")
    other = Key("stranger")
    other.name, other.id = ORIGIN, sha(ORIGIN.encode(), b"\n\x01", other.public)[:4]
    other.vkey = f"{ORIGIN}+{other.id.hex()}+{base64.b64encode(ED25519 + other.public).decode()}"
    expect(
        "an export signed by a key that the ledger does not name",
        report({**checkpoint(body, [other, w.witness]), "log.vkey": (other.vkey + "\n").encode()}),
        "key.log",
    )

    def records(*items):
        return {**files, "records": b"".join(struct.pack("<I", len(raw)) + raw for raw in items)}

    raws = [raw for _, raw in sorted(w.records.items())]
    expect("records out of order", report(records(*reversed(raws))), "records.order")
    expect("a record twice", report(records(raws[0], *raws)), "records.order")
    missing = sorted(w.records)[3]
    result = report(records(*[raw for identity, raw in sorted(w.records.items()) if identity != w.id("plain")]))
    expect("a record missing", result, "record.missing", first=True, record=w.id("plain").hex())
    stray = Writer()
    stray.record("stray", OBS, "x", EXTERNAL)
    expect(
        "a record that no event brought",
        report(records(*[raw for _, raw in sorted({**w.records, **stray.records}.items())])),
        "record.stray",
    )
    for name, data in {
        "a length of nothing": bytes(4),
        "a length too large": struct.pack("<I", 1 << 31),
        "half a length": b"\0\0",
    }.items():
        expect(f"records with {name}", report({**files, "records": files["records"] + data}), "records.form")
    changed = bytearray(files["records"])
    changed[100] ^= 1
    if report({**files, "records": bytes(changed)})["sound"]:
        faults.append("a changed record passes")

    def payloads(change):
        copy = {identity: list(entry) for identity, entry in w.payloads.items()}
        change(copy)
        return {
            **files,
            "payloads": b"".join(
                identity + salt + struct.pack("<I", len(data)) + data for identity, (salt, data) in sorted(copy.items())
            ),
        }

    one = w.id("plain")
    text = cbor({1: "A page.", 2: "cli", 3: "", 4: ""})
    expect(
        "another text",
        report(payloads(lambda p: p[one].__setitem__(1, cbor({1: "B", 2: "cli", 3: "", 4: ""})))),
        "payload.commitment",
        record=one.hex(),
    )
    expect("another salt", report(payloads(lambda p: p[one].__setitem__(0, bytes(32)))), "payload.commitment")
    expect("a payload of no record", report(payloads(lambda p: p.update({sha(b"x"): p[one]}))), "payload.unknown")
    expect(
        "an erased payload",
        report(
            payloads(
                lambda p: p.update(
                    {w.id("tmp"): [sha(b"salt", b"tmp"), cbor({1: "Buy milk.", 2: "cli", 3: "", 4: ""})]}
                )
            )
        ),
        "payload.erased",
    )
    expect(
        "payloads out of order",
        report(
            {
                **files,
                "payloads": b"".join(
                    identity + salt + struct.pack("<I", len(data)) + data
                    for identity, (salt, data) in sorted(w.payloads.items(), reverse=True)
                ),
            }
        ),
        "payloads.order",
    )
    expect("half a payload", report({**files, "payloads": files["payloads"][:-1]}), "payloads.form")
    for name, data in {
        "no map": cbor([1]),
        "a field less": cbor({1: "x", 2: "cli", 3: ""}),
        "a field more": cbor({1: "x", 2: "", 3: "", 4: "", 5: ""}),
        "bytes for text": cbor({1: b"x", 2: "", 3: "", 4: ""}),
        "a byte behind": text + b"\0",
    }.items():
        v = story({"record plain": put(8, digest("payload", sha(b"salt", b"plain") + data))})
        v.payloads[v.id("plain")][1] = data
        expect(f"a payload with {name}", report(v.files()), "payload.form")


def check_commits():
    tokens = struct.pack("<3I", 1, 2, 300)
    w = story({"COMMIT": put(39, digest("tokens", tokens))})
    index = w.kinds.index("COMMIT")

    def commits(*entries):
        return {**w.files(), "commits": b"".join(struct.pack("<QI", at, len(data)) + data for at, data in entries)}

    good = cbor({1: tokens, 2: [[1, "source", 0]], 10: 1})
    result = report(commits((index, good)))
    if not result["sound"] or result["counts"]["commits"] != 1:
        faults.append(f"commits that are right are refused: {result['faults'][:3]}")
    expect("other token ids", report(commits((index, cbor({1: tokens[4:]})))), "commit.tokens", event=index)
    for name, data in {
        "three bytes": cbor({1: b"123"}),
        "no token ids": cbor({2: tokens}),
        "an empty map": cbor({}),
        "an array": cbor([1, tokens]),
        "a byte behind": good + b"\0",
        "no bytes": b"",
    }.items():
        expect(f"a commit of {name}", report(commits((index, data))), "commit.form")
    expect("a commit of another event", report(commits((index + 1, good))), "commit.unknown", event=index + 1)
    expect("a commit of no event", report(commits((1 << 40, good))), "commit.unknown")
    expect("a commit twice", report(commits((index, good), (index, good))), "commits.order")
    for name, data in {
        "half a head": bytes(11),
        "a length too large": struct.pack("<QI", index, 1 << 30),
        "a length beyond": struct.pack("<QI", index, 1),
    }.items():
        expect(f"commits with {name}", report({**w.files(), "commits": data}), "commits.form")
