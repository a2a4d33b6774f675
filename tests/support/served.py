"""A server under test: `fieldprint serve` on a free port, and requests to it by nothing but http.client."""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

CLI = os.environ.get("FIELDPRINT_CLI", "")


class Served:
    """with Served(model, "--flag", ...) as server: server.port, server.url"""

    def __init__(self, model, *flags):
        self.log = tempfile.TemporaryFile("w+")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPRINT_") or k == "FIELDPRINT_API_KEY"}
        environment["XDG_STATE_HOME"] = self.folder = tempfile.mkdtemp(prefix="fieldprint-served-")
        self.process = subprocess.Popen([CLI, "serve", str(model), "--port", "0", *map(str, flags)], env=environment,
                                        stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"https?://127\.0\.0\.1:(\d+)", line)
        if not found:
            self.process.kill()
            self.log.seek(0)
            raise RuntimeError(f"the server did not start: {line}{self.log.read()}")
        self.url, self.port = found.group(), int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.stop()
        assert code == 0, f"the server ended with {code}"

    def stop(self):
        """As `kill` does it; the exit code, and the log where it is not 0."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if code != 0:
            self.log.seek(0)
            print(self.log.read(), file=sys.stderr)
        self.log.close()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def request(self, method, path, body=None, headers=(), timeout=120):
        """Status, headers and body as text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **dict(headers)})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read().decode()
        finally:
            connection.close()

    def json(self, method, path, body=None, status=200, headers=()):
        got, _, text = self.request(method, path, body, headers)
        assert got == status, f"{method} {path}: {got} {text}"
        return json.loads(text)

    def post(self, path, body, **rest):
        return self.json("POST", path, body, **rest)

    def events(self, path, body, headers=()):
        """What a stream sends: pairs of the event's name ("" = none) and its data."""
        status, head, text = self.request("POST", path, {**body, "stream": True}, headers)
        assert status == 200 and head["Content-Type"].startswith("text/event-stream"), f"{status} {text}"
        assert text.endswith("\n\n"), text[-200:]
        out = []
        for block in text[:-2].split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n"))
            data = lines["data"]
            out.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
        return out
