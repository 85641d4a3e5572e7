#!/usr/bin/env python3
"""A service that registers itself with Evenkeel, and drains itself when it is told to stop.

    python3 register.py --api 127.0.0.1:7070 --name hello-1 --port 9001

On start it puts itself into a pool, with a ttl. While it runs it renews that, so that it is
withdrawn by itself if it dies. On SIGTERM or SIGINT it asks to be drained, waits until no node has
a request of it in flight, leaves the pool, and ends. Nothing but Python's standard library is
needed. A token is taken from EVENKEEL_TOKEN.
"""

import argparse
import json
import os
import signal
import socketserver
import sys
import threading
import urllib.error
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

TTL = 15  # seconds; a renewal that is lost twice does no harm


class Registration:
    """One backend in the registry. Its methods raise OSError if no node did what they ask for."""

    def __init__(self, apis, pool, name, address):
        self.apis = apis
        self.path = f"/v1/pools/{pool}/backends/{name}"
        self.spec = {"address": address, "ttl": f"{TTL}s"}

    def register(self):
        self._call("PUT", self.path, self.spec)

    def renew(self):
        """Renews the registration, and makes it again where it has lapsed."""
        try:
            self._call("PUT", self.path + "/heartbeat")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            self.register()

    def drain(self):
        self._call("PATCH", self.path, {"admin_state": "drain"})

    def drained(self):
        drain = self._call("GET", self.path)["status"].get("drain", {})
        return drain.get("state") in ("drained", "timed_out")

    def withdraw(self):
        self._call("DELETE", self.path)

    def _call(self, method, path, body=None):
        """Asks one node after the other. All that is asked for here may be asked for twice."""
        failed = None
        for api in self.apis:
            request = urllib.request.Request(f"http://{api}{path}", method=method)
            if body is not None:
                request.data = json.dumps(body).encode()
                request.add_header("Content-Type", "application/json")
            if token := os.environ.get("EVENKEEL_TOKEN"):
                request.add_header("Authorization", f"Bearer {token}")
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise
                failed = error
            except OSError as error:
                failed = error
        raise failed


def keep_renewing(registration, stopping):
    while not stopping.wait(TTL / 3):
        try:
            registration.renew()
        except OSError as error:
            print(f"not renewed, trying again: {error}", file=sys.stderr)


def leave(registration, patience):
    """Leaves the pool without a request that fails."""
    try:
        registration.drain()
        pause = threading.Event()
        for _ in range(patience * 5):
            if registration.drained():
                break
            pause.wait(0.2)
        registration.withdraw()
    except OSError as error:
        print(f"not withdrawn, the ttl will do that: {error}", file=sys.stderr)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves each connection on a thread of its own, and lets them end."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--api", default="127.0.0.1:7070", help="APIs of nodes, with commas between them")
    parser.add_argument("--pool", default="default")
    parser.add_argument("--name", required=True, help="name of this backend, a DNS label")
    parser.add_argument("--host", default="127.0.0.1", help="where the nodes reach this service")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--patience", type=int, default=30, help="seconds that a drain may take")
    options = parser.parse_args()

    def hello(_, start_response):
        body = f"hello from {options.name}\n".encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    server = make_server(options.host, options.port, hello, Server, Quiet)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()  # before it registers: requests come at once
    registration = Registration(options.api.split(","), options.pool, options.name, f"{options.host}:{server.server_port}")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        registration.register()
        print(f"{options.name} is registered", file=sys.stderr, flush=True)
        keep_renewing(registration, stopping)
        leave(registration, options.patience)
    finally:
        server.shutdown()
        serving.join()


if __name__ == "__main__":
    main()
