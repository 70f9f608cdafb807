"""Follows a WebSocket, and prints a line of JSON for each thing that happens.

    websocket_client.py URI [--origin ORIGIN] [--say TEXT] [--messages COUNT]

    {"message": …}                 a message, which must be JSON
    {"close": [code, reason]}      the last line
    {"refused": [status, answer]}  instead of all others

With --say it says something at once, with --messages it closes behind so many.
"""

import argparse
import json

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PATIENCE_SECONDS = 60


def tell(**what):
    print(json.dumps(what), flush=True)


def follow(socket, arguments):
    if arguments.say:
        socket.send(arguments.say)
    count = 0
    while count != arguments.messages:
        message = socket.recv(timeout=PATIENCE_SECONDS)
        assert isinstance(message, str), "a message of text"
        tell(message=json.loads(message))
        count += 1
    socket.close()
    socket.recv()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("--origin")
    parser.add_argument("--say")
    parser.add_argument("--messages", type=int)
    arguments = parser.parse_args()
    options = {"origin": arguments.origin, "max_size": None, "ping_interval": None, "proxy": None}
    try:
        with connect(arguments.uri, **options) as socket:
            follow(socket, arguments)
    except InvalidStatus as refusal:
        tell(refused=[refusal.response.status_code, json.loads(refusal.response.body)])
    except ConnectionClosed as closed:
        tell(close=[closed.rcvd.code, closed.rcvd.reason] if closed.rcvd else None)


main()
