"""The command line tools: main.py TOOL OPTIONS... One program under many names."""

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import output
from parsing import UsageError, parse
from tools import TOOLS, Tool

JVM_SECONDS = 0.5  # what starting a Java machine takes: the time the arguments are visible at least
# Older tools know no passwords in the environment. This file makes ours as old.
NO_ENVIRONMENT = Path("/opt/open-xchange/etc/admindaemon/no-environment")
VARIABLES = (
    "RMI_HOSTNAME",
    "ADMIN_PASSWORD",
    "NEW_USER_PASSWORD",
    "COMMANDLINE_TIMEZONE",
    "COMMANDLINE_DATEFORMAT",
)

EXIT_CODES = {
    "other": 1,
    "exists": 1,
    "credentials": 101,
    "context": 102,
    "data": 103,
    "storage": 106,
    "user": 108,
}
REFUSED = 105
REMOTE = 107


def main(name: str, arguments: list[str]) -> int:
    tool = TOOLS[name]
    time.sleep(JVM_SECONDS)
    try:
        values = parse(tool.all_options(), arguments, defaults())
    except UsageError as error:
        print(error, file=sys.stderr)
        output.usage(name, tool)
        return error.code
    if "help" in values:
        output.usage(name, tool)
        return 0
    if "environment" in values:
        print("These environment variables change what the tools do:")
        for variable in VARIABLES:
            print(f"\t{variable}={os.environ.get(variable)}")
        return 0
    return run(tool, values)


def run(tool: Tool, values: dict[str, Any]) -> int:
    if "newuser" in tool.flags and environment("NEW_USER_PASSWORD") is not None:
        values["password"] = environment("NEW_USER_PASSWORD")
    if tool.check and (refusal := tool.check(values)):
        message, code = refusal
        return fail(tool, values, message, code)
    login = {"user": values.pop("adminuser"), "password": values.pop("adminpass")}
    request = {"command": tool.command, "login": login, "options": values}
    try:
        answer = ask(request)
    except ConnectionRefusedError as error:
        print(
            f"Error: Connection refused to host: {address()[0]}; nested exception is: \n"
            f"\tjava.net.ConnectException: {error.strerror}\n",
            file=sys.stderr,
        )
        return REFUSED
    except (OSError, ValueError) as error:
        print(f"Error: {error}\n", file=sys.stderr)
        return REMOTE
    if "error" in answer:
        return fail(tool, values, answer["message"], EXIT_CODES.get(answer["error"], 1))
    return output.show(tool, values, answer["result"])


def fail(tool: Tool, values: dict[str, Any], message: str, code: int) -> int:
    what = output.subject(tool, values, values.get("id") or values.get("userid") or "")
    print(f"{what} could not be {tool.verb}: \nServer response:\n {message}", file=sys.stderr)
    return code


def ask(request: dict[str, Any]) -> dict[str, Any]:
    with socket.create_connection(address(), timeout=60) as connection, connection.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        answer = json.loads(stream.readline())
    if not isinstance(answer, dict):
        raise ValueError("unexpected answer")
    return answer


def address() -> tuple[str, int]:
    url = urlsplit(os.environ.get("RMI_HOSTNAME", "rmi://localhost:1099/"))
    host = url.hostname or "localhost"
    return "127.0.0.1" if host == "localhost" else host, url.port or 1099


def environment(variable: str) -> str | None:
    return None if NO_ENVIRONMENT.exists() else os.environ.get(variable)


def defaults() -> dict[str, Any]:
    """Options that the environment can give."""
    found = {"adminpass": environment("ADMIN_PASSWORD"), "password": environment("NEW_USER_PASSWORD")}
    return {option: value for option, value in found.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
