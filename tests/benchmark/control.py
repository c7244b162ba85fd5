"""The control machine alone: a deploy with nothing to change, on hosts that are not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ox_deploy import secrets
from ox_deploy.certificate import one_time_pair
from tests.benchmark.builds import Build
from tests.benchmark.figures import Figures, console, ratio
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
web_certificate = {folder!r} + "/certificate.pem"
web_certificate_key = {folder!r} + "/pair.pem"
contexts = {contexts!r}
"""


@dataclass(frozen=True)
class Run:
    """Seconds of the clock and of the processor, and the most memory that was in use, in MB."""

    seconds: float
    processor: float
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
        pair = one_time_pair("groupware.example.com")
        (folder / "pair.pem").write_text(pair)
        (folder / "certificate.pem").write_text(pair[pair.index("-----BEGIN CERTIFICATE") :])
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
    answers = folder / f"answers-{name_of(checkout)}.json"
    env = {**os.environ, "PYTHONPATH": f"{checkout}:{folder}", "SIMULATED_ANSWERS": str(answers)}
    argv = [sys.executable, "-m", *arguments]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, cwd=checkout, env=env, stdout=output, stderr=output)
        _, code, usage = os.wait4(process.pid, 0)
        output.seek(0)
        assert code == 0, output.read().decode()
    return Run(time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def name_of(checkout: Path) -> str:
    """Return a name for a checkout's own answers."""
    return str(checkout).strip("/").replace("/", "-")


def record(checkout: Path, folder: Path) -> None:
    """Have a checkout write down what its hosts would answer."""
    answers = str(folder / f"answers-{name_of(checkout)}.json")
    python(checkout, folder, "record", str(folder / "inventory.py"), answers)


def unchanged(checkout: Path, folder: Path) -> Run:
    """Deploy; a host that is ordered anything fails, and the run with it."""
    return python(checkout, folder, "pyinfra", "-y", str(folder / "inventory.py"), "deploy.py")


def measure(builds: Sequence[Build]) -> Figures:
    """Return the figures by name, of each build in turn."""
    runs: dict[tuple[str, int], list[Run]] = {}
    with simulated(FEW) as few, simulated(MANY) as many:
        folders = {FEW: few, MANY: many}
        for build in builds:
            for folder in folders.values():
                record(build.checkout, folder)
        for _ in range(ROUNDS):
            for nodes, folder in folders.items():
                for build in builds:
                    last = unchanged(build.checkout, folder)
                    runs.setdefault((build.name, nodes), []).append(last)
                    told = f"{last.seconds:.2f} s, {last.processor:.2f} s of processor, {last.memory:.0f} MB"
                    console.print(f"  {build.name}, {nodes} nodes: {told}")
    return figures_of(runs)


def figures_of(runs: Mapping[tuple[str, int], Sequence[Run]]) -> Figures:
    """Return the medians, and the ratios of many nodes to few.

    On a machine with other work to do, the processor's seconds say more than the clock's.
    """
    figures: Figures = {}
    for build in dict.fromkeys(build for build, _ in runs):
        few, many = ([run.processor for run in runs[build, nodes]] for nodes in (FEW, MANY))
        for nodes in (FEW, MANY):
            name = f"{build}: {nodes} simulated nodes"
            figures[f"{name}, s"] = median(run.seconds for run in runs[build, nodes])
            figures[f"{name}, s of processor"] = median(run.processor for run in runs[build, nodes])
        figures[f"{build}: {MANY} simulated nodes, MB"] = max(run.memory for run in runs[build, MANY])
        figures[f"{build}: {MANY} / {FEW} simulated nodes, by the processor"] = ratio(many, few)
    return figures
