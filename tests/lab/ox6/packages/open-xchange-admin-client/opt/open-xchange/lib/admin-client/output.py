"""What the tools print when all went well, and their usage."""

from typing import Any

from tools import Tool

EMPTY_CELL = ""


def usage(name: str, tool: Tool) -> None:
    print(f"Usage: {name}")
    for option in tool.all_options():
        marks = "* " if option.needed else "  "
        value = "" if option.kind == "flag" else f" <{option.name}>"
        print(f" {str(option) + value:<50}{marks}{option.help}")
    print("\nEntries marked with an asterisk (*) are mandatory.")


def show(tool: Tool, values: dict[str, Any], result: Any) -> int:
    """Print the result; the exit code, which is 1 only for something that does not exist."""
    if tool.table:
        (show_csv if "csv" in values else show_table)(tool, result)
        return 0
    if tool.command.startswith("exists"):
        what = subject(tool, values, values.get("userid", values.get("username", "")))
        print(f"{what} {'exists' if result else 'does not exist'}")
        return 0 if result else 1
    end = "" if "nonl" in values else "\n"
    print(f"{subject(tool, values, result)} {tool.verb}", end=end)
    return 0


def subject(tool: Tool, values: dict[str, Any], identifier: Any) -> str:
    """The thing a message is about, with what is known of it."""
    if tool.subject == "context":
        text = f"context {values['context']}"
    elif tool.subject == "user":
        text = " ".join(filter(None, ["user", str(identifier), f"in context {values['context']}"]))
    else:
        text = " ".join(filter(None, [tool.subject, str(identifier)]))
    return text[0].upper() + text[1:] if tool.command.startswith("exists") else text


def show_csv(tool: Tool, rows: list[dict[str, Any]]) -> None:
    columns = [column for _, column in tool.table]
    print(",".join(columns))
    for row in rows:
        print(",".join(csv_cell(row[column]) for column in columns))


def csv_cell(value: Any) -> str:
    return EMPTY_CELL if value is None else '"' + str(value).replace('"', '""') + '"'


def show_table(tool: Tool, rows: list[dict[str, Any]]) -> None:
    columns = [(heading, column) for heading, column in tool.table if heading]
    cells = [[heading for heading, _ in columns]]
    cells += [["" if row[column] is None else str(row[column]) for _, column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print(" ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + " ")
