#!/usr/bin/env python3
"""What the documents say exists: paths in their code spans, make verbs, the CLI's subcommands and flags. Programs
compile. Where the default model has been pulled, transcripts are what it says, to the hash of its logits (--update
writes them anew), and every line of the README's walk-through runs."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLI = os.environ.get("FIELDPRINT_CLI", str(ROOT / "build/release/fieldprint"))
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("docs/**/*.md")))]
FOLDERS = sorted(p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")) + [".ci"]

faults = []
commands_seen = paths_seen = transcripts_seen = walked = 0


def fault(document, text):
    faults.append(f"{document}: {text}")


def exists(path):
    """A path of the repository; <x>, NAME and * stand for anything, {a,b} for either, a trailing :line is allowed."""
    path = re.sub(r":\d+$", "", path).rstrip("/")
    pattern = re.sub(r"<[a-z_]+>|NAME|NNNN-[a-z]+|x(?=[._])", "*", path)
    choices = [pattern]
    while (found := re.search(r"\{([^}]*)\}", choices[0])):
        choices = [c[: found.start()] + one + c[found.end() :] for c in choices for one in found.group(1).split(",")]
    return all(any(ROOT.glob(choice)) for choice in choices)


def check_paths(document, text):
    global paths_seen
    top = "|".join(map(re.escape, FOLDERS))
    below = "|".join(sorted(p.name for p in (ROOT / "src").iterdir() if p.is_dir()))
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S)):
        if span.startswith("build/") or " " in span:
            continue
        if re.match(rf"(?:{top})/[\w./*<>{{}},:+-]*$", span) or re.match(r"[A-Z]\w+\.(?:md|txt|json)$", span):
            paths_seen += 1
            if not exists(span):
                fault(document, f"`{span}` does not exist")
        elif re.match(rf"(?:{below})/[\w./*<>{{}},:+-]+$", span):
            paths_seen += 1
            if not exists("src/" + span):
                fault(document, f"`src/{span}` does not exist")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        paths_seen += 1
        if not ((ROOT / document).parent / target).exists():
            fault(document, f"links to {target}, which does not exist")


def make_verbs():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))


def run_cli(*arguments, timeout=60):
    return subprocess.run([CLI, *arguments], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


helps = {}


def help_of(subcommand):
    if subcommand not in helps:
        try:
            run = run_cli(*subcommand.split(), "--help")
        except OSError as error:
            sys.exit(f"docs: cannot run the command line, {error}")
        helps[subcommand] = run.stdout if run.returncode == 0 else None
    return helps[subcommand]


def check_command(document, line):
    global commands_seen
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        return fault(document, f"cannot read the command `{line}`: {error}")
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    if not words:
        return None
    program = words[0]
    if program == "make":
        commands_seen += 1
        for verb in words[1:]:
            if "=" not in verb and not verb.startswith("-") and verb not in make_verbs():
                fault(document, f"`{line}`: the Makefile has no {verb}")
    elif program in ("fieldprint", "./fieldprint", "build/release/fieldprint"):
        commands_seen += 1
        subcommand = words[1] if len(words) > 1 and not words[1].startswith("-") else ""
        text = help_of(subcommand)
        if text is None:
            return fault(document, f"`{line}`: there is no `fieldprint {subcommand} --help`")
        if f"Usage: fieldprint {subcommand} ACTION" in text and len(words) > 2 and not words[2].startswith("-"):
            subcommand += " " + words[2]
            action = help_of(subcommand)
            if action is None:
                return fault(document, f"`{line}`: there is no `fieldprint {subcommand} --help`")
            text += action
        for word in words[1:]:
            flag = re.match(r"--?[a-zA-Z][\w-]*", word)
            if flag and not re.search(rf"(?<![\w-]){re.escape(flag.group())}(?![\w-])", text):
                fault(document, f"`{line}`: fieldprint {subcommand} has no {flag.group()}")
    elif "/" in program and not program.startswith(("/", "build/", "~")):
        commands_seen += 1
        if not exists(program.removeprefix("./")):
            fault(document, f"`{line}`: {program} does not exist")
    return None


def check_commands(document, text):
    for language, block in re.findall(r"```(\w*)\n(.*?)```", text, flags=re.S):
        prompted = language == "console"  # a transcript: commands begin with "$ "
        if language not in ("sh", "bash", "console"):
            continue
        block = re.sub(r"(?ms)^curl .*?(?=^[a-z]|\Z)", "", block)  # tests/server_docs_test.py runs these
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            line = line.strip()
            if prompted and not line.startswith("$ "):
                continue
            for part in re.split(r"\s(?:\||&&|;)\s", line.removeprefix("$ ")):
                check_command(document, part.strip())
    for span in re.findall(r"`(make [a-z-]+|fieldprint [a-z]+)`", text):
        check_command(document, span)


def check_transcripts(document, text):
    """```console blocks: `$ fieldprint run ...`, then the answer, then the run line, of which the hash is compared."""
    global transcripts_seen
    for block in re.findall(r"```console\n(\$ \S*fieldprint run [^`]*)```", text):
        prompt, *shown = block.rstrip("\n").split("\n")
        run = run_cli(*shlex.split(prompt.removeprefix("$ "))[1:], timeout=300)
        if run.returncode == 2 and "fieldprint pull" in run.stderr:
            return print(f"docs: the transcript of {document} is not checked, the default model is not here")
        transcripts_seen += 1
        answer, stats = run.stdout.strip(), run.stderr.strip()
        if "--update" in sys.argv:
            fresh = "\n".join([prompt, *(textwrap.fill(line, 118) for line in answer.split("\n")), stats, ""])
            (ROOT / document).write_text((ROOT / document).read_text().replace(block, fresh))
            continue
        hashes = [re.search(r"hash \w+", line) for line in ((shown or [""])[-1], stats)]
        if " ".join(shown[:-1]).split() != answer.split() or not all(hashes) or hashes[0].group() != hashes[1].group():
            fault(document, f"the transcript is out of date (tests/docs_test.py --update); it is now:\n{answer}\n{stats}")
    return None


def check_walk_through(document, text):
    """The commands between "## A walk-through" and the next heading run one after the other, in a folder like the
    repository's. What they answer is not looked at."""
    global walked
    found = re.search(r"^## A walk-through\n(.*?)^## ", text, flags=re.M | re.S)
    if not found:
        return fault(document, "has no walk-through")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", found.group(1), flags=re.S) for line in block.splitlines() if line]
    if run_cli("info").returncode == 2:
        return print(f"docs: the walk-through of {document} is not run, the default model is not here")
    with tempfile.TemporaryDirectory() as folder:
        for path in ROOT.iterdir():
            if path.name not in ("build", "fieldprint"):
                (pathlib.Path(folder) / path.name).symlink_to(path)
        (pathlib.Path(folder) / "build").mkdir()
        (pathlib.Path(folder) / "fieldprint").symlink_to(pathlib.Path(CLI).resolve())
        for line in lines:
            run = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True,
                                 timeout=300, stdin=subprocess.DEVNULL)
            walked += 1
            if run.returncode != 0:
                fault(document, f"`{line}` ended with {run.returncode}:\n{run.stderr.strip()}")
    return None


def check_programs(document, text):
    """```cpp blocks that have a main() compile against the public headers."""
    for block in re.findall(r"```cpp\n(.*?)```", text, flags=re.S):
        if "int main(" in block:
            compiler = [os.environ.get("CXX", "c++"), "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", str(ROOT / "include")]
            run = subprocess.run([*compiler, "-x", "c++", "-"], input=block, capture_output=True, text=True, timeout=600)
            if run.returncode != 0:
                fault(document, f"a program does not compile:\n{run.stderr}")


for document in DOCUMENTS:
    text = (ROOT / document).read_text()
    check_paths(document, text)
    check_commands(document, text)
    check_transcripts(document, text)
    if document == "README.md":
        check_walk_through(document, text)
    check_programs(document, text)
tables = subprocess.run([ROOT / "tools/performance_table", "--check"], capture_output=True, text=True)
if tables.returncode != 0:
    faults.append(tables.stderr.strip())
if commands_seen < 5 or paths_seen < 20:
    faults.append(f"only {commands_seen} commands and {paths_seen} paths were found: the documents or this test changed their form")

print("\n".join(faults) if faults else f"docs: {paths_seen} paths and {commands_seen} commands, all there; {transcripts_seen} transcripts, true; "
                                          f"{walked} lines walked through")
sys.exit(1 if faults else 0)
