"""The admin daemon: answers the command line tools on port 1099, some seconds after its start.

One request and one answer per connection, each a line of JSON.
"""

import json
import logging
import socketserver
import threading
import time

import settings
from errors import AdminError, StorageError
from operations import Administration

STARTUP_SECONDS = 3.0  # a Java machine with its bundles takes this long before it listens


class Request(socketserver.StreamRequestHandler):
    server: "Server"

    def handle(self) -> None:
        try:
            request = json.loads(self.rfile.readline())
        except ValueError:
            return
        self.wfile.write(json.dumps(self.answer(request)).encode() + b"\n")

    def answer(self, request: dict) -> dict:
        command = request.get("command", "")
        try:
            with self.server.lock:
                result = self.server.administration.run(command, request.get("login", {}), request.get("options", {}))
        except AdminError as error:
            logging.error("%s: %s", command, error)
            return {"error": error.kind, "message": str(error)}
        except Exception:
            logging.exception("%s failed", command)
            return {"error": StorageError.kind, "message": "Internal error, see the log of the admin daemon"}
        logging.info("%s done", command)
        return {"result": result}


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    administration: Administration
    lock = threading.Lock()


def main() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s", datefmt="%b %d, %Y %H:%M:%S"
    )
    # Read once: a change of mpasswd or configdb.properties needs a restart.
    configuration = settings.read()
    time.sleep(STARTUP_SECONDS)
    with Server(("127.0.0.1", configuration.port), Request) as server:
        server.administration = Administration(configuration)
        logging.info("Admindaemon successfully started.")
        server.serve_forever()


if __name__ == "__main__":
    main()
