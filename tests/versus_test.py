#!/usr/bin/env python3
"""bench/versus with commands that only pretend to measure."""
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

VERSUS = pathlib.Path(__file__).resolve().parent.parent / "bench" / "versus"


class Versus(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = pathlib.Path(self.folder.name) / "log"

    def call(self, *arguments, code=0):
        done = subprocess.run([VERSUS, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              cwd=self.folder.name)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout, done.stderr

    def fails(self, *arguments, says):
        out, err = self.call(*arguments, code=1)
        self.assertTrue(err.startswith("versus: "), err)
        self.assertIn(says, err)

    # Prints the lines of FILE one by one, run by run, and logs NAME.
    def source(self, name, *values):
        file = pathlib.Path(self.folder.name) / name
        file.write_text("".join(f"{value}\n" for value in values))
        return f"echo {name} >> log; head -1 {name}; sed -i 1d {name}"

    def test_runs_take_turns_and_ratios_are_of_pairs(self):
        # The machine slows down to a tenth: the ratio of a pair stays.
        a, b = self.source("A", "3 tok/s", "30 tok/s", "0.5 tok/s"), self.source("B", "2", "20", "0.25")
        out, _ = self.call("--a", a, "--b", b, "--take-a", r"/([0-9.]+) tok\/s/", "--take-b", "/^[0-9.]+/", "-n", 3)
        self.assertEqual(self.log.read_text().split(), ["A", "B"] * 3)
        self.assertEqual(out.splitlines()[0], "pair 1: A 3  B 2  A/B 1.500")
        self.assertEqual(out.splitlines()[-1], "median: A 3  B 2  A/B 1.500, from 1.500 to 2.000")

    def test_json_paths_and_a_warm_up_that_does_not_count(self):
        a = self.source("A", '{"rows":[{"rate":1}]}', 'note {"rows":[{"rate":8}]} end')
        b = self.source("B", '[{"rate":1}]', '[{"rate":"4"}]')
        out, _ = self.call("--a", a, "--b", b, "--take-a", "rows.0.rate", "--take-b", "0.rate", "-n", 1, "--warm-up", "--json")
        self.assertEqual(json.loads(out), {"pairs": [[8, 4]], "median_a": 8, "median_b": 4, "ratio": 2, "least": 2, "most": 2})

    def test_numbers_on_stderr_count_too(self):
        out, _ = self.call("--a", "echo rate 6 >&2", "--b", "echo rate 3", "--take", r"/rate (\d+)/", "-n", 1)
        self.assertIn("A/B 2.000", out)

    def test_errors_say_what_is_wrong(self):
        good = ("--b", "echo 1", "--take", "/[0-9]+/", "-n", 1)
        self.fails("--a", "echo broken >&2; exit 3", *good, says="A, run 1: it ended with status 3: broken")
        self.fails("--a", "no-such-command-here", *good, says="status 127")
        self.fails("--a", "echo none", *good, says="/[0-9]+/ does not match its output")
        self.fails("--a", "echo 0", *good, says="its number is 0")
        self.fails("--a", "echo x1", "--b", "echo 1", "--take", "/x./", says="'x1', not a number")
        self.fails("--a", "echo text", "--b", "echo 1", "--take", "a.b", says="there is no JSON in its output")
        self.fails("--a", """echo '{"a": [1]}'""", "--b", "echo 1", "--take", "a.1", says="its JSON has no a.1")
        self.fails("--a", """echo '{"a": true}'""", "--b", "echo 1", "--take", "a", says="not a number")
        self.fails("--a", "echo 1", "--b", "echo 1", "--take", "/(/", says="not a regular expression")
        self.fails("--a", "echo 1", "--b", "echo 1", "--take-a", "/1/", says="--take-b")
        self.call("--a", "echo 1", "--b", "echo 1", "--take", "/1/", "-n", 0, code=2)

    def test_a_timeout_ends_all_that_the_command_started(self):
        begin = time.monotonic()
        self.fails("--a", "sleep 47 & echo $! > child; wait", "--b", "echo 1", "--take", "/1/", "--timeout", "0.5",
                   says="longer than 0.5 s")
        self.assertLess(time.monotonic() - begin, 30)
        child = int((pathlib.Path(self.folder.name) / "child").read_text())
        for _ in range(100):
            if not self.runs(child):
                return
            time.sleep(0.05)
        self.fail("the command's child still runs")

    @staticmethod
    def runs(pid):
        try:
            os.kill(pid, 0)
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except (ProcessLookupError, FileNotFoundError):
            return False


if __name__ == "__main__":
    unittest.main()
