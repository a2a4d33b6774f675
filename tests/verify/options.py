"""Flags, kept checkpoints, single proofs."""

import base64
import json
import os
import subprocess
import tempfile

from harness import *


def check_options():
    w = story()
    files = w.files()
    with tempfile.TemporaryDirectory() as directory:
        export = os.path.join(directory, "export")
        write(files, export)

        def kept(name, text):
            path = os.path.join(directory, name)
            with open(path, "w") as file:
                file.write(text)
            return path

        def check(name, rule, *arguments, code=None, among=False):
            done = run(*arguments, "--json")
            code = code if code is not None else 1 if rule else 0
            if done.returncode != code:
                faults.append(f"{name}: exit {done.returncode}, not {code}: {done.stdout[-300:]}{done.stderr}")
            elif rule:
                refused.append(name)
                found = rules(json.loads(done.stdout))
                if rule not in found or not among and set(found) != {rule}:
                    faults.append(f"{name}: expected {rule}: {found}")

        stranger, second = Key("stranger"), Key("witness.example/w2", 4)
        check("the right log key", None, export, "--log-key", w.log.vkey)
        check("another log key", "key.log", export, "--log-key", impostor_of(w).vkey, among=True)
        check(
            "an older checkpoint of another ledger",
            "tree.consistency",
            export,
            "--older",
            kept("older", note(w.checkpoint(7).split("\n\n")[0].replace(ORIGIN, "example.org/other") + "\n", [w.log])),
            among=True,
        )
        with open("/dev/full", "w") as full:
            if subprocess.run([PROGRAM, export], stdout=full, stderr=subprocess.DEVNULL).returncode != 2:
                faults.append("a report that cannot be written ends well")
        check("the right witness", None, export, "--witness", w.witness.vkey)
        check("no witness needed", None, export, "--min-witnesses", 0)
        check(
            "one of two witnesses",
            None,
            export,
            "--witness",
            w.witness.vkey,
            "--witness",
            second.vkey,
            "--min-witnesses",
            1,
        )
        check(
            "two of two witnesses",
            "checkpoint.witnesses",
            export,
            "--witness",
            w.witness.vkey,
            "--witness",
            second.vkey,
        )
        check("another witness", "checkpoint.witnesses", export, "--witness", second.vkey)
        check("two witnesses needed", "checkpoint.witnesses", export, "--min-witnesses", 2)
        for text in ("", "x", w.log.vkey + "x", w.log.vkey.replace("+", "-"), w.log.vkey[:-4]):
            check(f"a log key {text!r}", None, export, f"--log-key={text or ' '}", code=2)
        check("a witness that is none", None, export, "--witness", w.log.vkey, code=2)
        check("a directory that is not there", None, os.path.join(directory, "nowhere"), code=2)
        check("nothing", None, code=2)
        check("a flag that there is not", None, export, "--trust-me", code=2)
        check(
            "an older checkpoint that is not there", None, export, "--older", os.path.join(directory, "nowhere"), code=2
        )
        other = Writer()
        check("a proof without key or directory", None, "--proof", kept("p", w.proof(0)), code=2)

        for size in (0, 1, 2, 7, 32, len(w.leaves) - 1, len(w.leaves)):
            check(f"a checkpoint kept at {size}", None, export, "--older", kept("older", w.checkpoint(size)))
            if size:
                check(
                    f"another history at {size}",
                    "tree.consistency",
                    export,
                    "--older",
                    kept("older", w.checkpoint(size, root=sha(b"x"))),
                )
        check(
            "a checkpoint from later",
            "tree.consistency",
            export,
            "--older",
            kept("older", w.checkpoint(len(w.leaves) + 1, root=sha(b"x"))),
        )
        check(
            "a kept checkpoint that nobody signed",
            "checkpoint.signature",
            export,
            "--older",
            kept("older", w.checkpoint(7, signers=[stranger])),
        )
        check("a kept checkpoint that is none", "note.form", export, "--older", kept("older", "hello"))
        other.origin, other.log = "example.org/other", Key("example.org/other")
        other.genesis()

        own, log = ["--log-key", w.log.vkey], w.log.vkey
        for index in (0, 1, 7, len(w.leaves) - 1):
            for size in {index + 1, len(w.leaves)}:
                check(
                    f"the proof of {index} in {size}", None, "--proof", kept("proof", w.proof(index, size=size)), *own
                )
                check(
                    f"the proof of {index} in {size}, with the export",
                    None,
                    export,
                    "--proof",
                    kept("proof", w.proof(index, size=size)),
                )
        event = os.path.join(directory, "event")
        with open(event, "wb") as file:
            file.write(w.leaves[9])
        check(
            "a proof with its event beside it",
            None,
            "--proof",
            kept("proof", w.proof(9, extra=False)),
            "--event",
            event,
            *own,
        )
        odd = Writer()
        odd.genesis()
        odd.leaf(b"no event")
        check("a proof of what is no event", "cbor.canonical", "--proof", kept("proof", odd.proof(1)), *own)
        check(
            "a proof of another event", "proof.inclusion", "--proof", kept("proof", w.proof(8)), "--event", event, *own
        )
        check("a proof without its event", "proof.event", "--proof", kept("proof", w.proof(9, extra=False)), *own)
        good = w.proof(9)
        lines = good.split("\n")
        for name, text, rule in (
            ("another index", good.replace("\nindex 9", "\nindex 8"), "proof.inclusion"),
            ("an index beyond", good.replace("\nindex 9", "\nindex 900"), "proof.inclusion"),
            ("a hash less", "\n".join(lines[:3] + lines[4:]), "proof.inclusion"),
            ("a hash twice", "\n".join(lines[:4] + lines[3:]), "proof.inclusion"),
            ("a leading zero", good.replace("\nindex 9", "\nindex 09"), "proof.form"),
            ("no index", good.replace("\nindex 9", ""), "proof.form"),
            ("version 2", good.replace("@v1", "@v2", 1), "proof.form"),
            ("a short hash", good.replace(lines[3], "AAAA"), "proof.form"),
            ("no empty line", good.replace("\n\n", "\n"), "proof.form"),
            ("no checkpoint", good.split("\n\n")[0] + "\n\n", "note.form"),
            ("64 hashes more", "\n".join(lines[:3] + [lines[3]] * 64 + lines[3:]), "proof.form"),
        ):
            check(f"a proof with {name}", rule, "--proof", kept("proof", text), *own)
        check("a proof of another root", "tree.consistency", export, "--proof", kept("proof", other_root(w)))
        check(
            "a proof without the witness asked for",
            "checkpoint.witnesses",
            "--proof",
            kept("proof", good),
            *own,
            "--witness",
            second.vkey,
        )
        check(
            "a proof under another key",
            "checkpoint.signature",
            "--proof",
            kept("proof", good),
            "--log-key",
            impostor_of(w).vkey,
        )
        terminal = story({"ALARM": put(4, "principal:\u001b[2J")})
        write(terminal.files(), os.path.join(directory, "terminal"))
        done = run(os.path.join(directory, "terminal"))
        if done.returncode != 1 or "\x1b" in done.stdout or "\\x1b" not in done.stdout:
            faults.append(f"control characters reach the terminal: {done.stdout!r}")


def impostor_of(w):
    key = Key("stranger")
    key.name = w.origin
    key.id = sha(w.origin.encode(), b"\n\x01", key.public)[:4]
    key.vkey = f"{key.name}+{key.id.hex()}+{base64.b64encode(ED25519 + key.public).decode()}"
    return key


def other_root(w):
    """A proof of a fork: right in itself, signed, but of another history."""
    fork = story({"web": lambda fields: fields.__setitem__(3, fields[3] + 1)})
    return fork.proof(3, size=20)
