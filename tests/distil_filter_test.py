#!/usr/bin/env python3
"""`fieldprint distil filter` and `card` as people call them: the judge behind a server, what stands on the terminal, cards
that are signed and entered in a memory. Run with FIELDPRINT_CLI=path/to/fieldprint."""
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

CLI = os.environ.get("FIELDPRINT_CLI", "")


def sha(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def row(name, content, question, sample=0, **more):
    return {"key": sha(name), "id": name, "messages": [{"role": "user", "content": question}], "sample": sample, "seed": 0,
            "sampling": {}, "content": content, "finish_reason": "stop", "completion_tokens": 5, **more,
            "teacher": {"name": "teacher", "model_sha256": sha("model")}}


class Judge(http.server.ThreadingHTTPServer):
    """Speaks the OpenAI API; `verdict(prompt)` is what it answers, or a status."""
    daemon_threads = True

    def __init__(self, verdict):
        judge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                found = self.path.endswith("/models")
                self.reply(200 if found else 404, {"data": [{"id": "judge", "owned_by": "tests"}]} if found else {})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][0]["content"]
                with judge.lock:
                    judge.asked.append(prompt)
                said = judge.verdict(prompt)
                if isinstance(said, int):
                    return self.reply(said, {"error": {"message": "no"}})
                self.reply(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": said},
                                              "finish_reason": "stop"}],
                                 "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

        super().__init__(("127.0.0.1", 0), Handler)
        self.verdict, self.asked, self.lock = verdict, [], threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Case(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="fieldprint-filter-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def call(self, *arguments, code=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FIELDPRINT_", "XDG_"))}
        env.update(HOME=str(self.home), NO_COLOR="1")
        done = subprocess.run([CLI, *map(str, arguments)], capture_output=True, env=env, cwd=self.home, timeout=60,
                              stdin=subprocess.DEVNULL)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}\nstdout: {out}\nstderr: {err}")
        self.assertNotIn("internal error", err)
        return out, err

    def rows(self, *rows):
        text = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in rows)
        (self.home / "rows.jsonl").write_text(text)

    def filter(self, *flags):
        return json.loads(self.call("distil", "filter", "rows.jsonl", "--out", "out", "--json", *flags)[0])

    def kept(self):
        return sorted(json.loads(line)["id"] for line in (self.home / "out/kept.jsonl").read_text().splitlines())

    def dropped(self):
        lines = (self.home / "out/dropped.jsonl").read_text().splitlines()
        return {one["id"]: [f"{r['filter']}: {r['why']}" for r in one["reasons"]] for one in map(json.loads, lines)}


class Filter(Case):
    def test_tells_what_went_and_why(self):
        self.rows(row("good", "It is blue.", "a"), row("cut", "It is", "b", finish_reason="length"), row("empty", "", "c"))
        out, _ = self.call("distil", "filter", "rows.jsonl", "--out", "out")
        self.assertIn("kept 1 of 3 rows (33.3%), of 1 of 3 prompts", out)
        self.assertIn("1  length", out)
        self.assertEqual(self.kept(), ["good"])
        report = json.loads((self.home / "out/report.json").read_text())
        self.assertEqual(report["kept_sha256"], sha((self.home / "out/kept.jsonl").read_bytes()))
        self.assertIn(report["kept_sha256"], out)
        self.assertIn("## finish: length", (self.home / "out/report.md").read_text())
        # What is kept is what came, byte for byte.
        first = (self.home / "rows.jsonl").read_text().splitlines()[0]
        self.assertEqual((self.home / "out/kept.jsonl").read_text(), first + "\n")

    def test_lists_its_filters_and_refuses_what_makes_no_sense(self):
        names = [line.split()[0] for line in self.call("distil", "filter", "--ls")[0].splitlines()]
        for name in ("failed", "refusal", "schema", "contamination", "vote", "duplicate", "judge"):
            self.assertIn(name, names)
        self.rows(row("a", "x", "a"))
        for flags, says in ((("--language", "xx"), "no profile of the language"), (("--match", "(a"), "no regular expression"),
                            (("--answer-chars", "9"), "MIN-MAX"), (("--answer-chars", "9-3"), "at least 9"),
                            (("--without", "nothing"), "there is no filter"), (("--verify", "maybe"), "all or given"),
                            (("--eval-data", "nowhere"), "nowhere")):
            _, err = self.call("distil", "filter", "rows.jsonl", "--out", "out", *flags, code=2)
            self.assertIn(says, err)
            self.assertFalse((self.home / "out/kept.jsonl").exists())
        (self.home / "bad.jsonl").write_text('{"key": NaN}\n')
        self.assertIn("bad.jsonl:1", self.call("distil", "filter", "bad.jsonl", "--out", "out", code=2)[1])

    def test_flags_reach_their_filters(self):
        self.rows(row("long", "abcdef", "a"), row("good", "abc", "b"), row("no", "xyz", "c"), row("short", "a", "d"))
        self.filter("--answer-chars", "2-4", "--match", "^a")
        self.assertEqual(self.dropped(), {"long": ["length: answer too long"], "no": ["pattern: no match"],
                                          "short": ["length: answer too short"]})
        self.filter("--command", "grep -q abc")
        self.assertEqual(self.kept(), ["good", "long"])
        report = self.filter("--command", "false", "--dry-run")
        self.assertEqual(report["kept"], 4)
        self.assertEqual(report["kept_sha256"], "")

    def test_best_by_score(self):
        self.rows(row("a0", "seven", "a", 0), row("a1", "nine", "a", 1), row("a2", "nine again", "a", 2),
                  row("b0", "two", "b"), row("c0", "silence", "c"))
        scores = {"seven": "7", "nine": "9", "nine again": "9", "two": "2"}

        def verdict(prompt):
            answer = re.search(r"<answer>\n(.*)\n</answer>", prompt).group(1)
            return f"Of 10 points.\n**Score: {scores[answer]}**" if answer in scores else "I cannot say."

        with Judge(verdict) as judge:
            self.filter("--judge", judge.url, "--score", 3)
            self.assertEqual(self.kept(), ["a1"])  # of two that are as good the first
            self.assertEqual(self.dropped(), {"a0": ["judge: not among the best"], "a2": ["judge: not among the best"],
                                              "b0": ["judge: score too low"], "c0": ["judge: no score"]})
            self.assertEqual(len(judge.asked), 5)
            self.filter("--judge", judge.url, "--best", 0)  # nothing is asked twice
            self.assertEqual(self.kept(), ["a0", "a1", "a2", "b0"])
            self.assertEqual(len(judge.asked), 5)
            # A log that was cut short loses its last line alone.
            log = self.home / "out/judge.jsonl"
            log.write_bytes(log.read_bytes()[:-10])
            self.filter("--judge", judge.url)
            self.assertEqual(len(judge.asked), 6)
            # A damaged line in the middle is passed over, and nothing behind it is lost.
            lines = log.read_bytes().splitlines(keepends=True)
            log.write_bytes(b"".join([lines[0], b"{damaged\n", *lines[1:]]))
            self.filter("--judge", judge.url)
            self.assertEqual(len(judge.asked), 6)
            self.assertIn(b"{damaged\n", log.read_bytes())
            # What is someone else's stays as it is.
            for other in (b"my notes\n", b"no line", b'{"asked": 1}\n'):
                log.write_bytes(other)
                _, err = self.call("distil", "filter", "rows.jsonl", "--out", "out", "--judge", judge.url, code=2)
                self.assertIn("no log of a judge", err)
                self.assertEqual(log.read_bytes(), other)

    def test_flags_that_do_nothing_are_refused(self):
        self.rows(row("a", "x", "a"))
        for flags in (("--final", "x"), ("--votes", 2), ("--best", 1), ("--score", 3), ("--judge-template", "x"), ("--shell",)):
            _, err = self.call("distil", "filter", "rows.jsonl", "--out", "out", *flags, code=2)
            self.assertIn(f"{flags[0]} does nothing without", err)
        _, err = self.call("distil", "card", "--out", "card.md", "--ask-after-lora", "x.gguf", code=2)
        self.assertIn("--ask-after", err)

    def test_best_by_pairs_in_both_orders(self):
        self.rows(row("a0", "good", "a", 0), row("a1", "better", "a", 1), row("a2", "first", "a", 2), row("b0", "one", "b"))

        def verdict(prompt):
            first = re.search(r"<answer_a>\n(.*)\n</answer_a>", prompt).group(1)
            second = re.search(r"<answer_b>\n(.*)\n</answer_b>", prompt).group(1)
            if {first, second} == {"good", "better"}:
                return f"Verdict: {'A' if first == 'better' else 'B'}"
            return "Verdict: A"  # likes what comes first

        with Judge(verdict) as judge:
            self.filter("--judge", judge.url, "--judge-by", "pairs")
        self.assertEqual(self.kept(), ["a1", "b0"])
        self.assertEqual(self.dropped()["a2"], ["judge: not the best"])

    def test_a_judge_that_refuses_everything_ends_the_run(self):
        self.rows(row("a", "x", "a"))
        with Judge(lambda prompt: 401) as judge:
            _, err = self.call("distil", "filter", "rows.jsonl", "--out", "out", "--judge", judge.url, code=2)
        self.assertIn("the judge refuses", err)
        with Judge(lambda prompt: 400) as judge:
            self.filter("--judge", judge.url)
        self.assertEqual(self.dropped(), {"a": ["judge: not judged"]})


class Card(Case):
    def test_is_signed_and_entered_in_a_memory(self):
        self.rows(row("a", "It is <b>blue</b>.", "Why?"))
        self.filter()
        self.call("memory", "init", "--memory", "memory", "--origin", "example.org/helper", "--generate-keys", "keys")
        vkey = self.call("memory", "keygen", "people.key", "--name", "people")[0].strip()
        written = json.loads(self.call("distil", "card", "--title", "Student", "--data", "out/kept.jsonl", "--filter-report",
                                       "out/report.json", "--licence", "MIT", "--redo", "fieldprint train ...", "--key",
                                       "people.key", "--memory", "memory", "--out", "card.md", "--json")[0])
        text = (self.home / "card.md").read_text()
        self.assertEqual(written["sha256"], sha(text))
        self.assertIn("```text\nIt is <b>blue</b>.\n```", text)
        self.assertIn("Made with fieldprint", text)
        self.assertEqual(written["vkey"], vkey)
        record = json.loads(self.call("memory", "show", written["record"], "--memory", "memory", "--json")[0])
        self.assertIn(written["sha256"], json.dumps(record))
        self.assertIn("SHA-256", json.dumps(record))
        self.call("distil", "card", "--check", "card.md", "--vkey", vkey)
        (self.home / "card.md").write_text(text + "\n")
        self.assertIn("changed", self.call("distil", "card", "--check", "card.md", "--vkey", vkey, code=2)[1])

    def test_says_what_is_missing(self):
        self.assertIn("where is the card", self.call("distil", "card", code=2)[1])
        self.assertIn("nowhere", self.call("distil", "card", "--out", "card.md", "--before", "nowhere", code=2)[1])
        self.assertFalse((self.home / "card.md").exists())


if __name__ == "__main__":
    unittest.main()
