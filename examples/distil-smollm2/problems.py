#!/usr/bin/env python3
"""Word problems of two steps with their answers, made from templates: problems.py TRAIN HELD_OUT COUNT

TRAIN gets COUNT of them, as prompts for `fieldprint distil` (question, answer, id); HELD_OUT 100 others in the form of
GSM8K, for `fieldprint eval --tasks gsm8k`. No problem is in both. The answer is computed here, so that a wrong one of the
teacher can be told from a right one.
"""
import json
import random
import sys

NAMES = "Ana Ben Carla David Elif Femi Grace Hana Ivan Julia Kofi Lena Marco Nadia Omar Priya Rosa Sven Tomas Wei".split()
THINGS = "pencils apples stickers marbles shells books cookies buttons cards stamps eggs lemons".split()


def boxes(name, thing, a, b, c):
    return f"{name} has {a} boxes with {b} {thing} each. {name} gives away {c} {thing}. How many {thing} are left?", a * b - c


def friends(name, thing, a, b, c):
    return f"{name} has {b * a + c} {thing}. {name} keeps {c} and shares the rest equally among {a} friends. How many {thing} does each friend get?", b


def shop(name, thing, a, b, c):
    return f"{name} buys {a} {thing} for {b} dollars each and a bag for {c} dollars. How many dollars does {name} pay?", a * b + c


def days(name, thing, a, b, c):
    return f"{name} finds {b} {thing} a day for {a} days, and then {c} more. How many {thing} does {name} have?", a * b + c


def more(name, thing, a, b, c):
    other = NAMES[(NAMES.index(name) + a) % len(NAMES)]
    return f"{name} has {b} {thing}. {other} has {c} more than {name}. How many {thing} do they have together?", 2 * b + c


KINDS = [boxes, friends, shop, days, more]


def problem(random_, kind):
    while True:
        a, b, c = random_.randint(2, 9), random_.randint(2, 9), random_.randint(1, 9)
        if kind is not boxes or a * b > c:
            return kind(random_.choice(NAMES), random_.choice(THINGS), a, b, c)


def main(train, held_out, count):
    random_ = random.Random(7)
    seen, rows = set(), []
    while len(rows) < count + 100:
        question, answer = problem(random_, KINDS[len(rows) % len(KINDS)])
        if question not in seen:
            seen.add(question)
            rows.append((question, answer))
    with open(train, "w") as file:
        for i, (question, answer) in enumerate(rows[:count]):
            file.write(json.dumps({"id": f"problem-{i:04}", "question": question, "answer": str(answer)}) + "\n")
    with open(held_out, "w") as file:
        for question, answer in rows[count:]:
            file.write(json.dumps({"question": question, "answer": f"#### {answer}"}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
