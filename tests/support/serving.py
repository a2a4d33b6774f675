"""A `fieldprint serve` of a test's own: started, asked, stopped."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

CLI = os.environ.get("FIELDPRINT_CLI", "")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """`with Server(model, *flags) as server:`; the log is server.log() afterwards and meanwhile."""

    def __init__(self, model, *flags, env=None, data=None, host="127.0.0.1"):
        self.folder = tempfile.TemporaryDirectory(prefix="fieldprint-serve-")
        self.data = data or os.path.join(self.folder.name, "data")
        self.log_path = os.path.join(self.folder.name, "log")
        flags = [str(flag) for flag in flags]
        where = [] if "--unix-socket" in flags else ["--host", host, "--port", "0"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPRINT_")}
        environment.update(XDG_CONFIG_HOME=self.folder.name, XDG_STATE_HOME=self.folder.name)
        environment.update(env or {})
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([CLI, "serve", str(model), "--data-dir", self.data, *where, *flags], env=environment,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r" is served at (\S+)", line)
        if not found:
            self.process.wait(10)
            raise RuntimeError(f"no server: {line!r} {self.log()}")
        self.url = found.group(1)
        self.port = int(self.url.rsplit(":", 1)[1]) if not self.url.startswith("unix:") else 0

    def log(self):
        return pathlib.Path(self.log_path).read_text()

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path, body=None, method=None, headers=None, timeout=60):
        connection = self.connect(timeout)
        try:
            data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
            connection.request(method or ("GET" if body is None else "POST"), path, data,
                               {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read())
        finally:
            connection.close()

    def named_events(self, path, body, headers=None):
        """Of each event of a stream its name ("" = none) and its data, as JSON or "[DONE]"."""
        answer = self.ask(path, {**body, "stream": True}, headers=headers)
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
        text, out = answer.body.decode(), []
        assert text.endswith("\n\n"), text[-200:]
        for block in text[:-2].split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n"))
            out.append((lines.get("event", ""), lines["data"] if lines["data"] == "[DONE]" else json.loads(lines["data"])))
        return out

    def events(self, path, body, headers=None):
        """The data of each event of a stream, as JSON, and "[DONE]"."""
        return [data for _, data in self.named_events(path, body, headers)]

    def json(self, method, path, body=None, status=200, headers=None):
        """What a request is answered with, which has this status."""
        answer = self.ask(path, body, method, headers)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body}"
        return answer.json

    def post(self, path, body, **rest):
        return self.json("POST", path, body, **rest)

    def raw(self, data, timeout=20, half_close=False):
        """Sends bytes on a connection of its own; everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            out = b""
            while chunk := connection.recv(65536):
                out += chunk
            return out

    def wait_idle(self, seconds=10):
        """Until nothing is under way; how long that took."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if not self.ask("/slots").json:
                return time.monotonic() - begin
            time.sleep(0.02)
        raise AssertionError("answers are still under way")

    def stop(self, how=signal.SIGTERM, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()
