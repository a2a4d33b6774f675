#!/usr/bin/env python3
"""Python's literals in tool calls against Python itself: some thousands of random ones, whole and damaged. Each must
give what json.dumps makes of ast.literal_eval's value, or be refused where that has no exact JSON; never another value.
Run with FIELDPRINT_BUILD=path/to/build; asks the test program (src/chat/python_literal_test.cpp)."""
import ast
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

SEED, CASES = 20261128, 8000
PROGRAM = pathlib.Path(os.environ.get("FIELDPRINT_BUILD", "")) / "fieldprint_tests"
warnings.simplefilter("ignore")


class Generator:
    """Source text of literals, with every way of writing them that Python has."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *choices, bad=()):
        """One of `choices`; now and then, in a call that may be refused, one of `bad`."""
        return self.random.choice(bad if bad and self.wild and self.random.random() < 0.15 else choices)

    def space(self):
        return self.random.choice(["", "", "", " ", "  ", "\t", "\n", " \\\n ", "# a comment, ]})\n", "\r\n", "\f"])

    def digits(self, letters="0123456789", most=8):
        count = self.random.choice([1, 1, 2, 3, self.random.randint(1, most), 25])
        return "".join(self.random.choice(letters) + self.random.choice(["", "", "", "", "_"]) for _ in range(count)).rstrip("_")

    def number(self):
        kind = self.random.randrange(10)
        if kind == 0:
            base, letters = self.pick(("0x", "0123456789abcdefABCDEF"), ("0X", "0123456789"), ("0o", "01234567"), ("0O", "01234567"), ("0b", "01"), ("0B", "01"))
            return base + self.pick("", "", "_") + self.digits(letters, 40)
        if kind <= 4:
            return self.pick("0", "00", "0_0", "1", "7", self.digits(), self.digits(most=60), bad=("01", "1__0", "0b2", "0xg", "1_"))
        point = self.pick(self.digits() + ".", "." + self.digits(), self.digits() + "." + self.digits(), self.digits())
        exponent = self.pick("", "", self.pick("e", "E") + self.pick("", "+", "-") + self.pick("0", "5", "1_0", "22", "200", "-300", bad=("308", "309", "323", "324", "400", "")))
        return (point + exponent).replace("+-", "-").replace("--", "-") + self.pick("", bad=("j",))

    def string(self):
        prefix = self.pick("", "", "", "", "", "r", "R", "u", "U", bad=("b", "f", "Rb", "ur"))
        quote = self.pick("'", '"', "'''", '"""')
        parts = []
        for _ in range(self.random.choice([0, 1, 2, 3, 6])):
            parts.append(self.pick(
                "a", "word ", "\u00fc", "\u4e16\u754c", "\U0001F600", "''" if quote[0] == '"' else '""', "#", "{x}", "\x01", "\x7f", "\u2028", "\u2028",
                "\\n", "\\t", "\\\\", "\\'", '\\"', "\\a\\b\\f\\v\\r", "\\0", "\\07", "\\101", "\\777", "\\8", "\\x41", "\\xe9", "\\u00fc",
                "\\ud83d\\ude00", "\\U0001F600", "\\/", "\\d", "\\ ", "\\\n", "\\\r\n", "\\\u00fc", "\n" if len(quote) == 3 else " ",
                bad=("'", '"', "\\ud83d", "\\ude00", "\\uD83D\\u0041", "\\x4", "\\U00110000", "\\u12", "\n", "\r\n", "\r", "\\N{DEGREE SIGN}", "\\N", "\\")))
        return prefix + quote + "".join(parts) + quote

    def key(self, depth):
        return self.pick(self.string, self.string, self.string, self.number, lambda: self.signed(), lambda: self.pick("True", "False", "None"),
                         lambda: self.pick("1", "1.0", "'a'", "0", "-0.0", bad=("'1'", "'true'")), bad=(lambda: self.value(depth + 3),))()

    def signed(self):
        number = self.number()
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            number = "(" + self.space() + number + self.space() + ")"
        return self.pick("-", "+", bad=("--", "-+")) + self.space() + number if self.random.random() < 0.5 else number

    def several(self, open_, item, close, depth):
        items = [self.space() + item(depth + 1) + self.space() for _ in range(self.random.choice([0, 1, 1, 2, 3]))]
        return open_ + self.space() + ",".join(items) + self.pick("", "", ",") + self.space() + close

    def value(self, depth=0):
        kind = self.random.randrange(14 if depth < 4 else 8)
        if kind <= 2:
            return self.signed()
        if kind <= 5:
            return self.space().join(self.string() for _ in range(self.random.choice([1, 1, 1, 2, 3])))
        if kind <= 7:
            return self.pick("True", "False", "None", bad=("...", "x", "set()", "NaN"))
        if kind <= 9:
            return self.several("[", self.value, "]", depth)
        if kind == 10:
            return self.several("(", self.value, ")", depth)
        if kind == 11 and self.wild and self.random.random() < 0.3:
            return self.several("{", self.value, "}", depth)
        return self.several("{", lambda d: self.key(d) + self.space() + ":" + self.space() + self.value(d), "}", depth)

    def name(self):
        return self.pick("x", "limit", "_private", "gr\u00f6\u00dfe", "\u540d\u524d", "\u0440\u0430\u0437\u043c\u0435\u0440", "a1", "\u00e9t\u00e9",
                         "\u0938\u0902", bad=("\u0e0a\u0e37\u0e48\u0e2d", "\ufb01n", "e\u0301", "\u212b", "x\u00b2", "\u2160", "\u00aa", "a\u0660", "1x", "f.")) + self.pick("", "2", "_b")

    def call(self):
        self.wild = self.random.random() < 0.6
        arguments = [self.space() + self.name() + self.space() + "=" + self.space() + self.value() + self.space() for _ in range(self.random.choice([1, 1, 2]))]
        text = "[" + self.space() + "f" + self.space() + "(" + ",".join(arguments) + ")" + self.space() + "]"
        if self.wild and self.random.random() < 0.25:  # damage
            at = self.random.randrange(len(text))
            text = text[:at] + self.pick("", "'", '"', "\\", "(", ")", "]", "}", ",", "1", "_", ".", "-", "=", "#", "e", "0", "r", "\n", ":") + text[at + self.random.randrange(2):]
        return text


class Unequal(Exception):
    """What Python reads, but JSON does not say exactly."""


def exact(value):
    """The value that JSON must say. Raises Unequal."""
    if value is None or isinstance(value, (bool, int)):
        if isinstance(value, int) and abs(value) >= 10 ** 4300:
            raise Unequal
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unequal
        return value
    if isinstance(value, str):
        value = json.loads(json.dumps(value))  # halves of surrogate pairs come together
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unequal
        return value
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        if any(isinstance(key, tuple) for key in value):
            raise Unequal
        names = [json.loads(json.dumps({key if not isinstance(key, str) else exact(key): 0})).popitem()[0] for key in value]
        for key in value:
            exact(key)
        if len(set(names)) < len(names):
            raise Unequal
        return dict(zip(names, [exact(item) for item in value.values()]))
    raise Unequal


def expected(text):
    """The arguments, or None where they are to be refused."""
    try:
        tree = ast.parse(text.strip(" \t\n\r\f"), mode="eval").body
        if not isinstance(tree, ast.List) or len(tree.elts) != 1 or not isinstance(tree.elts[0], ast.Call):
            return None
        call = tree.elts[0]
        if not isinstance(call.func, ast.Name) or call.args or any(keyword.arg is None for keyword in call.keywords):
            return None
        if len({keyword.arg for keyword in call.keywords}) < len(call.keywords):
            return None  # what Python finds out later
        for node in ast.walk(call):  # what an equal key replaces must be JSON, too
            if isinstance(node, ast.Dict):
                for part in (*node.keys, *node.values):
                    exact(ast.literal_eval(part))
        return {keyword.arg: exact(ast.literal_eval(keyword.value)) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, Unequal):
        return None


def shown(value):
    """With types, order and the sign of zero."""
    return repr(value)


# What is refused though Python reads it (src/chat/python_literal.h), and read though Python refuses it.
def may_be_refused(text):
    spelled = [name for name in ("\ufb01", "\u0301", "\u212b", "\u0e37\u0e48", "x\u00b2", "\u2160", "\u00aa", "\u0660") if name in text]
    return bool(spelled) or "\\N" in text


def main():
    generator = Generator(SEED)
    texts = [generator.call() for _ in range(CASES)]
    with tempfile.TemporaryDirectory(prefix="fieldprint-literals-") as folder:
        questions = pathlib.Path(folder) / "questions"
        questions.write_text("".join(json.dumps(text) + "\n" for text in texts))
        done = subprocess.run([PROGRAM, "--gtest_brief=1", "--gtest_filter=PythonLiteral.AnswersTheDifferentialTest"], capture_output=True,
                              env=dict(os.environ, FIELDPRINT_LITERALS=str(questions)), timeout=300)
        answers = pathlib.Path(str(questions) + ".answers").read_text().split("\n")[:-1] if done.returncode == 0 else sys.exit(done.stdout.decode())
    assert len(answers) == len(texts), (len(answers), len(texts))
    wrong = read = refused = 0
    for text, answer in zip(texts, answers):
        wanted = expected(text)
        got = json.loads(answer[1:]) if answer[0] == "=" and answer != "=" else None  # "=": no call at all
        read += got is not None
        refused += got is None
        if shown(got) == shown(wanted) or (got is None and may_be_refused(text)):
            continue
        wrong += 1
        if wrong <= 20:
            print(f"{text!r}\n  Python: {wanted!r}\n  here:   {answer}")
    print(f"{len(texts)} calls: {read} read, {refused} refused, {wrong} wrong")
    if wrong or read < CASES // 4 or refused < CASES // 10:
        sys.exit(1)


if __name__ == "__main__":
    if not PROGRAM.exists():
        sys.exit("FIELDPRINT_BUILD does not say where the test program is")
    main()
