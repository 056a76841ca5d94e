"""Times the server of docs/serving.md with 1, 4 and 16 clients, against `generate` alone.

python benchmarks/serving.py IMAGES_FOLDER [--requests 64]

Server and clients share the machine; only 127.0.0.1 is asked.
"""

import argparse
import importlib.util
import itertools
import pathlib
import statistics
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from timing import write_json

EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "serve.py"
CLIENTS = (1, 4, 16)
PORT = 8731


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=64, help="for each number of clients")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    contents = [path.read_bytes() for path in sorted(args.images.iterdir())[: args.requests]]
    module = load_example()
    serve(module.app)
    for content in contents[:4]:
        module.captioner.generate(content)
        post(content)
    results = {}
    for _ in range(args.rounds):
        alone = timed(module.captioner.generate, contents, 1)
        results.setdefault("generate, one after the other", []).append(alone)
        for clients in CLIENTS:
            found = timed(post, contents, clients)
            results.setdefault(f"server, {clients} clients", []).append(found)
    print(f"{'':32} {'median':>9} {'95 %':>9} {'images/s':>9} {'to generate':>12}")
    baseline = results["generate, one after the other"]
    for name, rounds in results.items():
        latencies = sorted(itertools.chain.from_iterable(found["seconds"] for found in rounds))
        rate = statistics.median(found["rate"] for found in rounds)
        ratio = statistics.median(
            found["rate"] / base["rate"] for found, base in zip(rounds, baseline, strict=True)
        )
        middle, high = latencies[len(latencies) // 2], latencies[int(0.95 * len(latencies))]
        print(f"{name:32} {middle:7.3f} s {high:7.3f} s {rate:9.2f} {ratio:12.2f}")
    if args.output:
        write_json(args.output, results)


def load_example():
    spec = importlib.util.spec_from_file_location("serve", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(app):
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)


def post(content):
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/caption",
        head + content + b"\r\n--edge--\r\n",
        {"Content-Type": "multipart/form-data; boundary=edge"},
    )
    with urllib.request.urlopen(request) as answer:
        answer.read()


def timed(function, contents, clients):
    """Seconds of each call, and images a second, of so many threads."""

    def call(content):
        start = time.perf_counter()
        function(content)
        return time.perf_counter() - start

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(call, contents))
    return {"seconds": seconds, "rate": len(contents) / (time.perf_counter() - start)}


if __name__ == "__main__":
    main()
