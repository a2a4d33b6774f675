#!/usr/bin/env python3
"""build/release/attention_bench, where it has been built: every kind is measured, the naive form computes the same, and
wrong shapes are refused in a sentence."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(os.environ.get("FIELDPRINT_BUILD", "build/release")) / "attention_bench"
SMALL = ["--heads", "4/2", "--head-dim", "32", "-r", "2", "--format", "json"]


class AttentionBench(unittest.TestCase):
    def call(self, *arguments, code=0):
        done = subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr

    def test_every_kind_is_measured_and_drawn(self):
        kinds = "dot,gram,anchored,expressive"
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(folder) / "chart.svg"
            out, err = self.call("-k", kinds, "-N", "70,130", *SMALL, "--svg", chart, "-q")
            self.assertEqual(chart.read_text().count("<rect"), 17)
        self.assertEqual(err, "")
        rows = json.loads(out)["rows"]
        self.assertEqual([row["kind"] for row in rows], kinds.split(",") * 4)
        for row in rows:
            self.assertGreater(row["seconds"], 0)
            self.assertGreater(row["share_of_peak"], 0)

    def test_the_naive_form_computes_the_same(self):
        done = subprocess.run([BENCH, "-k", "dot,anchored", "-N", "70", *SMALL, "--naive", "-q"], capture_output=True,
                              text=True, timeout=120)
        if "OpenBLAS is not installed" in done.stderr:
            self.skipTest("OpenBLAS is not installed")
        self.assertEqual(done.returncode, 0, done.stderr)  # it compares the outputs itself
        self.assertEqual([row["naive"] for row in json.loads(done.stdout)["rows"]], [False, True] * 4)

    def test_wrong_shapes_are_refused(self):
        for wrong, says in ((["-k", "cosine"], "no attention of kind 'cosine'"), (["--heads", "3/2"], "cannot share"),
                            (["--heads", "x"], "not 'x'")):
            _, err = self.call("-N", "64", *SMALL, *wrong, code=2)
            self.assertIn(says, err)

    def test_the_ladder_of_kernels_runs(self):
        out, _ = self.call("--kernels", "--benchmark_list_tests")
        self.assertIn("scalar/scores/q8_0/4_rows/64", out)


if __name__ == "__main__":
    if not BENCH.exists():
        print(f"attention_bench: skipped, {BENCH} has not been built (make test builds it)")
        sys.exit(77)
    unittest.main()
