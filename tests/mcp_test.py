#!/usr/bin/env python3
"""What `memory mcp` is made of, as processes (tests/mcp/mcp_fixture.cpp): bridges that start one daemon between them, many
clients that write at once, a daemon that is killed under them, bytes that are no messages."""
import concurrent.futures
import json
import os
import pathlib
import random
import select
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support.mcp_clients import daemons, end_daemons

CLI = os.environ.get("FIELDPRINT_CLI", "")
FIXTURE = os.path.join(os.environ.get("FIELDPRINT_BUILD", ""), "mcp_fixture")
TRIALS = float(os.environ.get("FIELDPRINT_TRIALS", "0.01"))  # 1: the whole count
CLIENTS, RECORDS = 8, max(20, int(1000 * TRIALS))


class Client:
    """An MCP client of the initialize era on a bridge's stdin and stdout."""

    def __init__(self, directory, name="client", command=(FIXTURE, "bridge")):
        self.process = subprocess.Popen([*command, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.next_id, self.name, self.buffer = 0, name, b""

    def send(self, message):
        self.process.stdin.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, timeout=60):
        while b"\n" not in self.buffer:  # not with readline(): select() knows nothing of what that has read ahead
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            got = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not got:
                raise RuntimeError("the bridge ended" if ready else "no answer")
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def ask(self, method, params=None):
        self.next_id += 1
        self.send({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params or {}})
        answer = self.receive()
        assert answer["id"] == self.next_id, answer
        return answer

    def initialize(self):
        answer = self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": self.name, "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    def call(self, tool, **arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(60)
        rest = self.buffer + self.process.stdout.read()
        self.process.stdout.close()
        return code, rest


class Processes(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fieldprint-mcp-")
        self.directory = self.folder.name

    def tearDown(self):
        end_daemons(self.directory)
        self.folder.cleanup()

    def records(self):
        lines = (pathlib.Path(self.directory) / "records").read_text().splitlines()
        return [json.loads(line)["text"] for line in lines]

    def test_many_clients_start_one_daemon_and_lose_nothing(self):
        def run(number):
            client = Client(self.directory, f"client{number}")
            client.initialize()
            process = client.call("status")["result"]["structuredContent"]["process"]
            for record in range(RECORDS):
                answer = client.call("remember", text=f"{number}:{record}")
                assert answer["result"]["structuredContent"]["status"] == "ADMITTED", answer
            code, rest = client.close()
            return process, code, rest

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            ends = list(pool.map(run, range(CLIENTS)))
        self.assertEqual(len({process for process, _, _ in ends}), 1)
        self.assertEqual({(code, rest) for _, code, rest in ends}, {(0, b"")})
        self.assertEqual(sorted(self.records()), sorted(f"{number}:{record}" for number in range(CLIENTS) for record in range(RECORDS)))
        self.assertEqual(daemons(self.directory), [ends[0][0]])  # it outlives its clients
        mode = os.stat(os.path.join(self.directory, "daemon.sock")).st_mode
        self.assertEqual((stat.S_IMODE(mode), stat.S_ISSOCK(mode)), (0o600, True))

    def test_a_daemon_that_is_killed_costs_no_answer_that_was_given(self):
        stop = time.time() + 3 + 27 * TRIALS

        def run(number):
            client, given, refused, asked = Client(self.directory), [], 0, 0
            client.initialize()
            while time.time() < stop:
                asked += 1
                answer = client.call("remember", text=f"{number}:{asked}")
                if "result" in answer:
                    given.append(f"{number}:{asked}")
                else:
                    assert "daemon" in answer["error"]["message"], answer
                    refused += 1
            return given, refused, client.close()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(run, number) for number in range(4)]
            kills = 0
            while time.time() < stop - 1:
                time.sleep(random.uniform(0.05, 0.4))
                for process in daemons(self.directory):
                    os.kill(process, signal.SIGKILL)
                    kills += 1
            ends = [each.result() for each in runs]
        records = self.records()
        self.assertGreater(kills, 3)
        for given, refused, (code, rest) in ends:
            self.assertEqual((code, rest), (0, b""))
            self.assertGreater(len(given), kills)
            self.assertLessEqual(refused, 2 * kills + 2)
            self.assertEqual(set(given) - set(records), set())
        self.assertEqual(len(daemons(self.directory)), 1)

    def test_a_request_under_way_when_the_daemon_dies_is_answered(self):
        client = Client(self.directory)
        client.initialize()
        first = client.call("status")["result"]["structuredContent"]["process"]
        self.assertIn("ended before it answered", client.call("remember", text="die")["error"]["message"])
        second = client.call("status")["result"]["structuredContent"]["process"]
        self.assertNotEqual(first, second)
        self.assertEqual(client.close(), (0, b""))

    def test_a_daemon_that_cannot_start_says_why(self):
        os.mkdir(os.path.join(self.directory, "daemon.sock"))  # cannot be removed as a file
        client = Client(self.directory)
        answer = client.ask("ping")
        self.assertIn("daemon.sock", answer["error"]["message"])
        self.assertEqual(client.close()[0], 0)
        client = Client(os.path.join(self.directory, "nowhere"))
        self.assertIn("nowhere", client.ask("ping")["error"]["message"])
        self.assertEqual(client.close()[0], 0)

    def test_bytes_that_are_no_messages(self):
        client, chance = Client(self.directory), random.Random(26)
        client.initialize()
        good = json.dumps({"jsonrpc": "2.0", "id": "g", "method": "tools/call", "params": {"name": "status", "arguments": {}}}).encode()
        for _ in range(int(300 + 3000 * TRIALS)):
            kind = chance.randrange(4)
            if kind == 0:
                line = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
            elif kind == 1:
                line = bytearray(good)
                for _ in range(chance.randrange(1, 4)):
                    line[chance.randrange(len(line))] = chance.randrange(256)
            elif kind == 2:
                line = good[:chance.randrange(len(good))]
            else:
                line = b"[" * chance.randrange(2000)
            client.send(bytes(line).replace(b"\n", b" ") + b"\n")
        client.send(b"x" * (5 << 20) + b"\n")
        client.send({"jsonrpc": "2.0", "id": "last", "method": "ping"})
        answer = client.receive()
        while answer.get("id") != "last":
            self.assertTrue("error" in answer or "result" in answer)
            answer = client.receive()
        self.assertEqual(client.close(), (0, b""))
        self.assertEqual(len(daemons(self.directory)), 1)

    def test_a_flood_of_requests_is_all_answered(self):
        count = 2000
        flood = b"".join(json.dumps({"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": {"name": "status"}}).encode() + b"\n" for i in range(count))
        process = subprocess.Popen([FIXTURE, "bridge", self.directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        client = Client(self.directory)
        hello = json.dumps({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}).encode() + b"\n"
        out, _ = process.communicate(hello + flood, timeout=120)
        answers = [json.loads(line) for line in out.splitlines()]
        self.assertEqual({answer["id"] for answer in answers}, {"i", *range(count)})
        self.assertEqual({"result" in answer for answer in answers}, {True})
        client.close()


class Memory(unittest.TestCase):
    """The product itself: `fieldprint memory mcp`, eight times at once."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fieldprint-mcp-")
        self.directory = os.path.join(self.folder.name, "memory")
        subprocess.run([CLI, "memory", "init", "--memory", self.directory, "--generate-keys", os.path.join(self.folder.name, "keys")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def tearDown(self):
        end_daemons(self.directory)
        self.folder.cleanup()

    def client(self, name):
        client = Client(self.directory, name, (CLI, "memory", "mcp", "--memory"))
        client.initialize()
        return client

    def test_eight_clients_write_at_once(self):
        def run(number):
            client, ids = self.client(f"client{number}"), []
            for record in range(RECORDS):
                answer = client.call("remember", text=f"Client {number} noted its fact no. {record}: {random.random()}")
                assert "locked" not in json.dumps(answer), answer
                ids.append(answer["result"]["structuredContent"]["id"])
            self.assertEqual(client.close(), (0, b""))
            return ids

        begin = time.time()
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            ids = [each for ids in pool.map(run, range(CLIENTS)) for each in ids]
        print(f"{len(ids)} records by {CLIENTS} clients: {len(ids) / (time.time() - begin):.0f} a second", file=sys.stderr)
        self.assertEqual(len(set(ids)), CLIENTS * RECORDS)
        self.assertEqual(len(daemons(self.directory)), 1)
        end_daemons(self.directory)  # with SIGKILL: what was answered is durable
        client = self.client("reader")
        for each in ids:
            self.assertEqual(client.call("explain", id=each)["result"]["structuredContent"]["record"]["id"], each)
        self.assertEqual(sum(client.call("status")["result"]["structuredContent"]["records"].values()), CLIENTS * RECORDS)
        client.close()
        subprocess.run([CLI, "memory", "verify", "--memory", self.directory], check=True, stdout=subprocess.DEVNULL)

    def test_killing_the_daemon_loses_nothing_that_was_acknowledged(self):
        seconds = 3 + 57 * TRIALS
        stop = time.time() + seconds

        def run(number):
            client, ids, asked = self.client(f"client{number}"), [], 0
            while time.time() < stop:
                asked += 1
                time.sleep(seconds / 900)  # a source may write 1,000 a day
                answer = client.call("remember", text=f"Client {number} noted its fact no. {asked}: {random.random()}")
                if "error" in answer:
                    assert "daemon" in answer["error"]["message"], answer
                else:
                    assert not answer["result"]["isError"], answer
                    ids.append(answer["result"]["structuredContent"]["id"])
            self.assertEqual(client.close(), (0, b""))
            return ids

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            runs, kills = [pool.submit(run, number) for number in range(4)], 0
            while time.time() < stop - 1:
                time.sleep(random.uniform(0.1, 0.6))
                for process in daemons(self.directory):
                    os.kill(process, signal.SIGKILL)
                    kills += 1
            ids = [each for run in runs for each in run.result()]
        print(f"{kills} kills, {len(ids)} records acknowledged", file=sys.stderr)
        self.assertGreater(kills, 2)
        self.assertGreater(len(ids), 2 * kills)
        client = self.client("reader")
        for each in ids:
            self.assertEqual(client.call("explain", id=each)["result"]["structuredContent"]["record"]["id"], each)
        client.close()
        subprocess.run([CLI, "memory", "verify", "--memory", self.directory], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if not os.path.exists(FIXTURE) or not CLI:
        sys.exit("set FIELDPRINT_BUILD to a folder with mcp_fixture, FIELDPRINT_CLI to the program")
    unittest.main()
