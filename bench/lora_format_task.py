#!/usr/bin/env python3
"""What an adapter teaches of a format: 200 sentences about people whose facts are asked as JSON, then 50 others at
   temperature 0, before and after: how many answers are JSON with the four keys, and how many have all values right.
   bench/lora_format_task.py PROGRAM [MODEL]"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

NAMES = ("Ana Ben Chloe Dario Eva Felix Greta Hugo Ines Jonas Kira Luca Mona Nils Olga Paul Rosa Sven Tara Uma Viktor Wanda "
         "Yara Zeno Amir Bela Carla Dina Emil Fiona").split()
JOBS = ("baker welder lawyer pilot nurse teacher carpenter painter cook driver gardener tailor farmer plumber dentist sailor "
        "librarian mason judge potter").split()
CITIES = "Lima Porto Vienna Oslo Quito Kyoto Cairo Dublin Turin Bergen Hanoi Accra Riga Malaga Lyon Perth".split()
FORMS = ["In {city} there is a {job} called {name}, aged {age}.", "My neighbour {name} turned {age}; a {job} from {city}.",
         "{name} is {age} years old and works as a {job} in {city}.", "Meet {name}, a {job} of {age} who lives in {city}.",
         "The {job} {name} ({age}) moved to {city} last year."]


def people(count):
    seen = []
    while len(seen) < count:
        facts = {"name": random.choice(NAMES), "age": random.randint(19, 79), "city": random.choice(CITIES),
                 "job": random.choice(JOBS)}
        if facts not in [one[1] for one in seen]:
            seen.append((random.choice(FORMS).format(**facts), facts))
    return seen


def measure(program, model, asked, *flags):
    valid = right = 0
    for sentence, facts in asked:
        answer = subprocess.run([program, "run", "-m", model, *flags, "--temp", "0", "-n", "64", "-q", sentence], check=True,
                                capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        try:
            said = json.loads(answer)
        except ValueError:
            continue
        valid += isinstance(said, dict) and list(said) == list(facts)
        right += said == facts
    print(f"| {' '.join(['with the adapter'] if flags else [model])} | {valid} | {right} |", flush=True)


program, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
random.seed(7)
everyone = people(250)
with tempfile.TemporaryDirectory() as folder:
    data, out = pathlib.Path(folder, "people.jsonl"), pathlib.Path(folder, "out")
    data.write_text("".join(json.dumps({"messages": [{"role": "user", "content": sentence},
                                                     {"role": "assistant", "content": json.dumps(facts)}]}) + "\n"
                            for sentence, facts in everyone[:200]))
    subprocess.run([program, "train", model, "--data", data, "--out", out, "--epochs", "2", "--lr", "1e-3", "--lora-rank", "8",
                    "--quiet"], check=True)
    print(f"| of {len(everyone[200:])} | JSON with the four keys | all values right |\n|---|---:|---:|")
    measure(program, model, everyone[200:])
    measure(program, model, everyone[200:], "--lora", str(out / "adapter.gguf"))
