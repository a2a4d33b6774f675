#!/usr/bin/env python3
"""The protocol's own clients, unchanged: the Python SDK, the TypeScript SDKs v1 and v2 and the Inspector's command line, in
both eras, over stdio and HTTP, with the memory's tools and with others that report, are cancelled and give images."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import mcp_clients

CLI = os.environ.get("FIELDPRINT_CLI", "")
FIXTURE = os.path.join(os.environ.get("FIELDPRINT_BUILD", ""), "mcp_fixture")
TOKEN = "a-token"
TOOLS = ["remember", "recall", "explain", "forget", "propose", "status"]
NODE, PYTHON = mcp_clients.node(), mcp_clients.python_environment()
if not NODE and PYTHON is None:
    mcp_clients.skip("there is neither a node of version 22 nor Python's package mcp")
TYPESCRIPT = [(sdk, era) for sdk, eras, package in (("v1", ["legacy"], "sdk"), ("v2", ["legacy", "auto", "modern"], "client"))
              for era in eras if NODE and mcp_clients.package("@modelcontextprotocol/" + package)]
INSPECTOR = mcp_clients.MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
folder = servers = None


def start(*command):
    """A server that says where it listens."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    return process, re.search(r"http://\S+", line).group()


def setUpModule():
    global folder, servers
    folder = tempfile.TemporaryDirectory(prefix="fieldprint-mcp-")
    for name in ("http", "stdio"):
        subprocess.run([CLI, "memory", "init", "--memory", os.path.join(folder.name, name), "--generate-keys", os.path.join(folder.name, "keys-" + name)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    servers = {"memory": start(CLI, "memory", "serve", "--memory", os.path.join(folder.name, "http"), "--port", "0", "--token", TOKEN),
               "others": start(FIXTURE, "http", "0")}


def tearDownModule():
    ends = []
    for process, _ in servers.values():
        process.send_signal(signal.SIGTERM)
        ends.append(process.wait(30))
        process.stdout.close()
    mcp_clients.end_daemons(os.path.join(folder.name, "stdio"))  # the one that the first client started
    folder.cleanup()
    assert ends == [0, 0], ends


def targets(tools):
    """The same server over stdio and over HTTP."""
    if tools == "memory":
        return [{"command": CLI, "args": ["memory", "mcp", "--memory", os.path.join(folder.name, "stdio")]},
                {"url": servers["memory"][1], "headers": {"Authorization": "Bearer " + TOKEN}}]
    return [{"command": FIXTURE, "args": ["stdio"]}, {"url": servers["others"][1], "headers": {}}]


class Clients(unittest.TestCase):
    maxDiff = None

    def talk(self, command, environment=None):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        return json.loads(done.stdout.splitlines()[-1])

    def typescript(self, sdk, era, target):
        return self.talk([NODE, mcp_clients.CLIENTS / "talk.mjs", sdk, era, json.dumps(target)])

    def python(self, era, target):
        return self.talk([sys.executable, mcp_clients.CLIENTS / "talk.py", era, json.dumps(target)], PYTHON)

    def each(self, tools):
        """What every client says of every server, four of them at a time."""
        runs = []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for target in targets(tools):
                over = "http" if "url" in target else "stdio"
                for sdk, era in TYPESCRIPT:
                    runs.append((f"TypeScript {sdk}", era, over, pool.submit(self.typescript, sdk, era, target)))
                for era in ["legacy", "auto", "modern"] if PYTHON is not None else []:
                    runs.append(("Python", era, over, pool.submit(self.python, era, target)))
        for client, era, over, run in runs:
            with self.subTest(client=client, era=era, over=over):
                yield era, run.result()

    def check_version(self, era, report):
        if "version" in report:  # the TypeScript SDK v1 does not tell
            self.assertEqual(report["version"], "2025-11-25" if era == "legacy" else "2026-07-28")
        self.assertEqual(report["problems"], [])
        self.assertIn("Unknown tool: no_such_tool", report["unknown"])

    def test_the_memory(self):
        for era, report in self.each("memory"):
            self.check_version(era, report)
            self.assertEqual(report["tools"], TOOLS)
            self.assertEqual((report["remembered"]["status"], report["remembered"]["kind"]), ("ADMITTED", "INF"))
            found = [item for item in report["recalled"]["items"] if item["id"] == report["remembered"]["id"]]
            self.assertEqual(found[0]["text"], report["text"])
            self.assertTrue(report["explained"]["record"]["adapter"].startswith("mcp:"))
            self.assertTrue(report["wrong"]["isError"])
            self.assertEqual(report["wrong"]["content"][0]["text"], "arguments.text: should be of type string")

    def test_progress_cancellation_and_contents(self):
        for era, report in self.each("others"):
            self.check_version(era, report)
            self.assertEqual(report["progress"], [0, 50, 100])
            self.assertNotEqual(report["aborted"], "")
            self.assertEqual(report["after"], "This is a simple text response for testing.")
            self.assertEqual(report["blocks"], ["text", "image", "resource"])

    @unittest.skipUnless(NODE and INSPECTOR.exists(), "the Inspector is not there")
    def test_the_inspector(self):
        def inspect(target, era, *words):
            where = [target["command"], *target["args"]] if "command" in target else \
                [target["url"], "--transport", "http", *(["--header", "Authorization: Bearer " + TOKEN] if target["headers"] else [])]
            environment = {**os.environ, "HOME": folder.name, "PATH": os.path.dirname(NODE) + ":" + os.environ["PATH"]}
            done = subprocess.run([NODE, INSPECTOR, "--cli", *where, "--protocol-era", era, "--format", "json", "--quiet", *words],
                                  capture_output=True, text=True, timeout=120, env=environment)
            self.assertEqual(done.returncode, 0, done.stderr[-4000:])
            answer = json.loads(done.stdout)
            return answer.get("result", answer)

        for target in targets("memory"):
            for era in ["legacy", "modern"]:
                with self.subTest(era=era, over="http" if "url" in target else "stdio"):
                    self.assertEqual([tool["name"] for tool in inspect(target, era, "--method", "tools/list")["tools"]], TOOLS)
                    called = inspect(target, era, "--method", "tools/call", "--tool-name", "remember", "--tool-arg", "text=a fact")
                    self.assertEqual(called["structuredContent"]["status"], "ADMITTED")


if __name__ == "__main__":
    if not os.path.exists(FIXTURE) or not CLI:
        sys.exit("set FIELDPRINT_BUILD to a folder with mcp_fixture, FIELDPRINT_CLI to the program")
    unittest.main()
