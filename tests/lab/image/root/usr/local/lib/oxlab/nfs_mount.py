#!/usr/bin/python3
"""mount.nfs for machines whose kernel has no NFS client: a FUSE file system over libnfs.

Takes the command line of the real helper (mount.nfs SPEC DIR [-sfnv] [-o OPTIONS]), speaks real NFS to the
server, and lets the server check all rights: a request carries user and groups of the process behind it.

It is used in a lab only. Known differences:
- Files are served by NFS version 3, also with `vers=4`: libnfs 4.0 calls its own version 4 "not yet
  functional", and indeed modes come out wrong and writes fail. With `vers=4` the server must offer the export
  by version 4, too.
- One request at a time, no file locks between hosts, no remount.
- A "hard" mount gives up a request after a minute: a lost server cannot block a host for ever.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

FAILED = 32  # mount(8): "mount failure"
USAGE = 1
PATIENCE = 60.0  # seconds that one request is tried for

FLAGS = {
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "sync",
    "async",
    "dirsync",
}
FLAGS |= {"relatime", "norelatime", "strictatime", "diratime", "nodiratime"}
PASSED_ON = {"ro", "nosuid", "nodev", "noexec", "noatime", "sync", "dirsync"}
IGNORED = {
    "defaults",
    "auto",
    "noauto",
    "nouser",
    "user",
    "users",
    "owner",
    "group",
    "nofail",
    "_netdev",
    "fg",
}
IGNORED |= {
    "ac",
    "noac",
    "cto",
    "nocto",
    "lock",
    "nolock",
    "acl",
    "noacl",
    "intr",
    "nointr",
    "tcp",
    "posix",
    "hard",
}
IGNORED |= {
    "rdirplus",
    "nordirplus",
    "sharecache",
    "nosharecache",
    "resvport",
    "noresvport",
    "rdma",
    "migration",
}
NUMBERS = {"rsize", "wsize", "acregmin", "acregmax", "acdirmin", "acdirmax", "actimeo", "namlen", "nconnect"}
NUMBERS |= {"timeo", "retrans", "retry", "port", "mountport", "minorversion"}
WORDS = {"proto": {"tcp"}, "mountproto": {"tcp", "udp"}, "sec": {"sys"}, "fsc": {"none"}}
WORDS |= {"lookupcache": {"all", "none", "pos", "positive"}, "local_lock": {"all", "flock", "posix", "none"}}
VERSIONS = {"3": 3, "4": 4, "4.0": 4}  # libnfs speaks no later minor version
TEMPORARY = {errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ESTALE, errno.EAGAIN}

# What libnfs says when only a new session helps, and the server when it wants to be asked later.
LOST_ERRORS = {
    errno.ETIMEDOUT,
    errno.ENOTCONN,
    errno.ECONNRESET,
    errno.EPIPE,
    errno.EBADF,
    errno.EINTR,
    errno.EAGAIN,
}
LOST_WORDS = (
    "timed out",
    "timeout",
    "disconnect",
    "reconnect",
    "socket",
    "cancelled",
    "nfs_service failed",
    "poll failed",
)
WAIT = "JUKEBOX"


class Stat(ctypes.Structure):
    names = "dev ino mode nlink uid gid rdev size blksize blocks"
    names += " atime mtime ctime atime_nsec mtime_nsec ctime_nsec used"
    _fields_ = [(name, ctypes.c_uint64) for name in names.split()]


class StatVfs(ctypes.Structure):
    names = "bsize frsize blocks bfree bavail files ffree favail fsid flag namemax"
    _fields_ = [("f_" + name, ctypes.c_uint64) for name in names.split()]


class DirEntry(ctypes.Structure):
    """The beginning of libnfs's structure, which is all that is read."""

    _fields_ = [("next", ctypes.c_void_p), ("name", ctypes.c_char_p), ("inode", ctypes.c_uint64)]


class TimeVal(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("microseconds", ctypes.c_long)]


class MountError(Exception):
    """The mount failed; the text is what mount.nfs prints."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Options:
    flags: list[str]
    version: int | None = None
    soft: bool = False
    background: bool = False
    timeout: float = 60.0
    retransmissions: int = 2
    retry_minutes: float = 2.0
    port: int = 2049
    mount_port: int = 0
    remount: bool = False

    @property
    def patience(self) -> float:
        if self.soft:
            return min(self.timeout * (self.retransmissions + 1), PATIENCE)
        return PATIENCE


@dataclass(frozen=True)
class Caller:
    """The process that made a request."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


ROOT = Caller(0, 0)


def parse_options(text: str, sloppy: bool = False) -> Options:
    """The options of fstab's fourth field. An unknown one is an error, as with the kernel."""
    options = Options([])
    for option in filter(None, text.split(",")):
        name, _, value = option.partition("=")
        if not (_set_option(options, name, value) or sloppy):
            raise MountError("mount.nfs: an incorrect mount option was specified")
    return options


def _set_option(options: Options, name: str, value: str) -> bool:
    if name in ("vers", "nfsvers", "v3", "v4", "v4.0"):
        options.version = VERSIONS.get(value or name[1:])
        return options.version is not None
    if name in NUMBERS:
        return value.isdigit() and _set_number(options, name, int(value))
    if name in WORDS:
        return value in WORDS[name]
    if name in ("soft", "softerr", "bg", "remount"):
        options.soft |= name.startswith("soft")
        options.background |= name == "bg"
        options.remount |= name == "remount"
        return not value
    if name in FLAGS:
        options.flags.append(name)
        return not value
    return (name in IGNORED and not value) or name.lower().startswith("x-") or name in ("comment", "addr", "clientaddr")


def _set_number(options: Options, name: str, number: int) -> bool:
    if name == "timeo":
        options.timeout = number / 10
    elif name == "retrans":
        options.retransmissions = number
    elif name == "retry":
        options.retry_minutes = number
    elif name == "port":
        options.port = number or 2049
    elif name == "mountport":
        options.mount_port = number
    return name != "minorversion" or number == 0


def load_libnfs() -> ctypes.CDLL:
    lib = ctypes.CDLL("libnfs.so.13")
    lib.nfs_init_context.restype = ctypes.c_void_p
    lib.nfs_get_error.restype = ctypes.c_char_p
    lib.nfs_parse_url_full.restype = lib.nfs_parse_url_dir.restype = ctypes.c_void_p
    lib.nfs_readdir.restype = ctypes.POINTER(DirEntry)
    lib.libnfs_authunix_create.restype = ctypes.c_void_p
    lib.nfs_closedir.restype = lib.nfs_destroy_context.restype = lib.nfs_set_auth.restype = None
    return lib


class Session:
    """A connection to the server, made anew when it is lost. `number` tells which one a file belongs to."""

    def __init__(self, server: str, export: str, version: int, options: Options) -> None:
        self.lib = load_libnfs()
        self.server, self.export, self.version, self.options = server, export, version, options
        self.context = ctypes.c_void_p()
        self.number = 0
        self._caller: Caller | None = None

    def connect(self, timeout: float) -> None:
        """Mount the export. libnfs waits long for a host that does not answer, so look for it first."""
        with socket.create_connection((self.server, self.options.port), timeout=min(timeout, 10)):
            pass
        self.close()
        self.context = ctypes.c_void_p(self.lib.nfs_init_context())
        self.number += 1
        self._caller = None
        self._configure(timeout)
        self._become(ROOT)
        code = self.lib.nfs_mount(self.context, self.server.encode(), os.fsencode(self.export))
        if code < 0:
            message = self.error()
            self.close()
            raise OSError(errno.ETIMEDOUT if "timed out" in message else -code, message)

    def close(self) -> None:
        if self.context:
            self.lib.nfs_destroy_context(self.context)
            self.context = ctypes.c_void_p()

    def error(self) -> str:
        return (self.lib.nfs_get_error(self.context) or b"").decode(errors="replace")

    def call(self, caller: Caller, function: Callable[[], int]) -> int:
        """Do a request as the caller, and again on a new session if that one was lost."""
        deadline = time.monotonic() + self.options.patience
        while True:
            try:
                self._ensure(deadline)
                self._become(caller)
                return self._checked(function)
            except OSError as error:
                if not self._may_retry(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _ensure(self, deadline: float) -> None:
        if not self.context:
            try:
                self.connect(max(1.0, deadline - time.monotonic()))
            except OSError as error:
                raise OSError(errno.EIO if time.monotonic() > deadline else errno.EAGAIN, str(error)) from None

    def _checked(self, function: Callable[[], int]) -> int:
        code = function()
        if code < 0:
            raise OSError(-code, self.error())
        return code

    def _may_retry(self, error: OSError) -> bool:
        text = error.strerror or ""
        if error.errno == errno.EAGAIN and not self.context:
            return True
        if WAIT in text:
            return True
        if error.errno in LOST_ERRORS or any(word in text.lower() for word in LOST_WORDS):
            self.close()
            return True
        return False

    def _configure(self, timeout: float) -> None:
        lib, context = self.lib, self.context
        lib.nfs_set_version(context, self.version)
        lib.nfs_set_timeout(context, max(1, int(min(self.options.timeout, timeout))) * 1000)
        lib.nfs_set_autoreconnect(context, 0)
        lib.nfs_set_dircache(context, 0)
        lib.nfs_umask(context, 0)
        ports = f"nfsport={self.options.port}&auto-traverse-mounts=0&version={self.version}"
        if self.options.mount_port:
            ports += f"&mountport={self.options.mount_port}"
        url = lib.nfs_parse_url_dir(context, f"nfs://{self.server}/x?{ports}".encode())
        if url:
            lib.nfs_destroy_url(ctypes.c_void_p(url))
        lib.nfs4_set_client_name(context, f"{socket.gethostname()}/{os.getpid()}/{time.time_ns()}".encode())
        lib.nfs4_set_verifier(context, ctypes.create_string_buffer(os.urandom(8), 8))

    def _become(self, caller: Caller) -> None:
        if caller == self._caller:
            return
        groups = (ctypes.c_uint32 * 16)(*caller.groups[:16])
        auth = self.lib.libnfs_authunix_create(
            socket.gethostname().encode(), caller.uid, caller.gid, len(caller.groups[:16]), groups
        )
        self.lib.nfs_set_auth(self.context, ctypes.c_void_p(auth))
        self._caller = caller


class File:
    """An open file, which is opened again by its name on a new session."""

    def __init__(self, path: str, flags: int) -> None:
        self.path, self.flags = path, flags
        self.pointer = ctypes.c_void_p()
        self.session = 0


def encode(path: str) -> bytes:
    """Names are bytes for the server: any of them fits into this encoding."""
    return path.encode("latin-1")


class Tree:
    """The FUSE operations. Each is one request to the server."""

    use_ns = True

    def __init__(self, session: Session, caller: Callable[[], Caller], ready: Callable[[], None]) -> None:
        self._session, self._caller, self._ready = session, caller, ready
        self._files: dict[int, File] = {}
        self._next = 1

    def __call__(self, operation: str, *arguments: Any) -> Any:
        return getattr(self, operation)(*arguments)

    def init(self, _path: str) -> None:
        self._ready()

    def destroy(self, _path: str) -> None:
        self._session.close()

    def getattr(self, path: str, _info: Any = None) -> dict[str, int]:
        stat = Stat()
        self._do("nfs_lstat64", encode(path), ctypes.byref(stat))
        names = ("dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks")
        values = {f"st_{name}": int(getattr(stat, name)) for name in names}
        for name in ("atime", "mtime", "ctime"):
            values[f"st_{name}"] = int(getattr(stat, name)) * 10**9 + int(getattr(stat, name + "_nsec"))
        return values

    def access(self, path: str, mode: int) -> None:
        self._do("nfs_access", encode(path), mode)

    def readlink(self, path: str) -> str:
        buffer = ctypes.create_string_buffer(4097)
        self._do("nfs_readlink", encode(path), buffer, 4096)
        return buffer.value.decode("latin-1")

    def opendir(self, path: str) -> int:
        return 0

    def releasedir(self, _path: str, _handle: int) -> None:
        pass

    def readdir(self, path: str, _handle: int) -> list[str]:
        lib, names, directory = self._session.lib, [], ctypes.c_void_p()
        self._do("nfs_opendir", encode(path), ctypes.byref(directory))
        while entry := lib.nfs_readdir(self._session.context, directory):
            names.append(bytes(entry.contents.name).decode("latin-1"))
        lib.nfs_closedir(self._session.context, directory)
        return [".", "..", *(name for name in names if name not in (".", ".."))]

    def mkdir(self, path: str, mode: int) -> None:
        self._do("nfs_mkdir2", encode(path), mode)

    def rmdir(self, path: str) -> None:
        self._do("nfs_rmdir", encode(path))

    def unlink(self, path: str) -> None:
        self._do("nfs_unlink", encode(path))

    def symlink(self, path: str, target: str) -> None:
        self._do("nfs_symlink", encode(target), encode(path))

    def link(self, path: str, target: str) -> None:
        self._do("nfs_link", encode(target), encode(path))

    def rename(self, old: str, new: str) -> None:
        self._do("nfs_rename", encode(old), encode(new))
        for file in self._files.values():
            if file.path == old or file.path.startswith(old + "/"):
                file.path = new + file.path[len(old) :]

    def mknod(self, path: str, mode: int, device: int) -> None:
        self._do("nfs_mknod", encode(path), mode, device)

    def chmod(self, path: str, mode: int) -> None:
        self._do("nfs_chmod", encode(path), mode & 0o7777)

    def chown(self, path: str, uid: int, gid: int) -> None:
        self._do("nfs_lchown", encode(path), uid, gid)

    def truncate(self, path: str, length: int, info: Any = None) -> None:
        if info is None:
            self._do("nfs_truncate", encode(path), ctypes.c_uint64(length))
        else:
            self._with_file(info, "nfs_ftruncate", ctypes.c_uint64(length))

    def utimens(self, path: str, times: tuple[int, int] | None) -> None:
        both = times or (time.time_ns(), time.time_ns())
        values = (TimeVal * 2)(*(TimeVal(ns // 10**9, ns % 10**9 // 1000) for ns in both))
        self._do("nfs_lutimes", encode(path), values)

    def statfs(self, path: str) -> dict[str, int]:
        values = StatVfs()
        names = ["f_" + name for name in StatVfs.names.split()]
        self._do("nfs_statvfs64", encode(path), ctypes.byref(values))
        return {name: int(getattr(values, name)) for name in names}

    def create(self, path: str, mode: int, info: Any) -> None:
        file = File(path, info.flags)
        flags = (info.flags & (os.O_ACCMODE | os.O_EXCL)) | os.O_CREAT
        self._do("nfs_create", encode(path), flags, mode & 0o7777, ctypes.byref(file.pointer))
        self._remember(file, info)

    def open(self, path: str, info: Any) -> None:
        file = File(path, info.flags)
        self._session.call(self._caller(), lambda: self._reopen(file))
        self._remember(file, info)

    def read(self, _path: str, size: int, offset: int, info: Any) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        got = self._with_file(info, "nfs_pread", ctypes.c_uint64(offset), ctypes.c_uint64(size), buffer)
        return buffer.raw[:got]

    def write(self, _path: str, data: bytes, offset: int, info: Any) -> int:
        done = 0
        while done < len(data):
            rest = data[done:]
            where, size = ctypes.c_uint64(offset + done), ctypes.c_uint64(len(rest))
            done += self._with_file(info, "nfs_pwrite", where, size, rest)
        return done

    def flush(self, _path: str, _info: Any) -> None:
        pass

    def fsync(self, _path: str, _data_only: int, info: Any) -> None:
        self._with_file(info, "nfs_fsync")

    def release(self, _path: str, info: Any) -> None:
        file = self._files.pop(info.fh)
        if file.session == self._session.number and self._session.context:
            self._session.lib.nfs_close(self._session.context, file.pointer)

    def _do(self, function: str, *arguments: Any) -> int:
        session = self._session
        return session.call(self._caller(), lambda: int(getattr(session.lib, function)(session.context, *arguments)))

    def _with_file(self, info: Any, function: str, *arguments: Any) -> int:
        session, file = self._session, self._files[info.fh]

        def request() -> int:
            if file.session != session.number and (code := self._reopen(file)) < 0:
                return code
            return int(getattr(session.lib, function)(session.context, file.pointer, *arguments))

        return session.call(self._caller(), request)

    def _reopen(self, file: File) -> int:
        session = self._session
        flags = file.flags & os.O_ACCMODE
        code = int(session.lib.nfs_open(session.context, encode(file.path), flags, ctypes.byref(file.pointer)))
        file.session = session.number
        return code

    def _remember(self, file: File, info: Any) -> None:
        file.session = self._session.number
        info.fh = self._next
        self._files[self._next] = file
        self._next += 1


def read_groups(pid: int) -> tuple[int, ...]:
    """Further groups of a process; none if it is gone, as with requests of the kernel itself."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ()
    line = next((line for line in status.splitlines() if line.startswith("Groups:")), "Groups:")
    return tuple(int(word) for word in line.split()[1:])


def parse_spec(spec: str) -> tuple[str, str]:
    """HOST:/PATH, with the host in brackets if it is an IPv6 address."""
    host, separator, path = spec.rpartition(":/")
    if not (host and separator):
        raise MountError("mount.nfs: remote share not in 'host:dir' format", USAGE)
    return host.strip("[]"), ("/" + path.rstrip("/")) or "/"


def first_session(spec: str, options: Options) -> Session:
    """Connect. A server that is away is tried again for some minutes, like the real helper does."""
    server, export = parse_spec(spec)
    deadline = time.monotonic() + options.retry_minutes * 60
    pause = 1.0
    while True:
        try:
            return _connect(server, export, options)
        except OSError as error:
            if error.errno not in TEMPORARY or time.monotonic() + pause > deadline:
                raise MountError(describe(error, spec), error.errno or 0) from None
        time.sleep(pause)
        pause = min(pause * 2, 10)


def _connect(server: str, export: str, options: Options) -> Session:
    try:
        address = str(socket.getaddrinfo(server, options.port, type=socket.SOCK_STREAM)[0][4][0])
    except socket.gaierror as error:
        raise MountError(f"mount.nfs: Failed to resolve server {server}: {error.strerror}") from None
    if options.version == 4:
        offered = Session(address, export, 4, options)
        offered.connect(options.patience)
        offered.close()
    session = Session(address, export, 3, options)
    session.connect(options.patience)
    return session


def describe(error: OSError, spec: str) -> str:
    text = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"mount.nfs: access denied by server while mounting {spec} ({text})"
    if error.errno in TEMPORARY:
        return f"mount.nfs: {os.strerror(error.errno or 0)} for {spec}"
    return f"mount.nfs: mounting {spec} failed, reason given by server: {os.strerror(error.errno or 0)} ({text})"


def check_directory(spec: str, directory: str) -> None:
    if not Path(directory).exists():
        raise MountError(f"mount.nfs: mount point {directory} does not exist")
    if not Path(directory).is_dir():
        raise MountError(f"mount.nfs: mount point {directory} is not a directory")
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, source = line.partition(" - ")
        if fields.split()[4] == directory and source.split()[:2] == ["fuse.nfs", spec]:
            raise MountError(f"mount.nfs: {directory} is busy or already mounted")


def serve(spec: str, directory: str, options: Options, ready: Callable[[], None]) -> None:
    """Connect, mount, and answer the kernel's requests until the directory is unmounted."""
    if options.background:
        ready()
    session = first_session(spec, options)
    import fusepy  # type: ignore[import-not-found]  # Debian's name of the module, in the nodes only

    def caller() -> Caller:
        uid, gid, pid = fusepy.fuse_get_context()
        return Caller(uid, gid, read_groups(pid))

    passed_on = {flag: True for flag in options.flags if flag in PASSED_ON}
    # FUSE forbids device files and setuid programs unless told otherwise; NFS does not.
    rights = {flag: True for flag in ("suid", "dev") if f"no{flag}" not in options.flags}
    fusepy.FUSE(
        Tree(session, caller, ready),
        os.fsencode(directory).decode("latin-1"),
        raw_fi=True,
        encoding="latin-1",
        foreground=True,
        nothreads=True,
        fsname=spec,
        subtype="nfs",
        allow_other=True,
        use_ino=True,
        nonempty=True,
        big_writes=True,
        # Always the server's answer: other hosts see changes at once.
        attr_timeout=0,
        entry_timeout=0,
        **passed_on,
        **rights,
    )


def run_in_background(spec: str, directory: str, options: Options) -> None:
    """Fork, and return when the child has mounted the file system. Raise what it says if it could not."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        become_daemon(writer)

        def tell(text: bytes) -> None:
            nonlocal writer
            if writer >= 0:
                os.write(writer, text)
                os.close(writer)
                writer = -1

        try:
            serve(spec, directory, options, lambda: tell(b"ok"))
        except MountError as error:
            tell(str(error).encode())
        except Exception as error:
            tell(f"mount.nfs: {error!r}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode(errors="replace")
    if answer != "ok":
        raise MountError(answer or "mount.nfs: the file system could not be mounted (is there /dev/fuse?)")


def become_daemon(keep: int) -> None:
    """Leave the caller's session, directory and files, so that nothing waits for this process."""
    os.setsid()
    os.chdir("/")
    os.umask(0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    if null != keep and null > 2:
        os.close(null)


def parse_arguments(arguments: list[str]) -> tuple[list[str], str, set[str]]:
    """Operands, options and flags. mount(8) puts the operands first, people put them anywhere."""
    operands: list[str] = []
    options: list[str] = []
    flags: set[str] = set()
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-o", "-t"):
            value = next(rest, "")
            options += [value] if argument == "-o" else []
        elif argument.startswith("-o"):
            options.append(argument[2:])
        elif argument.startswith("-"):
            flags |= set(argument[1:])
        else:
            operands.append(argument)
    if len(operands) != 2 or flags - set("sfnvrwN"):
        raise MountError("usage: mount.nfs remotetarget dir [-rvVwfnsh] [-o nfsoptions]", USAGE)
    options += [{"r": "ro", "w": "rw"}[flag] for flag in sorted(flags & {"r", "w"})]
    return operands, ",".join(options), flags


def main(arguments: list[str]) -> None:
    (spec, directory), text, flags = parse_arguments(arguments)
    options = parse_options(text, sloppy="s" in flags)
    directory = os.path.realpath(directory)
    if options.remount:
        raise MountError("mount.nfs: this NFS client cannot remount: unmount and mount again")
    if os.geteuid() != 0:
        raise MountError("mount.nfs: only root can mount")
    parse_spec(spec)
    check_directory(spec, directory)
    if "f" not in flags:
        run_in_background(spec, directory, options)


def stop(error: MountError) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(USAGE if error.code == USAGE else FAILED)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MountError as problem:
        stop(problem)
