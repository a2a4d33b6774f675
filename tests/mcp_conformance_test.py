#!/usr/bin/env python3
"""@modelcontextprotocol/conformance against tests/mcp/mcp_fixture.cpp, every version that it knows. tests/mcp/conformance.yml
lists the scenarios that may fail, with the reason; one that passes although it is listed is a failure too."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import mcp_clients

FIXTURE = os.path.join(os.environ.get("FIELDPRINT_BUILD", ""), "mcp_fixture")
RUNNER = mcp_clients.MODULES / "@modelcontextprotocol/conformance/dist/index.js"
EXPECTED = mcp_clients.CLIENTS.parent / "conformance.yml"
VERSIONS = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]

if not os.path.exists(FIXTURE):
    sys.exit("set FIELDPRINT_BUILD to a folder with mcp_fixture")
node = mcp_clients.node()
if not node or not RUNNER.exists():
    mcp_clients.skip("there is no node of version 22, or no @modelcontextprotocol/conformance")

failed = False
with subprocess.Popen([FIXTURE, "http", "0"], stdout=subprocess.PIPE, text=True) as server, tempfile.TemporaryDirectory() as folder:
    url = server.stdout.readline().strip()
    for version in VERSIONS:
        done = subprocess.run([node, RUNNER, "server", "--url", url, "--suite", "all", "--spec-version", version,
                               "--expected-failures", EXPECTED, "--output-dir", folder], capture_output=True, text=True, timeout=250)
        total = [line for line in done.stdout.splitlines() if line.startswith("Total:")]
        print(version, *total)
        if done.returncode != 0 or not total:
            print(done.stdout[-3000:], done.stderr[-3000:])
            failed = True
    server.terminate()
    failed = server.wait(30) != 0 or failed
sys.exit(1 if failed else 0)
