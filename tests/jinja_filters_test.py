#!/usr/bin/env python3
"""The filters wordwrap, pprint and urlize against Jinja2's own, on thousands of random values. Skipped where Jinja2 is
not installed. Run with FIELDPRINT_CLI=path/to/fieldprint."""
import json
import os
import random
import subprocess
import sys
import tempfile

try:
    import jinja2.sandbox
except ImportError:
    print("skipped: Jinja2 is not installed (pip install jinja2)")
    sys.exit(77)

CLI = os.environ.get("FIELDPRINT_CLI", "")
CASES = 400  # of each template
WORDS = ["a", "word", "goof-ball", "well-known-thing", "--", "a--b", "-", "---", "x-", "supercalifragilistic", "\u00fc\u00f6", "\u4e16\u754c",
         "it's", "don't-stop", "1-2", "e.g.-like", "(see", "\"q\"-z", "a_b-c_d", "\u00a0", "\t", "\n", "\r\n", "\u2028", "", ".", "end.--So", "-b", "--opt"]
ADDRESSES = ["http://example.com", "https://a.b/c?d=e&f", "www.x.org", "(www.x.org)", "(http://a.com/(b))", "<http://a.com>", "foo@bar.com",
             "mailto:a@b.co", "a@b", "x.com,", "example.net.", "ftp://x.y", "@a@b.c", "http://1.2.3.4:80/", "http://[::1]/", "xn--a.com", "WWW.Foo.De",
             "https://\u00fc.de", "a.museum", "tel:123", "<b>&amp;", "http://a.com)", "((http://a.com))", "x.info/", "a&b.com", "mailto:x"]
PIECES = ["(", ")", "<", ">", ".", ",", "a", "www.", "b.com", "@", "http://", "/", ":", "%", "-"]


def text(chance):
    words = [chance.choice(WORDS) for _ in range(chance.choice([0, 1, 5, 30]))]
    return chance.choice([" ", " ", ""]).join(words)


def addresses(chance):
    if chance.random() < 0.3:
        return "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 14)))
    return chance.choice([" ", "  ", "\n"]).join(chance.choice(ADDRESSES + WORDS[:6]) for _ in range(chance.choice([1, 2, 6])))


def anything(chance, depth=0):
    kind = chance.randrange(9)
    if kind < 3 or depth > 4:
        return text(chance)
    if kind == 3:
        return chance.choice([0, -1, 12345678901234567890, 1.5, True, None])
    if kind == 4:
        return chance.choice(["it's", "\"'", "a\nb\n" * 5, "x" * 100, "ab " * 40])
    if kind < 7:
        return [anything(chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 5, 12]))]
    return {chance.choice(WORDS) + str(chance.randrange(30)): anything(chance, depth + 1) for _ in range(chance.choice([0, 1, 3, 9]))}


TEMPLATES = [(f"wordwrap{arguments}", text) for arguments in
             ("", "(1)", "(2)", "(5)", "(20)", "(8, false)", "(3, true, '|')", "(9, break_on_hyphens=false)", "(0)")]
TEMPLATES += [("pprint", anything)]
TEMPLATES += [(f"urlize{arguments}", addresses) for arguments in
              ("", "(10)", "(3, true)", "(-3)", "(target='_blank')", "(rel='me you')", "(extra_schemes=['tel:', 'ftp://'])")]


def main():
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    wrong = cases = 0
    for number, (name, values) in enumerate(TEMPLATES):
        chance, source = random.Random(number), "{{ v|" + name + " }}"
        variables = [{"v": values(chance)} for _ in range(CASES)]
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as file:
            file.write(source)
            file.flush()
            done = subprocess.run([CLI, "template", "--template", file.name, "--jsonl"], timeout=120, capture_output=True,
                                  input="".join(json.dumps(one) + "\n" for one in variables).encode())
        answers = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
        assert len(answers) == len(variables), done.stderr.decode()
        for one, answer in zip(variables, answers):
            cases += 1
            try:
                wanted = environment.from_string(source).render(**one)
            except ValueError as error:
                wanted = {"error": f"chat template, line 1: {error}"}
            if answer != wanted:
                wrong += 1
                if wrong <= 10:
                    print(f"{name} of {one['v']!r}\n  Jinja2: {wanted!r}\n  here:   {answer!r}")
    print(f"{cases} cases, {wrong} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    if not CLI:
        sys.exit("FIELDPRINT_CLI does not say where the program is")
    main()
