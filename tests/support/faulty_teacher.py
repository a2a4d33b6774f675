"""A server of the OpenAI API on 127.0.0.1 that fails in every way that servers fail, the same for the same prompt.

Each prompt goes through faults of its own, drawn from its hash, before it is answered: so many that a client which tries
again gets there. Prompts with POISON in them are refused for good. What is answered depends on prompt and seed alone.
"""
import email.utils
import hashlib
import http.server
import json
import socket
import struct
import threading
import time

FAULTS = ["429", "429-date", "500", "503", "reset", "cut", "cut-clean", "wrong-json", "html", "no-body", "empty",
          "error-event", "slow"]


def digest(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).digest()


def faults_of(prompt, seed, kinds):
    """Of the attempts before the one that succeeds: none for half of the rows, else one or two."""
    drawn = digest("faults", prompt, seed)
    count = [0, 0, 0, 1, 1, 2][drawn[0] % 6]
    return [kinds[drawn[1 + i] % len(kinds)] for i in range(count)] if kinds else []


def answer_of(prompt, seed):
    """(reasoning, content, finish_reason): with a thought apart, with one in the text, with one that does not end, or without."""
    drawn = digest("answer", prompt, seed)
    word = drawn.hex()[:12]
    kind = drawn[0] % 8
    if kind == 0:
        return f"Let me think of {word}.", f"It is {word}.", "stop"
    if kind == 1:
        return "", f"<think>\nPerhaps {word}.\n</think>\n\nIt is {word}, \"quoted\" — ünïcode.", "stop"
    if kind == 2:
        return "", f"<think>\nHm, {word}, or", "length"
    return "", f"The answer is {word}. " * (1 + drawn[1] % 5), "stop"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def send_bytes(self, status, body, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status, value, **headers):
        self.send_bytes(status, json.dumps(value).encode(), **headers)

    def refuse(self, status, sentence, **headers):
        self.send_json(status, {"error": {"message": sentence, "type": "error"}}, **headers)

    def do_GET(self):
        if self.path == "/v1/models":
            return self.send_json(200, {"object": "list", "data": [{"id": self.server.teacher.name, "owned_by": "tests"}]})
        self.refuse(404, "not here")

    def do_POST(self):
        teacher = self.server.teacher
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt, seed = request["messages"][-1]["content"], request["seed"]
        fault = teacher.next_fault(prompt, seed, request, self.headers.get("Authorization"))
        time.sleep(teacher.latency * (1 + digest(prompt, seed)[2] % 4))
        try:
            self.fail(fault) if fault else self.answer(request, prompt, seed)
        finally:
            teacher.leave()

    def fail(self, fault):
        if fault == "429":
            return self.refuse(429, "slow down", Retry_After="0")
        if fault == "429-date":  # of the past: at once
            return self.refuse(429, "slow down", Retry_After=email.utils.formatdate(time.time() - 5, usegmt=True))
        if fault == "429-wait":
            return self.refuse(429, "slow down", Retry_After="1")
        if fault == "429-long":
            return self.refuse(429, "slow down", Retry_After="300")
        if fault == "429-date-wait":
            return self.refuse(429, "slow down", Retry_After=email.utils.formatdate(time.time() + 3, usegmt=True))
        if fault in ("400", "401", "404", "500", "503"):
            return self.refuse(int(fault), "this is not to be")
        if fault == "reset":
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.connection.close()
        if fault == "wrong-json":
            return self.send_bytes(200, b'{"choices": [{"message": {"content": "half an ans')
        if fault == "html":
            return self.send_bytes(200, b"<html><body>Bad gateway</body></html>", "text/html")
        if fault == "no-body":
            return self.send_bytes(200, b"")
        if fault == "empty":
            return self.send_json(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""},
                                                     "finish_reason": "stop"}]})
        self.begin_stream(chunked=fault != "cut-clean")
        if fault == "pings":  # comments of a server that never answers
            while not self.server.teacher.stopped.wait(0.02):
                self.wfile.write(b"8\r\n: ping\n\n\r\n")
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "This is only the beg"}}]})
        if fault == "error-event":
            self.event({"error": {"message": "out of memory", "code": 500}})
        if fault == "slow":
            self.server.teacher.stopped.wait(self.server.teacher.slow)
        self.close_connection = True  # within the stream: "cut", "cut-clean", and what comes after the others

    def begin_stream(self, chunked=True):
        self.chunked = chunked
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
        self.end_headers()

    def event(self, value):
        data = f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)
        self.wfile.flush()

    def answer(self, request, prompt, seed):
        reasoning, content, finish = answer_of(prompt, seed)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(content.split())}
        if not request.get("stream"):
            message = {"role": "assistant", "content": content}
            if reasoning:
                message["reasoning_content"] = reasoning
            return self.send_json(200, {"choices": [{"index": 0, "message": message, "finish_reason": finish}],
                                        **({"usage": usage} if self.server.teacher.usage else {})})
        self.begin_stream()
        chunk = lambda delta, reason=None: self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        chunk({"role": "assistant", "content": ""})
        if reasoning:
            chunk({"reasoning_content": reasoning})
        for at in range(0, len(content), 7):
            chunk({"content": content[at:at + 7]})
        chunk({}, finish)
        if self.server.teacher.usage:
            self.event({"choices": [], "usage": usage})
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")


class FaultyTeacher:
    """`with FaultyTeacher() as teacher:`; teacher.url; teacher.asked: (prompt, seed) of each request, teacher.times: when."""

    def __init__(self, kinds=FAULTS, latency=0.002, slow=5.0, key=None, name="faulty", most=None, script=None, usage=True):
        """`script`: {text in a prompt: faults of its attempts, the last for ever}. `most`: more at a time are a 429."""
        self.kinds, self.latency, self.slow, self.key, self.name, self.most = kinds, latency, slow, key, name, most
        self.script = script or {}
        self.usage = usage  # whether it counts tokens
        self.asked, self.requests, self.times, self.attempts = [], [], [], {}
        self.running = self.highest = 0
        self.lock, self.stopped = threading.Lock(), threading.Event()

    def next_fault(self, prompt, seed, request, authorization):
        with self.lock:
            self.asked.append((prompt, seed))
            self.requests.append(request)
            self.times.append(time.monotonic())
            attempt = self.attempts[prompt, seed] = self.attempts.get((prompt, seed), 0) + 1
            self.running += 1
            self.highest = max(self.highest, self.running)
            if self.key is not None and authorization != f"Bearer {self.key}":
                return "401"
            if self.most is not None and self.running > self.most:
                return "429"
        for text, faults in self.script.items():
            if text in prompt:
                return faults[min(attempt, len(faults)) - 1]
        if "POISON" in prompt:
            return "400"
        faults = faults_of(prompt, seed, self.kinds)
        return faults[attempt - 1] if attempt <= len(faults) else None

    def leave(self):
        with self.lock:
            self.running -= 1

    def __enter__(self):
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):  # a client that was killed
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.teacher = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
