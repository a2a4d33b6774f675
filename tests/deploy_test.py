#!/usr/bin/env python3
"""What deploy/ holds, as far as this machine can check it: the unit by systemd-analyze, the Dockerfile by hadolint, the
manifest by its schema. A tool that is not there is named, and the rest still checked."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLI = os.environ.get("FIELDPRINT_CLI", str(ROOT / "build/release/fieldprint"))
faults, left_out = [], []


def tool(name, why):
    if shutil.which(name) is None:
        left_out.append(f"{why}: there is no {name}")
        return False
    return True


def serve_flags():
    return subprocess.run([CLI, "serve", "--help"], capture_output=True, text=True, check=True).stdout


def check_unit():
    unit = (ROOT / "deploy/fieldprint.service").read_text()
    if not tool("systemd-analyze", "the unit is not verified"):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "fieldprint.service"
        path.write_text(unit.replace("/usr/local/bin/fieldprint", str(pathlib.Path(CLI).resolve())))
        run = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
        if run.returncode != 0 or run.stderr.strip():
            faults.append(f"systemd-analyze verify: {run.stderr}{run.stdout}")
        # 0 is no exposure, 10 all; `threshold` is ten times that.
        run = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", path], capture_output=True, text=True)
        if run.returncode != 0:
            faults.append(f"systemd-analyze security: {run.stdout.splitlines()[-1:]} {run.stderr}")


def check_image():
    text = (ROOT / "deploy/Dockerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, flags=re.M):
        if not (ROOT / source).exists():
            faults.append(f"Dockerfile copies {source}, which does not exist")
    # What the program is linked with is installed, by the names of Debian's packages.
    linked = subprocess.run(["ldd", CLI], capture_output=True, text=True).stdout
    for library, package in {"libfmt.so.9": "libfmt9", "libssl.so.3": "libssl3", "libcurl.so.4": "libcurl4", "libarchive.so.13": "libarchive13",
                             "libedit.so.2": "libedit2", "libpcre2-8.so.0": "libpcre2-8-0", "libsqlite3.so.0": "libsqlite3-0"}.items():
        if library in linked and package not in text:
            faults.append(f"Dockerfile does not install {package}")
    if tool("hadolint", "the Dockerfile is not linted"):
        run = subprocess.run(["hadolint", ROOT / "deploy/Dockerfile"], capture_output=True, text=True)
        if run.returncode != 0:
            faults.append(f"hadolint: {run.stdout}")


def check_manifest():
    try:
        import yaml
    except ImportError:
        left_out.append("the manifest is not read: there is no PyYAML")
        return
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text()))
    kinds = {each["kind"]: each for each in documents}
    container = kinds["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    flags = serve_flags()
    for flag in container["args"]:
        if flag.startswith("--") and flag not in flags:
            faults.append(f"kubernetes.yaml: `serve` has no {flag}")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if container[probe]["httpGet"]["path"] != "/health":
            faults.append(f"kubernetes.yaml: the {probe} does not look at /health")
    volumes = {each["name"] for each in kinds["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    if {each["name"] for each in container["volumeMounts"]} != volumes:
        faults.append("kubernetes.yaml: volumes and mounts differ")
    if tool("kubernetes-validate", "the manifest is not held to Kubernetes' schemas"):
        run = subprocess.run(["kubernetes-validate", "--strict", ROOT / "deploy/kubernetes.yaml"], capture_output=True, text=True)
        if run.returncode != 0:
            faults.append(f"kubernetes-validate: {run.stdout}{run.stderr}")


check_unit()
check_image()
check_manifest()
print("\n".join(faults) if faults else "deploy: nothing is wrong" + "".join(f"; {each}" for each in left_out))
sys.exit(1 if faults else 0)
