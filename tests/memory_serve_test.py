#!/usr/bin/env python3
"""A model served beside a memory: what it recalls, pins, takes back and commits; and the audit of an export. Run with
FIELDPRINT_CLI=path/to/fieldprint; needs the default model."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from serving import CLI, Server  # noqa: E402

VERIFY = str(pathlib.Path(CLI).parent / "fieldprint-verify")
MODEL = pathlib.Path(os.environ.get("XDG_DATA_HOME", os.path.expanduser("~/.local/share"))) / \
    "fieldprint/models/SmolLM2-135M-Instruct.Q4_1.gguf"
CALLING = MODEL.parent / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"  # its template knows tools
QUESTION = "Which host do deploys go through?"
TOOLS = [{"type": "function", "function": {"name": "deploy", "parameters": {
    "type": "object", "properties": {"host": {"type": "string", "maxLength": 8}}, "required": ["host"]}}}]


class Memory(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fieldprint-memory-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.memory = self.folder / "memory"
        self.call("init", "--generate-keys", self.folder / "keys")

    def call(self, *arguments, code=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPRINT_")}
        env["FIELDPRINT_MEMORY"] = str(self.memory)
        done = subprocess.run([CLI, "memory", *map(str, arguments)], capture_output=True, env=env, timeout=120)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout.decode()} {done.stderr.decode()}")
        return done.stdout.decode()

    def json(self, *arguments):
        return json.loads(self.call(*arguments, "--json"))

    def remember(self, text, *flags):
        return self.json("add", text, *flags)["id"]

    def anchor(self, text):
        candidate = self.json("propose", text)["id"]
        return self.json("endorse", candidate, "--key", self.folder / "keys/approver-1.key")["anchor"]

    def events(self, kind):
        return [event for event in self.json("log", "-n", 1000)["events"] if event["event"] == kind]

    def ask(self, server, **more):
        body = {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 24, **more}
        answer = server.ask("/v1/chat/completions", body, timeout=120)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def used(self, answer):
        return {record["id"]: record["influence"] for record in answer["fieldprint"]["memory"]["used"]}

    def test_an_answer_recalls_holds_to_anchors_and_forgets_what_is_revoked(self):
        page = self.remember("Deploys go through the host vulture.", "--channel", "web", "--uri", "http://evil.example")
        note = self.remember("Deploys go through the host heron.")
        anchor = self.anchor("Answer in one short sentence.")
        with Server(MODEL, "--memory", self.memory) as server:
            before = self.ask(server)
            self.assertEqual(set(self.used(before)), {page, note, anchor})
            self.assertTrue(all(0 < share < 1 for share in self.used(before).values()))
            self.assertEqual(before["choices"][0]["message"]["content"], self.ask(server)["choices"][0]["message"]["content"])
            self.call("revoke", page, "--key", self.folder / "keys/operator.key")
            after = self.ask(server)
            self.assertEqual(set(self.used(after)), {note, anchor})
            self.call("revoke", anchor, "--key", self.folder / "keys/operator.key")
            bare = self.ask(server)
            self.assertEqual(set(self.used(bare)), {note})
        self.assertEqual(len(self.events("COMMIT")), 4)
        self.assertEqual([event["id"] for event in self.events("ACTIVATE")], [anchor])
        export = self.folder / "export"
        self.call("export", export, "--payloads")
        checked = subprocess.run([VERIFY, export], capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        for flags in (["--threads", "1"], ["--threads", "2"]):
            audits = self.json("audit", export, "-m", MODEL, *flags)
            self.assertEqual(len(audits), 4)
            self.assertTrue(all(audit["same"] for audit in audits), audits)
        # One bit of one token of what was committed: the audit says where they part.
        data = bytearray((export / "commits").read_bytes())
        data[len(data) // 2] ^= 1
        (export / "commits").write_bytes(bytes(data))
        damaged = subprocess.run([CLI, "memory", "audit", export, "-m", MODEL], capture_output=True, timeout=120)
        self.assertNotEqual(damaged.returncode, 0)
        # Erasing a record takes the runs along that saw it.
        self.call("erase", note)
        again = self.folder / "again"
        self.call("export", again, "--payloads")
        self.assertEqual((again / "commits").read_bytes(), b"")

    def test_a_call_leaves_when_its_boundary_is_signed(self):
        if not CALLING.exists():
            self.skipTest("qwen2.5-coder-1.5b is not here")
        self.remember("Deploys go through the host heron.")
        with Server(CALLING, "--memory", self.memory) as server:
            answer = self.ask(server, tools=TOOLS, tool_choice="required", max_tokens=60)
            calls = answer["choices"][0]["message"]["tool_calls"]
            self.assertEqual(calls[0]["function"]["name"], "deploy")
            status = self.json("status")
            commits = self.events("COMMIT")
            self.assertEqual(len(commits), 1)
            self.assertGreater(status["signed_size"], commits[0]["index"])
            streamed = server.events("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}],
                                                              "tools": TOOLS, "tool_choice": "required", "max_tokens": 60})
            deltas = [choice["delta"] for data in streamed if data != "[DONE]" for choice in data["choices"]]
            self.assertTrue(any(delta.get("tool_calls") for delta in deltas))

    def test_a_revocation_reaches_an_answer_that_is_under_way(self):
        page = self.remember("Deploys go through the host vulture.", "--channel", "web", "--uri", "http://evil.example")
        with Server(MODEL, "--memory", self.memory) as server:
            results = []
            thread = threading.Thread(target=lambda: results.append(self.ask(server, max_tokens=1500, ignore_eos=True)))
            thread.start()
            time.sleep(1)
            self.call("revoke", page, "--key", self.folder / "keys/operator.key")
            thread.join()
            self.assertEqual(self.used(results[0]), {}, "the answer began anew and has not seen it")
            clean = self.ask(server, max_tokens=1500, ignore_eos=True)
            self.assertEqual(results[0]["fieldprint"]["logits_hash"], clean["fieldprint"]["logits_hash"])

    def test_the_override_halts_a_served_memory(self):
        self.remember("Deploys go through the host heron.")
        with Server(MODEL, "--memory", self.memory) as server:
            self.ask(server)
            with open(self.memory / "override" / "flags", "r+b") as flags:  # in place: it is mapped
                flags.write(b"not a page of flags" * 10)
            answer = server.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]})
            self.assertIn(answer.status, (503, 500))


if __name__ == "__main__":
    if not CLI:
        sys.exit("FIELDPRINT_CLI names no program")
    if not MODEL.exists():
        print("skipped: the default model is not here")
        sys.exit(77)
    unittest.main()
