#!/usr/bin/env python3
"""`fieldprint distil plan | run | merge`, as people use them: against a server that fails, against ours, in the process.

A twentieth of tests/distil_trial.py runs too.
"""
import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.faulty_teacher import FAULTS, FaultyTeacher, answer_of  # noqa: E402
from support.serving import Server  # noqa: E402
from support import tiny_gguf  # noqa: E402

CLI = os.environ["FIELDPRINT_CLI"]


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="fieldprint-distil-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.out = self.folder / "rows"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def prompts(self, texts):
        return self.write("prompts.jsonl", "".join(json.dumps({"prompt": text}) + "\n" for text in texts))

    def distil(self, action, *flags, code=0, env=None, **rest):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPRINT_")}
        environment.update(XDG_CONFIG_HOME=str(self.folder), **(env or {}))
        done = subprocess.run([CLI, "distil", action, *map(str, flags)], env=environment, capture_output=True, text=True,
                              timeout=60, **rest)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def run_json(self, *flags, **rest):
        return json.loads(self.distil("run", *flags, "--out", self.out, "--json", "--backoff", "0.01", **rest).stdout)

    def rows(self, path=None):
        files = [path] if path else sorted(self.out.glob("rows-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


class Faults(Case):
    def test_every_fault_is_tried_again_and_every_answer_is_whole(self):
        texts = [f"meets {kind}. {i}" for kind in FAULTS for i in range(4)]
        script = {f"meets {kind}.": [kind, kind, None] for kind in FAULTS}
        with FaultyTeacher(slow=3, script=script) as teacher:
            told = self.run_json(self.prompts(texts), "--teacher", teacher.url, "--timeout", "0.2", "--attempts", "3")
        self.assertEqual((told["end"], told["done"], told["failed"]), ("done", len(texts), 0))
        self.assertEqual(len(teacher.asked), 3 * len(texts))
        self.assertGreater(told["retries"], len(texts), "libcurl itself retries where a connection that stayed was reset")
        rows = {row["messages"][0]["content"]: row for row in self.rows()}
        for text in texts:
            row = rows[text]
            reasoning, content, finish = answer_of(text, row["seed"])
            if content.startswith("<think>"):
                self.assertEqual(row.get("unclosed", False), finish == "length")
                self.assertIn(row["reasoning"], content)
                self.assertNotIn("think>", row["content"] + row["reasoning"])
            else:
                self.assertEqual((row.get("reasoning", ""), row["content"]), (reasoning, content))
            self.assertEqual(row["finish_reason"], finish)
        self.assertEqual(told["cut"], sum(row["finish_reason"] == "length" for row in rows.values()))

    def test_a_failure_is_a_row_with_its_reason_and_is_tried_again_by_the_next_run(self):
        prompts = self.prompts(["good", "POISON", "always down", "nothing"])
        script = {"always down": ["500"], "nothing": ["empty"]}
        with FaultyTeacher(kinds=[], script=script) as teacher:
            flags = (prompts, "--teacher", teacher.url, "--attempts", "3")
            told = self.run_json(*flags)
            self.assertEqual(told["failures"], {"empty": 1, "refused": 1, "server": 1})
            rows = {row["messages"][0]["content"]: row for row in self.rows()}
            self.assertEqual(rows["always down"]["detail"], "HTTP 500: this is not to be")
            self.assertEqual((rows["always down"]["attempts"], rows["POISON"]["attempts"]), (3, 1))
            self.assertNotIn("content", rows["nothing"])
            asked = len(teacher.asked)
            kept = self.run_json(*flags, "--keep-failures")
            self.assertEqual((kept["found"], len(teacher.asked)), (4, asked))
            teacher.script.clear()
            again = self.run_json(*flags)
        self.assertEqual((again["found"], again["done"], again["failed"]), (1, 2, 1))
        self.assertEqual(again["failures"], {"refused": 1})
        merged = json.loads(self.distil("merge", self.out, "--out", self.folder / "all.jsonl", "--json").stdout)
        self.assertEqual((merged["rows"], merged["failed"], merged["repeated"]), (4, 1, 3))

    def test_a_run_without_any_answer_says_why_and_fails(self):
        with FaultyTeacher(kinds=[], script={"p": ["wrong-json"]}) as teacher:
            done = self.distil("run", self.prompts(["p1", "p2"]), "--teacher", teacher.url, "--out", self.out, "--attempts", "1",
                               code=2)
        self.assertRegex(done.stdout, r"failed, malformed +2  \w")
        self.assertIn("no row was answered", done.stderr)

    def test_retry_after_is_waited_for(self):
        script = {"seconds": ["429-wait", None], "date": ["429-date-wait", None]}
        with FaultyTeacher(kinds=[], script=script) as teacher:
            self.assertEqual(self.run_json(self.prompts(["seconds", "date"]), "--teacher", teacher.url)["done"], 2)
        for prompt in ("seconds", "date"):
            first, second = (at for (text, _), at in zip(teacher.asked, teacher.times) if text == prompt)
            self.assertGreaterEqual(second - first, 1, prompt)

    def test_a_refused_key_ends_the_run_and_no_key_is_ever_written(self):
        with FaultyTeacher(kinds=[], key="secret-key-1") as teacher:
            flags = ("run", self.prompts(["a", "b"]), "--teacher", teacher.url, "--out", self.out)
            done = self.distil(*flags, "--api-key-env", "KEY", env={"KEY": "secret-key-0"}, code=2)
            self.assertIn("HTTP 401", done.stderr)
            self.assertIn("hint:", done.stderr)
            self.assertEqual(self.rows(), [])
            key = self.write("key", "secret-key-1\n")
            done = self.distil(*flags, "--api-key-file", key)
        self.assertEqual(len(self.rows()), 2)
        everything = done.stdout + done.stderr + "".join(path.read_text() for path in self.out.iterdir())
        self.assertNotIn("secret-key", everything)
        refused = self.distil("run", self.prompts(["a"]), "--teacher", "http://203.0.113.1", "--out", self.out,
                              "--api-key-file", key, code=2)
        self.assertIn("readable by anyone", refused.stderr)

    def test_a_server_that_is_gone_ends_the_run_and_it_goes_on_later(self):
        prompts = self.prompts([f"p{i}" for i in range(6)])
        with FaultyTeacher(kinds=[], script={"p": ["500"]}) as teacher:
            done = self.distil("run", prompts, "--teacher", teacher.url, "--out", self.out, "--backoff", "0.01",
                               "--attempts", "99", "--breaker", "3", "--give-up", "0.4", code=2)
            self.assertIn("no answer for", done.stderr)
            self.assertIn("goes on", done.stderr)
            self.assertEqual(self.rows(), [], "what was not answered is no failure of the row's")
            self.assertLess(len(teacher.asked), 20, "the breaker holds requests back")
            teacher.script.clear()
            self.assertEqual(self.run_json(prompts, "--teacher", teacher.url)["done"], 6)

    def test_a_server_that_only_asks_to_wait_ends_the_run(self):
        with FaultyTeacher(kinds=[], script={"p": ["429-long"]}) as teacher:
            done = self.distil("run", self.prompts(["p1", "p2"]), "--teacher", teacher.url, "--out", self.out, "--give-up",
                               "0.5", code=2)
        self.assertIn("no answer for", done.stderr)

    def test_comments_are_no_beginning_of_an_answer(self):
        with FaultyTeacher(kinds=[], script={"p": ["pings", None]}) as teacher:
            told = self.run_json(self.prompts(["p"]), "--teacher", teacher.url, "--first-timeout", "0.4", "--timeout", "30")
        self.assertEqual((told["done"], told["retries"]), (1, 1))

    def test_concurrency_gives_way_to_a_server_with_few_places(self):
        with FaultyTeacher(kinds=[], most=3, latency=0.01) as teacher:
            told = self.run_json(self.prompts([f"p{i}" for i in range(80)]), "--teacher", teacher.url)
        self.assertEqual((told["done"], told["failed"]), (80, 0))
        self.assertLess(told["retries"], 80, "fewer than a client of 32 at a time would make")

    def test_an_interrupt_keeps_what_was_answered(self):
        prompts = self.prompts([f"p{i}" for i in range(400)])
        with FaultyTeacher(kinds=[], latency=0.01) as teacher:
            run = subprocess.Popen([CLI, "distil", "run", str(prompts), "--teacher", teacher.url, "--out", str(self.out)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while len(teacher.asked) < 20 and run.poll() is None:
                time.sleep(0.01)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=20)
            self.assertEqual(run.returncode, 130)
            had = len(self.rows())
            self.assertGreater(had, 0)
            self.assertTrue(all("failure" not in row for row in self.rows()))
            told = self.run_json(prompts, "--teacher", teacher.url)
        self.assertEqual((told["found"], told["done"]), (had, 400 - had))

    def test_budgets_end_a_run_and_a_larger_one_goes_on(self):
        prompts = self.prompts([f"one two three {i}" for i in range(100)])
        with FaultyTeacher(kinds=[]) as teacher:
            flags = (prompts, "--teacher", teacher.url, "--concurrency", "2")
            told = self.run_json(*flags, "--budget-tokens", "300")
            self.assertEqual(told["end"], "tokens")
            spent = told["tokens"] + told["prompt_tokens"]
            self.assertTrue(250 <= spent <= 330, spent)
            self.assertEqual(self.run_json(*flags, "--budget-tokens", "300")["done"], 0, "rows on disk count")
            told = self.run_json(*flags, "--budget-money", "0.001", "--price-in", "1", "--price-out", "2")
            self.assertEqual(told["end"], "money")
            self.assertEqual(self.run_json(*flags)["end"], "done")

    def test_a_server_that_does_not_count_is_bounded_by_an_estimate(self):
        prompts = self.prompts([f"one two three {i}" for i in range(60)])
        with FaultyTeacher(kinds=[], usage=False) as teacher:
            flags = ("run", prompts, "--teacher", teacher.url, "--concurrency", "2", "--out", self.out, "--budget-tokens", "300")
            done = self.distil(*flags)
            self.assertIn("without a count of tokens", done.stderr)
            had = len(self.rows())
            self.assertTrue(0 < had < 30, had)
            self.distil(*flags)
        self.assertLessEqual(len(self.rows()), had + 2, "rows on disk count")

    def test_a_full_disk_is_said_and_loses_nothing(self):
        prompts = self.prompts([f"p{i}" for i in range(60)])
        with FaultyTeacher(kinds=[]) as teacher:
            limit = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
            done = self.distil("run", prompts, "--teacher", teacher.url, "--out", self.out, "--concurrency", "2",
                               preexec_fn=limit, code=2)
            self.assertIn("rows-1.jsonl", done.stderr)
            had = len(self.rows())
            self.assertGreater(had, 0)
            told = self.run_json(prompts, "--teacher", teacher.url)
        self.assertEqual((told["found"], told["done"]), (had, 60 - had))

    def test_two_runs_of_a_shard_are_refused(self):
        with FaultyTeacher(kinds=[], latency=0.2) as teacher:
            prompts = self.prompts(["a", "b", "c", "d"])
            first = subprocess.Popen([CLI, "distil", "run", str(prompts), "--teacher", teacher.url, "--out", str(self.out),
                                      "--concurrency", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not teacher.asked and first.poll() is None:
                time.sleep(0.01)
            second = self.distil("run", prompts, "--teacher", teacher.url, "--out", self.out, code=2)
            self.assertIn("another run is at work", second.stderr)
            self.assertEqual(first.wait(20), 0)


class Prompts(Case):
    def test_several_files_are_read_by_every_action(self):
        first, second = self.write("first.txt", "a\nb\n"), self.write("second.txt", "c\n")
        with FaultyTeacher(kinds=[]) as teacher:
            plan = json.loads(self.distil("plan", first, second, "--teacher", teacher.url, "--json").stdout)
            self.assertEqual(plan["rows"], 3)
            self.assertEqual(self.run_json(first, second, "--teacher", teacher.url)["done"], 3)
            other = self.folder / "other"
            self.distil("run", self.write("third.txt", "d\n"), "--teacher", teacher.url, "--out", other)
        one, two = self.folder / "one.jsonl", self.folder / "two.jsonl"
        merged = json.loads(self.distil("merge", self.out, other, "--out", one, "--json").stdout)
        self.assertEqual(merged["rows"], 4)
        self.distil("merge", self.out, "--out", one)
        self.distil("merge", other, "--out", two)
        kept = json.loads(self.distil("filter", one, two, "--dry-run", "--json").stdout)
        self.assertEqual([file["rows"] for file in kept["files"]], [3, 1])

    def test_plan_counts_and_sends_nothing(self):
        prompts = self.prompts(["a b", "a b", "c"])
        with FaultyTeacher() as teacher:
            plan = json.loads(self.distil("plan", prompts, "--teacher", teacher.url, "--n", "2", "--max-tokens", "100", "--json",
                                          "--price-out", "5", "--tokens-per-second", "40").stdout)
            self.assertEqual(teacher.asked, [])
        self.assertEqual((plan["prompts"], plan["duplicates"], plan["rows"]), (3, 1, 4))
        self.assertEqual((plan["most_tokens"], plan["money"], plan["seconds"]), (400, 0.002, 10))
        self.assertEqual([one["text"] for one in plan["shown"]], ["user: a b\n", "user: c\n"])

    def test_templates_with_variables_of_tables_and_lists(self):
        table = self.write("topics.csv", 'topic,answer\n"rain, and snow",wet\nfire,hot\n')
        with FaultyTeacher(kinds=[]) as teacher:
            self.run_json(table, "--teacher", teacher.url, "--template", "Explain {{topic}} to a {{who}}.", "--each",
                          "who=child,expert", "--system", "Be brief.", "--shard", "1/1")
        rows = self.rows()
        self.assertEqual(sorted(row["messages"][1]["content"] for row in rows),
                         ["Explain fire to a child.", "Explain fire to a expert.", "Explain rain, and snow to a child.",
                          "Explain rain, and snow to a expert."])
        self.assertEqual({row["answer"] for row in rows}, {"wet", "hot"})
        self.assertEqual({row["messages"][0]["content"] for row in rows}, {"Be brief."})

    def test_what_is_asked_is_what_flags_say_and_no_more(self):
        with FaultyTeacher(kinds=[]) as teacher:
            self.run_json(self.prompts(["x"]), "--teacher", teacher.url, "--temp", "0.5", "--think", "on", "--extra",
                          '{"reasoning_effort": "low"}')
            request = teacher.requests[0]
        seed = request.pop("seed")
        self.assertEqual(request, {"model": "faulty", "messages": [{"role": "user", "content": "x"}], "temperature": 0.5,
                                   "max_tokens": 1024, "chat_template_kwargs": {"enable_thinking": True},
                                   "reasoning_effort": "low", "stream": True, "stream_options": {"include_usage": True}})
        self.assertEqual(self.rows()[0]["seed"], seed)

    def test_flags_that_would_do_nothing_are_refused(self):
        model, prompts = write_model(self.folder), self.prompts(["a"])
        for flags, what in [(("--teacher-model", "x"), "for a server"), (("--timeout", "0"), "--timeout"),
                            (("--template", "{{prompt}}", "--each", "who=a,b"), "'who'"),
                            (("--template", "{{promt}}"), "'promt' is undefined")]:
            done = self.distil("plan", prompts, "--teacher", model, *flags, code=2)
            self.assertIn(what, done.stderr)

    def test_separators_may_have_a_line_end(self):
        prompts = self.write("prompts.txt", "a\nb\n\nc\n")
        plan = self.distil("plan", prompts, "--teacher", write_model(self.folder), "--separator", r"\n\n", "--json")
        self.assertEqual(json.loads(plan.stdout)["rows"], 2)

    def test_bad_prompts_name_their_line(self):
        for text, what in [('{"prompt": "a"}\n{"prompt": ', ":2"), ('{"question": 3}\n{"x": 1}\n', ":2"),
                           ('{"messages": [{"role": "king", "content": "a"}]}', "king"), ("[1]", "object"),
                           ('{"messages": [{"role": "assistant", "content": "a"}]}', "assistant"), ("", "no prompts")]:
            done = self.distil("plan", self.write("bad.jsonl", text), "--teacher", write_model(self.folder), code=2)
            self.assertIn(what, done.stderr)


def write_model(folder):
    path = folder / "tiny.gguf"
    if not path.exists():
        tiny_gguf.write(path)
    return path


class Engines(Case):
    def test_a_model_in_this_process_gives_ids_and_probabilities_the_same_for_any_shards(self):
        model, prompts = write_model(self.folder), self.prompts(["one", "two", "three"])
        hashes = set()
        for shards in (1, 2, 5):
            self.out = self.folder / f"rows-of-{shards}"
            for shard in range(1, shards + 1):
                self.run_json(prompts, "--teacher", model, "--n", "2", "--max-tokens", "12", "--logprobs", "4", "--shard",
                              f"{shard}/{shards}", "--streams", shards)
            merged = json.loads(self.distil("merge", self.out, "--out", self.folder / "all.jsonl", "--json").stdout)
            self.assertEqual((merged["rows"], merged["records"]), (6, 6))
            hashes.add((merged["sha256"], merged["top_sha256"]))
        self.assertEqual(len(hashes), 1)
        row = self.rows(self.folder / "all.jsonl")[0]
        self.assertEqual(len(row["token_ids"]), row["completion_tokens"])
        self.assertEqual(len(row["prompt_ids"]), row["prompt_tokens"])
        self.assertEqual(set(row["teacher"]), {"name", "model_sha256", "template_sha256", "vocabulary_sha256"})

    def test_our_server_gives_what_the_model_gives_in_this_process(self):
        model, prompts = write_model(self.folder), self.prompts(["one", "two", "three"])
        flags = (prompts, "--max-tokens", "12", "--logprobs", "4", "--temp", "0.9", "--top-k", "40", "--top-p", "0.9")
        self.run_json(*flags, "--teacher", model)
        here = {row["key"]: row for row in self.rows()}
        tops = (self.out / "rows-1.top").read_bytes()
        self.out = self.folder / "served"
        with Server(model, "--no-page") as server:
            self.run_json(*flags, "--teacher", server.url)
        there = {row["key"]: row for row in self.rows()}
        self.assertEqual(set(here), set(there), "one key, wherever the model is")
        for key, row in here.items():
            other = there[key]
            for name in ("token_ids", "prompt_ids", "content", "finish_reason", "teacher", "top_sha256"):
                wanted, found = row[name], other.get(name)
                if name == "teacher":
                    wanted, found = {**wanted, "name": ""}, {**found, "name": ""}
                self.assertEqual(wanted, found, name)
        self.assertEqual(len(tops), (self.out / "rows-1.top").stat().st_size)

    def test_a_changed_row_is_found_by_merge(self):
        self.run_json(self.prompts(["one"]), "--teacher", write_model(self.folder), "--max-tokens", "4", "--logprobs", "2")
        path = self.out / "rows-1.jsonl"
        whole = path.read_text()
        path.write_text(whole.replace('"content":"one"', '"content":"two"', 1))
        done = self.distil("merge", self.out, "--out", self.folder / "all.jsonl", code=2)
        self.assertIn("not what its key says", done.stderr)
        path.write_text(whole)
        top = self.out / "rows-1.top"
        data = bytearray(top.read_bytes())
        data[-1] ^= 1
        top.write_bytes(bytes(data))
        done = self.distil("merge", self.out, "--out", self.folder / "all.jsonl", code=2)
        self.assertIn("probabilities", done.stderr)


class Kills(unittest.TestCase):
    def test_a_twentieth_of_the_trial(self):
        trial = pathlib.Path(__file__).with_name("distil_trial.py")
        share = os.environ.get("FIELDPRINT_TRIALS", "0.05")
        done = subprocess.run([sys.executable, str(trial)], env={**os.environ, "FIELDPRINT_TRIALS": share},
                              capture_output=True, text=True, timeout=500)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
