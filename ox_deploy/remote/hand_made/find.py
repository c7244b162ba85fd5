"""Find what was made by hand and does what ours is to do from now on. It reads only.

A part is a whole file, or lines of a file that others have more in: `lines` are the first and last of each run of them,
from 1 on. `why` says what it is, `digest` which text the lines belong to, `copy` where that is kept.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from ox_deploy.remote.common.files import block_in, block_lines, read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.hand_made.retire import copy_of

Span = tuple[int, int]
ETC = "/etc"
EXPORT = re.compile(r"^[ \t]*EXPORT\s*\{", re.MULTILINE | re.IGNORECASE)
# What says nothing, beside the lines that were found.
EMPTY = r"\s*(#.*)?"


def hand_made(wanted: Document) -> list[Document]:
    """Return all parts of the kinds that are asked for."""
    return [part for kind, arguments in wanted.items() for part in FINDERS[kind](arguments)]


def kept_values(wanted: Document) -> dict[str, str]:
    """Return what of our texts has to be replaced, and by what, so that those who use a service do not lose it."""
    return {text: other for kind, arguments in wanted.items() for text, other in KEEPERS[kind](arguments).items()}


def text_of(path: str) -> str:
    """Return a file's text, "" if there is none."""
    return (read(path) or b"").decode(errors="surrogateescape")


def part(path: str, spans: Iterable[Span], why: str, rest: str | None = None) -> list[Document]:
    """Return lines as a part, or the whole file where all other lines match `rest`; nothing where there are none."""
    own = {number for first, last in spans for number in range(first, last + 1)}
    if not own:
        return []
    lines = text_of(path).splitlines()
    is_all = rest is not None and all(
        re.fullmatch(rest, line) for number, line in enumerate(lines, 1) if number not in own
    )
    # Who is a link to a file elsewhere is no longer read without it; lines are in the file itself.
    place = path if is_all else os.path.realpath(path)
    return [part_of(place, [] if is_all else runs_of(own), why)]


def part_of(path: str, lines: list[list[int]], why: str) -> Document:
    """Return a part; without lines it is the whole file, or a link."""
    digest = hashlib.sha256(read(path) or b"").hexdigest()
    return {"path": path, "lines": lines, "why": why, "digest": digest, "copy": copy_of(path)}


def runs_of(numbers: Iterable[int]) -> list[list[int]]:
    """Return the first and the last of each run of numbers."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def lines_of(path: str, test: Callable[[str], bool]) -> list[Span]:
    """Return the lines for which a test holds, with those that continue them after a backslash; comments are none."""
    spans, start = [], 0
    lines = text_of(path).splitlines()
    for number, line in enumerate(lines, 1):
        start = start or number
        if line.endswith("\\"):
            continue
        whole = " ".join(each.removesuffix("\\") for each in lines[start - 1 : number])
        if not whole.lstrip().startswith("#") and test(whole):
            spans.append((start, number))
        start = 0
    return spans


def find_apt(wanted: Document) -> list[Document]:
    """Find other entries of the package repository: apt takes none of them where their keys differ."""
    url = wanted["url"].rstrip("/")

    def names_it(text: str) -> bool:
        return url in {word.rstrip("/") for word in text.split()}

    parts = []
    for path in [f"{ETC}/apt/sources.list", *sorted(glob.glob(f"{ETC}/apt/sources.list.d/*.list"))]:
        spans = lines_of(path, lambda line: line.lstrip().startswith("deb") and names_it(line))
        parts += part(path, spans, "a source of the same packages", EMPTY)
    for path in sorted(glob.glob(f"{ETC}/apt/sources.list.d/*.sources")):
        if path != wanted["ours"]:
            spans = [span for span, text in stanzas(text_of(path)) if names_it(text)]
            parts += part(path, spans, "a source of the same packages", EMPTY)
    return parts


def stanzas(text: str) -> list[tuple[Span, str]]:
    """Return the parts of a text between empty lines, with their lines."""
    found, start, lines = [], 0, [*text.splitlines(), ""]
    for number, line in enumerate(lines, 1):
        if line.strip():
            start = start or number
        elif start:
            said = [each for each in lines[start - 1 : number - 1] if not each.lstrip().startswith("#")]
            found.append(((start, number - 1), "\n".join(said)))
            start = 0
    return found


def find_fstab(wanted: Document) -> list[Document]:
    """Find lines that mount the filestore as we do, of the same server, whatever it is called there."""

    def is_it(line: str) -> bool:
        fields = line.split()
        return (
            len(fields) > 2
            and fields[1].rstrip("/") == wanted["path"]
            and fields[2].startswith("nfs")
            and same_source(fields[0], wanted["source"])
        )

    return part(f"{ETC}/fstab", without_ours(f"{ETC}/fstab", "filestore", is_it), "a mount of the filestore")


def without_ours(path: str, block: str, test: Callable[[str], bool]) -> list[Span]:
    """Return the lines for which a test holds outside of our block."""
    text = text_of(path)
    begin, _ = block_lines(block)
    inner = block_in(text, block)
    first = text.partition(begin)[0].count("\n") + 2 if inner is not None else 0
    last = first + (inner or "").count("\n") - 1
    return [span for span in lines_of(path, test) if not (first <= span[0] <= last)]


def same_source(found: str, wanted: str) -> bool:
    """Tell whether two sources of a mount are the same directory of the same server."""
    if found == wanted:
        return True
    (server, _, path), (ours, _, own) = found.rpartition(":"), wanted.rpartition(":")
    return path.rstrip("/") == own.rstrip("/") and bool(addresses_of(server) & addresses_of(ours))


def addresses_of(name: str) -> set[str]:
    """Return a name with the addresses that this host has for it."""
    found = {name}
    with suppress(OSError):
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, socket.AF_INET)}
    return found


def find_ganesha(wanted: Document) -> list[Document]:
    """Find other exports of the filestore by ganesha."""
    return [
        found
        for path in ganesha_files(wanted)
        for found in part(path, [span for span, _ in exports_of(path, wanted["path"])], "an export of the filestore")
    ]


def ganesha_files(wanted: Document) -> list[str]:
    """Return the files that ganesha reads, without ours."""
    text = text_of(wanted["main"])
    names = re.findall(r'^\s*%include\s+"?([^"\s]+)', text, re.MULTILINE)
    folder = os.path.dirname(wanted["main"])
    found = [wanted["main"], *(os.path.join(folder, name) for name in names)]
    return [path for path in dict.fromkeys(found) if path != wanted["ours"]]


def exports_of(path: str, directory: str) -> list[tuple[Span, str]]:
    """Return the blocks of a file of ganesha that export a directory, with their lines."""
    text, found = text_of(path), []
    for begin in EXPORT.finditer(text):
        depth, end = 1, begin.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        block = text[begin.start() : end]
        path_in = re.search(r'^[^#\n]*\bPath\s*=\s*"?([^";\s]+)', block, re.MULTILINE | re.IGNORECASE)
        if path_in and path_in[1].rstrip("/") == directory:
            first = text.count("\n", 0, begin.start()) + 1
            found.append(((first, first + block.count("\n")), block))
    return found


def keep_ganesha(wanted: Document) -> dict[str, str]:
    """Keep the number of the export: the handles that clients have of its files begin with it."""
    for path in [*ganesha_files(wanted), wanted["ours"]]:
        for _, block in exports_of(path, wanted["path"]):
            number = re.search(r"\bExport_Id\s*=\s*(\d+)", block, re.IGNORECASE)
            if number:
                return {f"Export_Id = {wanted['number']};": f"Export_Id = {number[1]};"}
    return {}


def find_exports(wanted: Document) -> list[Document]:
    """Find other exports of the filestore by the kernel's server."""
    return [
        found
        for path in export_files(wanted)
        for found in part(
            path, lines_of(path, lambda line: exported(line) == wanted["path"]), "an export of the filestore"
        )
    ]


def export_files(wanted: Document) -> list[str]:
    return [
        path for path in [f"{ETC}/exports", *sorted(glob.glob(f"{ETC}/exports.d/*.exports"))] if path != wanted["ours"]
    ]


def exported(line: str) -> str:
    """Return the directory that a line of an exports file is about."""
    words = re.match(r'\s*(?:"([^"]*)"|(\S+))', line)
    return ((words[1] or words[2]) if words else "").rstrip("/")


def keep_exports(wanted: Document) -> dict[str, str]:
    """Keep the number of the file system: the handles that clients have of its files begin with it."""
    for path in [*export_files(wanted), wanted["ours"]]:
        for line in text_of(path).splitlines():
            number = re.search(r"[(,]fsid=([^,)]+)", line)
            if exported(line) == wanted["path"] and number:
                return {"(rw,sync,": f"(rw,sync,fsid={number[1]},"}
    return {}


def find_apache(wanted: Document) -> list[Document]:
    """Find other balancers over our nodes, and what sends requests to them, in all that Apache reads."""
    paths = [f"{ETC}/apache2/apache2.conf", f"{ETC}/apache2/httpd.conf"]
    for folder in ("mods-enabled", "conf-enabled", "conf.d", "sites-enabled"):
        paths += sorted(glob.glob(f"{ETC}/apache2/{folder}/*"))
    texts = {path: text_of(path) for path in paths if path not in wanted["ours"] and os.path.isfile(path)}
    names = "|".join(map(re.escape, wanted["nodes"]))
    # Another port of a node is another service.
    node = re.compile(rf"\w+://({names}):{wanted['port']}(?!\d)", re.IGNORECASE)
    balancers = {name for text in texts.values() for name, members in sections(text) if node.search(members)}
    parts = []
    for path in texts:
        spans = [span for span, line in requests(texts[path]) if sends_to(line, node, balancers)]
        spans += [span for span, name, _ in sections_of(texts[path]) if name in balancers]
        empty = r"\s*(#.*|</?IfModule\b.*|<Proxy \*>|</Proxy>|Require .*|Order .*|Allow .*|ProxyRequests .*)?"
        parts += part(path, spans, "a balancer of the groupware nodes", rest=empty)
    return parts


def sections(text: str) -> list[tuple[str, str]]:
    return [(name, members) for _, name, members in sections_of(text)]


def sections_of(text: str) -> list[tuple[Span, str, str]]:
    """Return the balancers of a file: their lines, names and members."""
    found = []
    pattern = r"^[ \t]*<Proxy\s+\"?balancer://([\w.-]+)/?\"?\s*>(.*?)^[ \t]*</Proxy>"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL | re.IGNORECASE):
        first = text.count("\n", 0, match.start()) + 1
        found.append(((first, first + match[0].count("\n")), match[1], match[2]))
    return found


def requests(text: str) -> list[tuple[Span, str]]:
    """Return the lines that send requests elsewhere."""
    lines = enumerate(text.splitlines(), 1)
    pattern = re.compile(r"\s*(ProxyPass(Match|Reverse)?|BalancerMember)\s", re.IGNORECASE)
    return [((number, number), line) for number, line in lines if pattern.match(line)]


def sends_to(line: str, node: re.Pattern[str], balancers: set[str]) -> bool:
    """Tell whether a line sends requests to a node, or to one of some balancers."""
    named = re.search(r"balancer://([\w.-]+)", line)
    return bool(node.search(line)) or (named is not None and named[1] in balancers)


def find_mysql(wanted: Document) -> list[Document]:
    """Find options that are read after ours and say something else.

    Only until our file is there: later on, somebody has set them on purpose, and is told.
    """
    if os.path.exists(wanted["ours"]):
        return []
    # Hosts without a database server do without all that knows the options.
    from ox_deploy.remote.hand_made.mysql import overruling

    return [
        found
        for path, spans in overruling(wanted["ours"], wanted["options"]).items()
        for found in part(path, spans, "options of the database server that are ox-deploy's")
    ]


def find_route(wanted: Document) -> list[Document]:
    """Find what else sets the route for the discovery: units that do nothing else, and lines for an interface."""
    network = wanted["network"].partition("/")[0]
    sets_it = re.compile(rf"\broute\b.*\s{re.escape(network)}(?=[/\s]|$)")
    parts = []
    for path in sorted(glob.glob(f"{ETC}/systemd/system/*.service")):
        runs = re.findall(r"^\s*Exec\w+\s*=(.*)$", text_of(path), re.MULTILINE)
        if os.path.basename(path) != wanted["ours"] and runs and all(sets_it.search(line) for line in runs):
            links = sorted(glob.glob(f"{ETC}/systemd/system/*.wants/{os.path.basename(path)}"))
            parts += [part_of(each, [], "a unit that sets the multicast route") for each in (path, *links)]
    for path in [f"{ETC}/network/interfaces", *sorted(glob.glob(f"{ETC}/network/interfaces.d/*"))]:
        spans = lines_of(
            path, lambda line: bool(re.match(r"\s*(post-|pre-)?(up|down)\s", line) and sets_it.search(line))
        )
        parts += part(path, spans, "a multicast route of the interface")
    return parts


def nothing(_: Document) -> dict[str, str]:
    return {}


FINDERS: dict[str, Callable[[Document], Sequence[Document]]] = {
    "apt": find_apt,
    "fstab": find_fstab,
    "ganesha": find_ganesha,
    "kernel": find_exports,
    "apache": find_apache,
    "mysql": find_mysql,
    "route": find_route,
}
KEEPERS: dict[str, Callable[[Document], dict[str, str]]] = {
    **dict.fromkeys(FINDERS, nothing),
    "ganesha": keep_ganesha,
    "kernel": keep_exports,
}
