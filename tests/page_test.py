#!/usr/bin/env python3
"""The page of `fieldprint serve`: is the committed file what its sources make, does its logic hold, and does all of it work
in a browser (web/test/page.mjs)? Needs node, Chromium and web/node_modules, which `tools/setup test` brings where it can."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import tiny_gguf

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
CLI = os.environ.get("FIELDPRINT_CLI", str(ROOT / "build" / "release" / "fieldprint"))
faults = []


def run(what, *command, timeout):
    """Runs it to its end; what it prints is shown where it fails."""
    try:
        done = subprocess.run(command, cwd=WEB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout)
        code, text = done.returncode, done.stdout
    except subprocess.TimeoutExpired as expired:
        code, text = 1, (expired.stdout or b"").decode(errors="replace") + f"\nnot done after {timeout} s"
    if code != 0:
        faults.append(what)
        print(f"page: {what} fails:\n{text}")
    return code == 0


def sources_hash():
    """As web/vite.config.ts computes it."""
    names = [str(path.relative_to(WEB)) for path in (WEB / "src").rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for name in sorted([*names, "index.html", "vite.config.ts", "package-lock.json"]):
        digest.update(name.encode() + b"\0" + (WEB / name).read_bytes() + b"\0")
    return digest.hexdigest()


def built_without_difference():
    with tempfile.TemporaryDirectory() as folder:
        if run("building it", "node", "node_modules/vite/bin/vite.js", "build", "--outDir", folder, "--logLevel", "error", timeout=120):
            if (pathlib.Path(folder) / "index.html").read_bytes() != (WEB / "dist" / "index.html").read_bytes():
                faults.append("currency")
                print("page: web/dist/index.html is not what the sources make: npm run build in web/, and commit it")


found = re.search(r'name="fieldprint-sources" content="(\w+)"', (WEB / "dist" / "index.html").read_text())
if not found or found[1] != sources_hash():
    faults.append("currency")
    print("page: web/dist/index.html is older than its sources: npm run build in web/, and commit it")

chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
missing = None
if not shutil.which("node"):
    missing = "node is not installed"
elif not (WEB / "node_modules" / "vite").exists():
    missing = "web/node_modules is not there (npm ci in web/)"
if not missing:
    built_without_difference()
    run("type checking", "node", "node_modules/typescript/bin/tsc", "--noEmit", timeout=120)
    run("its logic", "node", "test/run.mjs", timeout=60)
    cache = pathlib.Path(os.environ.get("FIELDPRINT_BUILD", "")) / "CMakeCache.txt"
    if not chromium:
        missing = "Chromium is not installed"
    elif cache.is_file() and "-fsanitize" in cache.read_text():
        missing = "a server with sanitizers keeps a browser waiting"
if not missing:
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "script.gguf"
        tiny_gguf.write_script(model, (WEB / "test" / "script.md").read_text(), after="\n")
        os.environ["CHROMIUM"] = chromium
        run("the browser test", "node", "test/page.mjs", CLI, str(model), timeout=300)

if faults:
    sys.exit(1)
if missing:
    print(f"skipped: {missing}: the page was not tried in a browser")
    sys.exit(77)
