"""Guide: Testing the distributed file storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ox_deploy.facts.verify import MountPoint, MountTrial, SharedFile, SharedFiles
from ox_deploy.findings import Finding
from ox_deploy.operations.verify.checks import Verdict, answer_or_fail, check, passed, problem, trial_or_fail
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run

MOUNTED = "The filestore is mounted by NFS from its server"
WRITES = "Every node writes into the filestore"
SEES = "Every node sees the files of all nodes"
# The kernel's types, and that of a client in user space.
NFS = ("nfs", "nfs4", "fuse.nfs")
LOOK = "check whether its server answers (`systemctl status nfs-server` or `nfs-ganesha` there)"


def _question(path: str, source: str | None, **_: Any) -> Question[MountTrial]:
    return Question(MountPoint, path=path, source=source or "")


@check(MOUNTED, asks=_question)
def mounted(path: str, source: str | None) -> Verdict:
    """
    Check what is mounted, without touching it: a dead server would hang whoever does.

    + path: the mount point
    + source: `host:/path` as it should be mounted, None on the host that exports it
    """
    if source is None:
        return Verdict("exported from here")
    mount = trial_or_fail(answer_or_fail(_question(path, source))).mount
    wanted = f"{source} is mounted at {path}"
    if mount is None:
        found, remedy = f"nothing is mounted at {path}", f"run `mount {path}`, or deploy"
        return Verdict(findings=[problem("filestore not mounted", found, wanted, remedy)])
    found = f"{mount.source} ({mount.type})"
    if mount.source != source or mount.type not in NFS:
        remedy = f"stop Open-Xchange on this node, run `umount {path}`, and deploy"
        return Verdict(findings=[problem("filestore mounted from elsewhere", found, f"{wanted} by NFS", remedy)])
    return Verdict(found)


@check(WRITES)
def writes(path: str, run: str, node: str) -> Verdict:
    """
    Write a file as the user of the daemons.

    + path: the mount point
    + run: makes the names of the files unique; the same on all nodes
    + node: the name of this node

    If the run dies before `removes`, the node's systemd removes the file after two minutes.
    """
    if not passed(MOUNTED):
        return Verdict(skipped="the filestore is not mounted")
    trial = answer_or_fail(_step("write", path, run, node, [node]))
    if trial.error:
        remedy = f"{LOOK}, and whether it lets this node write; the owner of {path} should be open-xchange"
        return Verdict(findings=[problem("filestore not writable", trial.error, "open-xchange can write", remedy)])
    return Verdict("written")


@check(SEES)
def sees(path: str, run: str, node: str, hosts: dict[str, str], owner: str) -> Verdict:
    """
    Open the files of all nodes.

    + path, run, node: as for `writes`
    + hosts: the names of all nodes by their name in the inventory
    + owner: `uid:gid` that the files should have
    """
    nodes = _writers(hosts)
    if node not in nodes:
        return Verdict(skipped="it could not write")
    files = trial_or_fail(answer_or_fail(_step("see", path, run, node, nodes))).files
    findings = [finding for other in nodes for finding in _compare(other, files.get(other), owner)]
    return Verdict(f"{len(files)} files, owner {owner}", findings)


def _compare(node: str, file: SharedFile | None, owner: str) -> list[Finding]:
    if file is None or file.text != node:
        found = f"the file of {node} cannot be read" if file is None else f"the file of {node} holds {file.text!r}"
        remedy = "compare `findmnt` and the mount options of both nodes"
        return [problem("file of another node not seen", found, "a file is the same on all nodes", remedy)]
    if file.owner != owner:
        found = f"the file of {node} belongs to {file.owner}"
        remedy = "give open-xchange the same ids on all hosts (`id open-xchange`), and check the export's options"
        return [problem("file has another owner", found, f"it belongs to {owner}", remedy)]
    return []


@check("Every node removes the file of another, and it is gone for all")
def removes(path: str, run: str, node: str, hosts: dict[str, str]) -> Verdict:
    """
    Remove the file of the next node, and wait until all are gone.

    + path, run, node, hosts: as for `sees`
    """
    nodes = _writers(hosts)
    if node not in nodes:
        return Verdict(skipped="it could not write")
    trial = answer_or_fail(_step("remove", path, run, node, nodes))
    if trial.error:
        return Verdict(findings=[problem("filestore not writable", trial.error, "open-xchange can remove", LOOK)])
    if trial.left:
        found = f"the files of {', '.join(trial.left)} are still there after 10 seconds"
        remedy = f"remove {path}/.ox-verify-{run}-* if they stay, and compare the mount options of all nodes"
        return Verdict(findings=[problem("removed file stays", found, "they are gone for all nodes", remedy)])
    return Verdict("gone")


def _step(step: str, path: str, run: str, node: str, nodes: Sequence[str]) -> Question[Any]:
    return Question(SharedFiles, step=step, path=path, run=run, node=node, nodes=list(nodes))


def _writers(hosts: dict[str, str]) -> list[str]:
    """Return the nodes that could write; the others have findings of their own."""
    wrote = {record.host for record in current_run().records if record.check == WRITES and record.verdict.measured}
    return [node for name, node in hosts.items() if name in wrote]
