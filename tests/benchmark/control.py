"""The control machine alone: a deploy with nothing to change, on hosts that are not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ox_deploy import secrets
from ox_deploy.certificate import one_time_pair
from tests.benchmark.figures import Builds, Figures, console
from tests.unit.guide import context

SIMULATION = Path(__file__).parent / "simulation"
FEW, MANY = 20, 200
ROUNDS = 3
# Makes pyinfra know a connector that no installed package brings.
ENTRY_POINT = "[pyinfra.connectors]\nsimulated = simulated_host:SimulatedHost\n"
METADATA = "Metadata-Version: 2.1\nName: simulated-host\nVersion: 1.0\n"

INVENTORY = """
web = [("@simulated/web", {{"hostname": "web", "address": "10.0.0.10"}})]
db_master = [("@simulated/dbmaster", {{"hostname": "dbmaster", "address": "10.0.0.21", "server_id": 1}})]
db_slave = [("@simulated/dbslave", {{"hostname": "dbslave", "address": "10.0.0.22", "server_id": 2}})]
groupware = [
    (
        f"@simulated/oxgw{{number:03}}",
        {{"hostname": f"oxgw{{number:03}}", "address": f"10.0.1.{{number}}", "route": f"OX-{{number}}"}},
    )
    for number in range(1, {nodes} + 1)
]
"""

GROUP_DATA = """
secrets_file = {folder!r} + "/secrets.toml"
ox_repository_url = "http://repository.example.com/"
ox_repository_key = {folder!r} + "/pair.pem"
web_name = "groupware.example.com"
web_certificate = {folder!r} + "/pair.pem"
web_certificate_key = {folder!r} + "/pair.pem"
contexts = {contexts!r}
"""


@dataclass(frozen=True)
class Run:
    """Seconds, and the most memory that was in use, in MB."""

    seconds: float
    memory: float


@contextmanager
def simulated(nodes: int) -> Iterator[Path]:
    """Make the inventory of a cluster with so many groupware nodes, and return its folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "group_data").mkdir()
        (folder / "inventory.py").write_text(INVENTORY.format(nodes=nodes))
        contexts = [context()]
        (folder / "group_data" / "all.py").write_text(GROUP_DATA.format(folder=name, contexts=contexts))
        (folder / "pair.pem").write_text(one_time_pair("groupware.example.com"))
        secrets.create(folder / "secrets.toml", contexts)
        package = folder / "simulated_host-1.0.dist-info"
        package.mkdir()
        (package / "entry_points.txt").write_text(ENTRY_POINT)
        (package / "METADATA").write_text(METADATA)
        shutil.copy(SIMULATION / "simulated_host.py", folder)
        shutil.copy(SIMULATION / "record.py", folder)
        yield folder


def python(checkout: Path, folder: Path, *arguments: str) -> Run:
    """Run a module of Python in a checkout, whose own packages come first."""
    answers = folder / f"answers-{checkout.name}.json"
    env = {**os.environ, "PYTHONPATH": f"{checkout}:{folder}", "SIMULATED_ANSWERS": str(answers)}
    argv = [sys.executable, "-m", *arguments]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, cwd=checkout, env=env, stdout=output, stderr=output)
        _, code, usage = os.wait4(process.pid, 0)
        output.seek(0)
        assert code == 0, output.read().decode()
    return Run(time.monotonic() - begin, usage.ru_maxrss / 1000)


def record(checkout: Path, folder: Path) -> None:
    """Have a checkout write down what its hosts would answer."""
    answers = str(folder / f"answers-{checkout.name}.json")
    python(checkout, folder, "record", str(folder / "inventory.py"), answers)


def unchanged(checkout: Path, folder: Path) -> Run:
    """Deploy; a host that is ordered anything fails, and the run with it."""
    return python(checkout, folder, "pyinfra", "-y", str(folder / "inventory.py"), "deploy.py")


def measure(builds: Builds) -> Figures:
    """Return the figures by name, of each build in turn."""
    runs: dict[tuple[str, int], list[Run]] = {}
    with simulated(FEW) as few, simulated(MANY) as many:
        folders = {FEW: few, MANY: many}
        for checkout in builds.values():
            for folder in folders.values():
                record(checkout, folder)
        for _ in range(ROUNDS):
            for nodes, folder in folders.items():
                for build, checkout in builds.items():
                    runs.setdefault((build, nodes), []).append(unchanged(checkout, folder))
                    last = runs[build, nodes][-1]
                    console.print(f"  {build}, {nodes} nodes: {last.seconds:.2f} s, {last.memory:.0f} MB")
    return figures_of(runs, list(builds))


def figures_of(runs: dict[tuple[str, int], list[Run]], builds: list[str]) -> Figures:
    """Return the medians, and the ratios of many nodes to few."""
    figures: Figures = {}
    for build in builds:
        taken = {nodes: _median(runs[build, nodes], lambda run: run.seconds) for nodes in (FEW, MANY)}
        figures |= {f"{build}: {nodes} simulated nodes, s": seconds for nodes, seconds in taken.items()}
        figures[f"{build}: {MANY} simulated nodes, MB"] = _median(runs[build, MANY], lambda run: run.memory)
        figures[f"{build}: {MANY} / {FEW} simulated nodes"] = taken[MANY] / taken[FEW]
    return figures


def _median(runs: list[Run], value: Callable[[Run], float]) -> float:
    return median(map(value, runs))
