#!/usr/bin/env python3
"""How a server of the OpenAI API does under load; works with other programs' servers too.

  bench/server_load.py streams URL [--streams 16] [--prompt 64] [--answer 64]   generated tokens/s of all streams together
  bench/server_load.py turns URL [--cached 2000]                                time to first token, cached and not
  bench/server_load.py gaps URL [--streams 15] [--prompt 4000]                  time between tokens while a prompt is read
  bench/server_load.py chaos URL [--requests 10000] [--pid PID]                 a third cut off, malformed, slow, half-closed
"""
import argparse
import asyncio
import json
import random
import statistics
import time
import urllib.parse

WORDS = "river stone morning letter garden winter music window paper bridge cloud market silver forest engine harbour".split()


def text_of(words, seed):
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(words))


class Client:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port

    async def open(self, path, body, length=None):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length or len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        await writer.drain()
        return reader, writer

    async def whole(self, path, body):
        """(status, the reply's body)"""
        reader, writer = await self.open(path, body)
        try:
            raw = await reader.read()
        finally:
            writer.close()
        head, _, rest = raw.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            out = b""
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                n = int(size or b"0", 16)
                if n == 0:
                    break
                out, rest = out + rest[:n], rest[n + 2:]
            rest = out
        return int(head.split(b" ")[1]), rest

    async def stream(self, body, path="/v1/completions"):
        """The times at which tokens came, and the last chunk with usage."""
        reader, writer = await self.open(path, {**body, "stream": True, "stream_options": {"include_usage": True}})
        times, usage = [], None
        try:
            while line := await reader.readline():
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                now = time.perf_counter()
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise RuntimeError(chunk)
                usage = chunk.get("usage") or usage
                choices = chunk.get("choices")
                if choices and (choices[0].get("text") or choices[0].get("delta", {}).get("content")):
                    times.append(now)
        finally:
            writer.close()
        return times, usage


def completion(words, seed, answer, **more):
    return {"prompt": text_of(words, seed), "max_tokens": answer, "temperature": 0, "ignore_eos": True, "loop_check": False, "repeat_penalty": 1.0, **more}


async def streams(client, options):
    begin = time.perf_counter()
    results = await asyncio.gather(*(client.stream(completion(options.prompt, random.random(), options.answer)) for _ in range(options.streams)))
    seconds = time.perf_counter() - begin
    tokens = sum(usage["completion_tokens"] for _, usage in results)
    first = max(times[0] for times, _ in results)
    last = max(times[-1] for times, _ in results)
    decoded = sum(1 for times, _ in results for at in times if at > first)
    print(json.dumps({"tokens": tokens, "seconds": round(seconds, 2), "tokens_per_second": round(tokens / seconds, 2),
                      "of_decode_alone": round(decoded / max(last - first, 1e-9), 2)}))


async def turns(client, options):
    async def first_token(messages):
        begin = time.perf_counter()
        times, usage = await client.stream({"messages": messages, "max_tokens": 8, "temperature": 0, "ignore_eos": True}, "/v1/chat/completions")
        return (times[0] - begin) * 1e3, usage
    results = {"cached_ms": [], "uncached_ms": [], "cached_tokens": 0}
    for round_ in range(options.rounds):
        messages = []
        for turn in range(9):
            messages.append({"role": "user", "content": text_of(options.cached // 20, (round_, turn).__hash__())})
            ms, usage = await first_token(messages)
            messages.append({"role": "assistant", "content": text_of(options.cached // 20, (round_, turn, 1).__hash__())})
            if turn < 8:  # what the next turn finds is computed without being timed
                await first_token(messages + [{"role": "user", "content": "?"}])
        results["cached_ms"].append(round(ms, 1))
        results["cached_tokens"] = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        results["prompt_tokens"] = usage["prompt_tokens"]
        fresh = [dict(message, content=message["content"][::-1]) for message in messages[:-1]]
        results["uncached_ms"].append(round((await first_token(fresh))[0], 1))
    print(json.dumps(results))


async def gaps(client, options):
    begun = asyncio.Event()

    async def answer(seed):
        return (await client.stream(completion(32, seed, options.answer)))[0]
    tasks = [asyncio.create_task(answer(i)) for i in range(options.streams)]
    await asyncio.sleep(options.before)
    begin = time.perf_counter()
    await client.stream(completion(options.prompt, "long", 1))
    end = time.perf_counter()
    all_times = await asyncio.gather(*tasks)
    before = [b - a for times in all_times for a, b in zip(times[1:], times[2:]) if b < begin]
    within = sorted(b - a for times in all_times for a, b in zip(times, times[1:]) if b > begin and a < end)
    median = statistics.median(before)
    p99 = within[min(len(within) - 1, int(len(within) * 0.99))]
    print(json.dumps({"median_ms_before": round(median * 1e3, 1), "p99_ms_within": round(p99 * 1e3, 1), "ratio": round(p99 / median, 2),
                      "prompt_seconds": round(end - begin, 1), "gaps": len(within)}))


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


async def chaos(client, options):
    """Whoever is answered gets what a request alone got."""
    rng = random.Random(options.seed)

    def body(i):
        return {"messages": [{"role": "user", "content": text_of(3 + i % 5, i % 40)}], "seed": i % 13, "max_tokens": 1 + i % 17, "temperature": 1.0}
    expected = {}
    for i in range(40 * 13 * 17):
        if len(expected) >= options.distinct:
            break
        status, reply = await client.whole("/v1/chat/completions", body(i))
        assert status == 200, reply
        reply = json.loads(reply)
        expected[i] = (reply["choices"][0]["message"]["content"], reply["fieldprint"]["logits_hash"])
    kinds = {}
    wrong = []

    async def one(i):
        kind = rng.random()
        name = "answered"
        try:
            if kind < 0.10:
                name = "aborted"
                _, writer = await client.open("/v1/chat/completions", {**body(i), "max_tokens": 500, "stream": bool(i % 2)})
                await asyncio.sleep(rng.random() * 0.1)
                writer.transport.abort() if i % 3 else writer.close()
            elif kind < 0.16:
                name = "malformed"
                junk = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200)))
                status, _ = await client.whole("/v1/chat/completions", junk if i % 2 else json.dumps({**body(i), "temperature": "x"}).encode())
                assert status == 400, status
            elif kind < 0.20:
                name = "no http"
                reader, writer = await asyncio.open_connection(client.host, client.port)
                writer.write(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))) + b"\r\n\r\n")
                writer.write_eof()
                await reader.read()
                writer.close()
            elif kind < 0.24:
                name = "oversized"
                reader, writer = await client.open("/v1/chat/completions", b"{" + b" " * 1000, 1 << 40)
                assert b" 413 " in (await reader.read(100))
                writer.close()
            elif kind < 0.28:
                name = "half-closed"
                reader, writer = await client.open("/v1/chat/completions", b"{", 500)
                writer.write_eof()
                await reader.read()
                writer.close()
            elif kind < 0.31:
                name = "slow"
                reader, writer = await asyncio.open_connection(client.host, client.port)
                data = json.dumps(body(i % options.distinct)).encode()
                raw = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
                for at in range(0, len(raw), 40):
                    writer.write(raw[at:at + 40])
                    await asyncio.sleep(0.02)
                start = await reader.read(20)
                assert b" 200 " in start, start
                writer.transport.abort()
            elif kind < 0.34:
                name = "not read"
                _, writer = await client.open("/v1/chat/completions", {**body(i), "stream": True, "max_tokens": 300})
                await asyncio.sleep(0.3)
                writer.transport.abort()
            else:
                while True:
                    status, reply = await client.whole("/v1/chat/completions", body(i % options.distinct))
                    if status != 503:
                        break
                    await asyncio.sleep(0.05)
                assert status == 200, (status, reply)
                reply = json.loads(reply)
                got = (reply["choices"][0]["message"]["content"], reply["fieldprint"]["logits_hash"])
                if got != expected[i % options.distinct]:
                    wrong.append((i, got, expected[i % options.distinct]))
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if name == "answered":
                wrong.append((i, repr(error)))
        kinds[name] = kinds.get(name, 0) + 1

    queue = iter(range(options.requests))
    sizes = []

    async def worker():
        for i in queue:
            await one(i)
            if options.pid and i % (options.requests // 10) == 0:
                sizes.append(resident(options.pid))
    await asyncio.gather(*(worker() for _ in range(options.workers)))
    print(json.dumps({"requests": options.requests, "kinds": kinds, "wrong": len(wrong), "first_wrong": wrong[:2], "resident_kib": sizes}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["streams", "turns", "gaps", "chaos"])
    parser.add_argument("url")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=64, help="words")
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--cached", type=int, default=2000, help="words of the turns before")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=float, default=5, help="seconds of decoding before the prompt comes")
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    asyncio.run(globals()[options.what](Client(options.url), options))


if __name__ == "__main__":
    main()
