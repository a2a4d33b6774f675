#!/usr/bin/env python3
"""The faults of ../shared/reports (each folder's cmd.sh against its expected.txt) and of its attack/ folder, end to end.
Run with FIELDPRINT_CLI=path/to/fieldprint."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CLI = os.environ.get("FIELDPRINT_CLI", "")
REPORTS = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "reports"
ATTACK = REPORTS / "attack"
SCRIPTS = sorted(folder.parent for folder in REPORTS.glob("*/cmd.sh"))
MODEL = REPORTS / "16-stdin" / "m.gguf"

folder = None
outputs = {}


def environment(name):
    place = folder / name
    place.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPRINT_") and k not in ("NO_COLOR", "SOURCE_DATE_EPOCH")}
    env.update(FP=str(pathlib.Path(CLI).resolve()), TMPDIR=str(place), TERM="xterm", TZ="UTC",
               **{f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "STATE", "DATA")})
    return env


def run_script(path):
    done = subprocess.run(["bash", str(path / "cmd.sh")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=environment(path.name), timeout=300)
    return done.stdout.decode(errors="replace")


def setUpModule():
    """All scripts at once: most of their time is one that waits for half a minute."""
    global folder
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fieldprint-reports-"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        outputs.update({path.name: pool.submit(run_script, path) for path in SCRIPTS})


def tearDownModule():
    shutil.rmtree(folder, ignore_errors=True)


def call(*arguments, stdin=b"", name="call", timeout=120, **env):
    done = subprocess.run([CLI, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                          env=dict(environment(name), **env))
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def json_values(text):
    """Every JSON object that begins a line."""
    return [json.JSONDecoder().raw_decode(line)[0] for line in text.splitlines() if line.startswith("{")]


class Report(unittest.TestCase):
    maxDiff = None

    def output(self, name):
        return outputs[name].result()

    def test_every_script_is_looked_at(self):
        known = {attribute.split("_")[1] for attribute in dir(self) if re.match(r"test_\d\d_", attribute)}
        self.assertEqual(known, {path.name.split("-")[0] for path in SCRIPTS})

    def test_01_python_tool_arguments(self):
        wanted = {"triple": {"code": "\nprint(\"hi\")\n"}, "plus": {"limit": 7}, "under": {"n": 1000}, "bigU": {"t": "\U0001F600"},
                  "bigint": {"x": 12345678901234567890123}}
        got = {}
        for part in self.output("01-lfm2-tool-args").split("== ")[1:]:
            calls = json.loads(part.splitlines()[-1])
            got[part.split()[0]] = repr(calls[0]["arguments"]) if calls else None
        self.assertEqual(got, {name: repr(value) for name, value in wanted.items()})

    def test_03_stop_names_a_control_token(self):
        answers = json_values(self.output("03-stop-special"))
        self.assertEqual([(a["text"], a["finish_reason"]) for a in answers], [("Hello world", "stop")] * 2)

    def test_06_logits_that_are_no_numbers(self):
        output = self.output("06-nan-logits")
        self.assertEqual(output.count("the logits are not finite; it begins"), 4, output)  # three of run, one of perplexity
        self.assertNotIn('"tokens"', output)
        self.assertEqual(re.findall(r"^rc=(\d+)", output, re.M), ["2", "2"], output)
        self.assertRegex(output[output.rindex("fieldprint: "):], "finite")  # imatrix

    def test_07_logit_bias_that_bans(self):
        output = self.output("07-logit-bias")
        self.assertEqual(output.count("Hello"), 2, output)
        self.assertIn("259-100", output)
        self.assertIn("token 9999", output)

    def test_09_imatrix_of_another_model(self):
        output = self.output("09-imatrix-other")
        self.assertIn("blk.3.attn_k.weight", output)
        self.assertIn("nolayer.gguf", output)
        self.assertNotIn("make one with", output)

    def rope_base(self, name):
        found = re.search(rf"^{name} rc=0\n(?:.*\n)*?.*rope\.freq_base +(\S+)", self.output("10-rope-parameters"), re.M)
        return found and float(found.group(1))

    def test_10_rope_base_by_default(self):
        self.assertEqual(self.rope_base("lfm2_no_rope"), 1000000)

    def test_10_rope_base_inside_rope_scaling(self):
        self.assertEqual(self.rope_base("scaling_theta_inside"), 500000)

    def test_10_original_context_by_default(self):
        """rope_freqs are made of it: those of a file that says 512 outright are the ones wanted."""
        source = REPORTS / "10-rope-parameters" / "llama3_missing_orig"
        files = []
        for said in (False, True):
            copy = folder / str(said) / "llama3"  # a model is named after its folder
            shutil.copytree(source, copy, copy_function=shutil.copyfile)
            copy.chmod(0o755)
            config = json.loads((copy / "config.json").read_text())
            scaling = config.get("rope_scaling") or config["rope_parameters"]
            if said:
                scaling["original_max_position_embeddings"] = config["max_position_embeddings"]
                (copy / "config.json").write_text(json.dumps(config))
            code, _, err = call("quantize", "-q", "-t", 1, copy, folder / f"{said}.gguf", "F32")
            self.assertEqual(code, 0, err)
            files.append((folder / f"{said}.gguf").read_bytes())
        self.assertEqual(files[0], files[1])

    def test_10_kv_heads_by_default(self):
        self.assertIn("lfm2_no_kv rc=2", self.output("10-rope-parameters"))

    def test_13_flags_of_added_tokens(self):
        """As Hugging Face's tokenizers cut "a <|user|>  hello", or a refusal to convert."""
        wanted = {"rstrip": "64 220 359 262", "plain_special": "64 220 359 220 267"}
        output = self.output("13-added-token-flags")
        for name, ids in wanted.items():
            with self.subTest(name):
                code, line = re.search(rf"^{name} rc=(\d+)\n(.*)", output, re.M).groups()
                self.assertTrue(code == "2" or ids in line, output)

    def converts(self, name):
        self.assertIn(f"{name} rc=0\n", self.output("14-safetensors-folders"))

    def test_14_a_head_beside_tied_embeddings(self):
        self.converts("tied_with_head")

    def test_14_a_normalizer_of_nothing(self):
        self.converts("norm_seq_empty")

    def test_14_infinity_in_config_json(self):
        self.converts("infinity")

    def test_15_rope_factor_without_a_type(self):
        hashes = dict(line.split() for line in self.output("15-gguf-metadata").splitlines())
        self.assertEqual(hashes["hf_factor_only"], hashes["hf_lin_type_and_factor"])
        self.assertNotEqual(hashes["hf_factor_only"], hashes["hf"])

    def test_16_a_silent_pipe(self):
        first = self.output("16-stdin").split("open pipe rc=")
        self.assertTrue(first[1].startswith("0") or first[0].strip(), first)

    def test_16_a_loop_that_reads(self):
        self.assertEqual(re.findall(r"say (\w+)<\|im_end\|>", self.output("16-stdin")), ["one", "two", "three"])

    def test_16_a_dash_is_standard_input(self):
        self.assertRegex(self.output("16-stdin"), r"user\nfrom stdin<\|im_end\|>")

    def test_23_a_file_of_any_name(self):
        self.assertEqual(self.output("23-paths").count("Hello world"), 2)

    def test_27_no_word_of_how_words_are_cut(self):
        lines = self.output("27-pre-missing").splitlines()
        said = "\n".join(lines[2:]).split("Traceback")[0]
        self.assertRegex(said, r"tokenizer\.ggml\.pre|pre-tokeni|words are cut")


@unittest.skipUnless(ATTACK.exists(), "the attacks lie in ../shared/reports/attack, which is absent")
class Attack(unittest.TestCase):
    def one_sentence(self, result, says=""):
        code, out, err = result
        self.assertEqual(code, 2, err[:2000])
        self.assertRegex(err, r"^fieldprint: ")
        self.assertLess(len(err), 2000)
        self.assertIn(says, err)

    def test_02_tools_nested_deeply(self):
        self.one_sentence(call("run", "-m", MODEL, "-n", 2, "--tools", ATTACK / "01-tools-deep.json", "hi"), "nested")

    def test_02_generation_config_nested_deeply(self):
        self.one_sentence(call("quantize", "-q", ATTACK / "02-hf-deep-eos", folder / "deep.gguf", "F32"), "nested")

    def test_01_a_mirror_that_answers_less_or_something_else(self):
        done = subprocess.run([sys.executable, ATTACK / "03-pull-short-206" / "repro.py", CLI], capture_output=True, env=environment("pull"), timeout=300)
        lines = done.stdout.decode().splitlines()
        self.assertEqual(len(lines), 3, done.stderr)
        for line in lines:
            self.assertTrue("equals v" in line or ("rc 0" not in line and "published None" in line), line)

    def test_05_escape_sequences_of_a_file(self):
        for name in ("architecture", "template-raise"):
            file = ATTACK / f"04-escape-{name}.gguf"
            for result in (call("info", file), call("run", "-m", file, "hi"), call("template", "-m", file, stdin=b"{}")):
                for text in result[1:]:
                    self.assertNotRegex(text, r"[\x00-\x08\x0b-\x1f\x7f]", f"{name}: {result}")

    def test_03_templates_that_take_long(self):
        for name in ("float", "list-compare"):
            with self.subTest(name):
                self.one_sentence(call("template", "--template", ATTACK / f"05-template-{name}.jinja", stdin=b"{}", timeout=30), "too many steps")

    def test_06_a_session_of_short_spans(self):
        done = subprocess.run([sys.executable, ATTACK / "06-session-memory.py", CLI], capture_output=True, env=environment("session"), timeout=300)
        sizes = [int(size) for size in re.findall(r"(\d+) KB", done.stdout.decode())]
        self.assertEqual(len(sizes), 2, done.stderr)
        self.assertLess(max(sizes), 400_000, "3 MB of session file")  # 12 GB once

    def test_04_a_thread_that_cannot_start(self):
        done = subprocess.run(["bash", "-c", 'ulimit -v 8000000; "$0" run -m "$1" --raw -t 1024 -n 2 -q hi', CLI, MODEL], stdin=subprocess.DEVNULL,
                              capture_output=True, env=environment("threads"), timeout=120)
        self.assertIn(done.returncode, (0, 2), done.stderr)
        self.assertNotIn(b"terminate called", done.stderr)

    def test_08_a_link_where_the_temporary_file_goes(self):
        done = subprocess.run(["bash", ATTACK / "09-symlink.sh", pathlib.Path(CLI).resolve(), MODEL], capture_output=True, env=environment("link"), timeout=120)
        self.assertTrue(done.stdout.decode().endswith("precious\n\n"), done.stdout)


if __name__ == "__main__":
    if not CLI:
        sys.exit("FIELDPRINT_CLI does not say where the program is")
    if not SCRIPTS:
        print("skipped: the reports lie in ../shared/reports, which is absent")
        sys.exit(77)
    unittest.main(verbosity=2)
