"""``python -m coldtable.local``: the embedded AWS on a loopback port, until a signal ends it."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime

from .options import parse
from .surroundings import prepare


def main() -> int:
    options = parse(sys.argv[1:], datetime.now(UTC))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", options.port))
    except OSError as error:
        sys.stderr.write(f"coldtable local: port {options.port} cannot be used: {error.strerror}\n")
        return 1
    listener.listen(512)
    with prepare(options, listener.getsockname()[1]) as surroundings:
        # Only now: ministack reads the environment when it is imported.
        from .seams.selfcheck import SeamBroken
        from .server import serve

        try:
            serve(options, surroundings, listener)
        except SeamBroken as error:
            sys.stderr.write(f"coldtable local: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Worker threads of ministack may still wait on something; everything is saved by now.
    os._exit(status)
