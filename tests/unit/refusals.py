"""The sentences with which the code refuses, read from its source.

What is raised, and what ends a program on a host, is followed back to the texts it is made of: through variables,
parameters, returned values and attributes. Names are matched, not types, so a bit more is found than can be said.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import ox_deploy

ROOT = Path(ox_deploy.__file__).parent
# What these find goes into a report with a remedy of its own: docs/verify.md, docs/status.md.
REPORTS = (
    "operations/verify/",
    "deploys/verify",
    "remote/verify/",
    "remote/master_slaves/verify/",
    "status/",
    "findings",
    "topologies/base",
    "topologies/master_slaves/verify",
    "topologies/master_slaves/status",
)
# A text with fewer words is a name, or a part of a sentence that is found anyway.
WORDS = 3
WORD = r"(?<!\S)[(`]?[a-z][a-z'-]*[`).,:;]*(?!\S)"
HOLE = "\0"

Function = ast.FunctionDef
TEXT_METHODS = {name for name in dir(str) if not name.startswith("_")}
# What these are given is in what they return; of other methods of a text, only the text itself is.
JOINING = {"format", "join", "replace"}
ADDING = {"append", "extend", "insert"}
# What is asked, not said.
ASKING = {"all", "any", "bool", "int", "isinstance", "len", "hasattr"}
# What is run, not said.
COMMANDS = {"argv", "command"}


@dataclass(frozen=True)
class Place:
    """An expression, the functions around it (the innermost one first), and its module.

    The programs for the hosts count as one module.
    """

    node: ast.AST
    around: tuple[Function, ...]
    module: str


def assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return the expressions that each name gets its value from."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                bind(target, node.value, found)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
            bind(node.target, node.value, found)
        elif isinstance(node, ast.For | ast.comprehension):
            bind(node.target, node.iter, found)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ADDING:
            bind(node.func.value, node.args[-1], found)
    return found


@cache
def variables(function: Function) -> dict[str, list[ast.expr]]:
    """Return what the variables of a function get their values from."""
    return assigned(ast.walk(function))


def bind(target: ast.expr, value: ast.expr, found: dict[str, list[ast.expr]]) -> None:
    """Note what a target gets its value from; of `a, b = x, y` each name its own."""
    if isinstance(target, ast.Name):
        found[target.id].append(value)
    elif isinstance(target, ast.Tuple):
        pairs = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
        for number, each in enumerate(target.elts):
            bind(each, pairs[number] if pairs else value, found)


def within(node: ast.AST) -> Iterator[ast.AST]:
    """Go through a node, but not into functions and classes."""
    if not isinstance(node, Function | ast.ClassDef):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from within(child)


def called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def words_of(text: str) -> list[str]:
    """Return the words of a text if they are enough for a sentence, or none."""
    words = re.findall(WORD, text)
    return words if len(words) >= WORDS else []


class Code:
    """All modules but those that only report, indexed by the names that are followed."""

    def __init__(self, root: Path = ROOT) -> None:
        # What names get at the top of each module, and what they are called where they come from.
        self.values: dict[str, dict[str, list[ast.expr]]] = defaultdict(dict)
        self.aliases: dict[str, dict[str, str]] = defaultdict(dict)
        self.functions: dict[str, list[Place]] = defaultdict(list)
        self.calls: dict[str, list[Place]] = defaultdict(list)
        self.attributes: dict[str, list[Place]] = defaultdict(list)
        self.keys: dict[str, list[Place]] = defaultdict(list)
        self.enums: dict[str, list[Place]] = {}
        self.methods: set[ast.AST] = set()
        # By what a function is called; who makes an object calls its class.
        self.names: dict[ast.AST, str] = {}
        self.begins: set[Place] = set()
        self.shell: list[str] = []
        for path in sorted(root.rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not name.startswith(REPORTS):
                is_program = name.startswith("remote/") and not path.name.startswith("_")
                self._read(ast.parse(path.read_text()), "remote/" if is_program else name)
        for path in sorted(root.rglob("*.sh")):
            self.shell += said_by_shell(path.read_text())

    def _read(self, tree: ast.Module, module: str) -> None:
        top = assigned(node for statement in tree.body for node in within(statement))
        for name, values in top.items():
            self.values[module].setdefault(name, []).extend(values)
        self._index(tree, (), module, "")

    def _index(self, node: ast.AST, around: tuple[Function, ...], module: str, owner: str) -> None:
        place = Place(node, around, module)
        if isinstance(node, ast.Raise) and node.exc:
            self.begins.add(Place(node.exc, around, module))
        elif isinstance(node, ast.Call):
            self.calls[called(node)].append(place)
            if called(node) == "fail":
                self.begins |= {Place(argument, around, module) for argument in node.args}
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    self.attributes[target.attr].append(Place(node.value, around, module))
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.keys[key.value].append(Place(value, around, module))
        elif isinstance(node, ast.ImportFrom):
            self.aliases[module] |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            owner = node.name
            if any(isinstance(base, ast.Name) and base.id == "Enum" for base in node.bases):
                self.enums[node.name] = [
                    Place(member.value, (), module) for member in node.body if isinstance(member, ast.Assign)
                ]
                # A member with several values is made by the enumeration's `__init__`.
                for member in self.enums[node.name]:
                    if isinstance(member.node, ast.Tuple):
                        made = ast.Call(ast.Name(node.name), member.node.elts, [])
                        self.calls[node.name].append(Place(made, (), module))
        elif isinstance(node, Function):
            self.names[node] = owner if node.name == "__init__" else node.name
            self.functions[self.names[node]].append(place)
            if owner:
                self.methods.add(node)
            if "sentence" in parameters(node):
                self.begins.add(Place(ast.Name("sentence"), (node, *around), module))
            around, owner = (node, *around), ""
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            self.begins |= {Place(said, around, module) for said in said_before_exit(block)}
        for child in ast.iter_child_nodes(node):
            self._index(child, around, module, owner)

    def sentences(self) -> set[str]:
        """Return all texts that are part of a refusal, with holes where values stand."""
        found = self.texts(self.begins) | set(self.shell)
        return {text for text in found if words_of(text)}

    def texts(self, begins: Iterable[Place]) -> set[str]:
        """Return all texts that some expressions may be made of."""
        found, seen, left = set(), set(), list(begins)
        while left:
            place = left.pop()
            if place not in seen:
                seen.add(place)
                found.add(text_of(place.node) or "")
                left += self._leads_to(place)
        return found - {""}

    def _leads_to(self, place: Place) -> Iterator[Place]:
        """Go on from an expression to what its text may come from."""
        node = place.node
        parts: list[ast.AST | None] = []
        match node:
            case ast.Name() if node.id not in COMMANDS:
                yield from self._named(node.id, place)
            case ast.Call():
                yield from self._call(node, place)
            case ast.Attribute():
                yield from self.attributes[node.attr]
                yield from self._members(node, place)
                for function in self._functions(node, place):
                    if self._module(node.value, place) or is_property(function):
                        yield from returned(function)
            case ast.Subscript():
                if not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)):
                    parts = [node.value]
                elif place in self.begins:
                    # The whole sentence was sent along. What is only a part of one is a name or a number.
                    yield from self.keys[node.slice.value]
            case ast.IfExp():
                parts = [node.body, node.orelse]
            case ast.Dict():
                parts = [*node.values]
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                parts = [node.elt]
            case ast.JoinedStr():
                parts = [part for part in node.values if isinstance(part, ast.FormattedValue)]
            case ast.BoolOp():
                parts = [*node.values]
            case ast.FormattedValue() | ast.Starred() | ast.NamedExpr() | ast.DictComp():
                parts = [node.value]
            case ast.BinOp():
                parts = [node.left, node.right]
            case ast.List() | ast.Tuple() | ast.Set():
                parts = [*node.elts]
            case ast.Lambda():
                parts = [node.body]
        yield from (Place(part, place.around, place.module) for part in parts if part)

    def _named(self, name: str, place: Place) -> Iterator[Place]:
        """Go on to what a name stands for: in the functions around it, at their callers, or in its module."""
        for number, function in enumerate(place.around):
            values = variables(function).get(name, [])
            yield from (Place(value, place.around[number:], place.module) for value in values)
            if name in parameters(function):
                yield from self._given(function, name, place)
            if values or name in parameters(function):
                return
        imported = list(self.values) if name in self.aliases[place.module] else []
        for module in [place.module, *imported]:
            yield from (Place(value, (), module) for value in self.values[module].get(name, []))
        # A function that is handed on is called there.
        for function_place in self._functions(ast.Name(name), place):
            yield from returned(function_place)

    def _given(self, function: Function, name: str, place: Place) -> Iterator[Place]:
        """Go on to what callers give for a parameter, and to its default."""
        names = parameters(function)
        position = names.index(name) - (names[0] in ("self", "cls"))
        for call in self.calls[self.names[function]]:
            assert isinstance(call.node, ast.Call)
            meant = [each.node for each in self._functions(call.node.func, call)]
            if function.name != "__init__" and function not in meant:
                continue
            given = [keyword.value for keyword in call.node.keywords if keyword.arg == name]
            given += call.node.args[position : position + 1] if position >= 0 else []
            yield from (Place(value, call.around, call.module) for value in given)
        defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
        if name in defaults:
            yield Place(defaults[name], (), place.module)

    def _call(self, node: ast.Call, place: Place) -> Iterator[Place]:
        """Go on to what a function of ours returns; of others, such as `join`, to what they are given."""
        name = called(node)
        is_text = isinstance(node.func, ast.Attribute) and name in TEXT_METHODS
        ours = [] if is_text or is_local(node.func, place) else self._functions(node.func, place)
        for function in ours:
            yield from returned(function)
        if ours or name in ASKING:
            return
        parts = [node.func]
        if isinstance(node.func, ast.Attribute):
            parts.append(node.func.value)
        if isinstance(node.func, ast.Name) or name in JOINING:
            parts += [*node.args, *(keyword.value for keyword in node.keywords)]
        yield from (Place(part, place.around, place.module) for part in parts)

    def _functions(self, called: ast.expr, place: Place) -> list[Place]:
        """Return our functions that may be meant: of the module that is named, of the same one, or methods."""
        if isinstance(called, ast.Name):
            found = [each for each in self.functions[called.id] if not is_maker(each)]
            return [each for each in found if each.module == place.module] or found
        if not isinstance(called, ast.Attribute):
            return []
        module = self._module(called.value, place)
        return [
            each
            for each in self.functions[called.attr]
            if (each.module == module if module else each.node in self.methods)
        ]

    def _module(self, node: ast.expr, place: Place) -> str | None:
        """Return the module that a name stands for, if it is one of ours."""
        named = self.aliases[place.module].get(getattr(node, "id", ""))
        return next((key for key in self.values if named and key.removesuffix("/__init__.py") == named), None) or next(
            (key for key in self.values if named and Path(key).stem == named), None
        )

    def _members(self, node: ast.Attribute, place: Place) -> Iterator[Place]:
        """Go on from `situation.value` to the values of that enumeration."""
        if node.attr != "value" or not isinstance(node.value, ast.Name):
            return
        for function in place.around:
            for argument in [*function.args.args, *function.args.kwonlyargs]:
                if argument.arg == node.value.id and isinstance(argument.annotation, ast.Name):
                    yield from self.enums.get(argument.annotation.id, [])


def is_local(node: ast.expr, place: Place) -> bool:
    """Tell whether a name is that of a variable or a parameter."""
    name = getattr(node, "id", "")
    return any(name in parameters(function) or name in variables(function) for function in place.around)


def is_property(place: Place) -> bool:
    """Tell whether a method is read like an attribute."""
    decorators = place.node.decorator_list if isinstance(place.node, Function) else []
    return any(getattr(each, "id", "") == "property" for each in decorators)


def is_maker(place: Place) -> bool:
    """Tell whether a function is a constructor: what it is given may be said."""
    return getattr(place.node, "name", "") == "__init__"


def parameters(function: Function) -> list[str]:
    """Return the names of a function's parameters."""
    return [each.arg for each in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]]


def returned(place: Place) -> Iterator[Place]:
    """Go on to what a function returns or yields."""
    assert isinstance(place.node, Function)
    around = (place.node, *place.around)
    for statement in place.node.body:
        for node in within(statement):
            if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value:
                yield Place(node.value, around, place.module)


def said_before_exit(block: object) -> Iterator[ast.expr]:
    """Return what is printed right before a command ends."""
    statements = block if isinstance(block, list) else []
    for said, end in pairwise(statements):
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Call) and is_exit(end):
            yield from said.value.args
    for statement in statements:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and called(call) == "exit" and len(call.args) > 1:
            yield call.args[1]


def is_exit(statement: ast.stmt) -> bool:
    """Tell whether a statement ends the command."""
    call = getattr(statement, "exc", None) or getattr(statement, "value", None)
    return isinstance(call, ast.Call) and called(call) in ("SystemExit", "exit")


def text_of(node: ast.AST) -> str | None:
    """Return a text of the source, with a hole for each value that is put into it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{[^{}\s]*\}", HOLE, node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
        return re.sub(r"\{[^{}\s]*\}", HOLE, "".join(map(str, parts)))
    return None


def said_by_shell(text: str) -> list[str]:
    """Return what a shell program says on standard error, or notes to say it there."""
    lines = [line for line in text.splitlines() if re.search(r">&2|said=\$\(printf", line)]
    quoted = [words for line in lines for words in re.findall(r"""["']([^"'$]*)["']""", line)]
    return [re.sub(r"%s|\\n", HOLE, words) for words in quoted]
