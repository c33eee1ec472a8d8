"""Watches events over a WebSocket, by a published client: writes each message as a line, then how it was closed.

    watcher.py SOCKET PATH [--header NAME:VALUE] [--protocol NAME] [--mute]

What it is to do stands on standard input, a line each: `send TEXT`, `raw HEX` (bytes past the protocol), `close`, `read`
(for one that is mute: it reads nothing before).
"""

import argparse
import sys
import threading

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import unix_connect


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("path")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--protocol", action="append")
    parser.add_argument("--mute", action="store_true")
    args = parser.parse_args()
    try:
        connection = unix_connect(
            args.socket,
            "ws://localhost" + args.path,
            additional_headers=[header.split(":", 1) for header in args.header],
            subprotocols=args.protocol,
            max_queue=1 if args.mute else 1024,
            compression=None,
        )
    except InvalidStatus as refused:
        print("refused", refused.response.status_code, refused.response.body.decode(), flush=True)
        return
    print("open", connection.subprotocol, flush=True)
    may_read = threading.Event()
    if not args.mute:
        may_read.set()

    def obey():
        for line in sys.stdin:
            verb, _, rest = line.strip().partition(" ")
            if verb == "send":
                connection.send(rest)
            elif verb == "raw":
                connection.socket.sendall(bytes.fromhex(rest))
            elif verb == "close":
                connection.close()
            elif verb == "read":
                may_read.set()

    threading.Thread(target=obey, daemon=True).start()
    may_read.wait()
    try:
        for message in connection:
            print(message, flush=True)
        raise connection.protocol.close_exc
    except ConnectionClosed as closed:
        received = closed.rcvd
        print("closed", received.code if received else 1006, received.reason if received else "", flush=True)


main()
