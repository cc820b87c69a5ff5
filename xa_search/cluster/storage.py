"""Rules about where results lie. In: a cluster file. Out: checkpoints and artifacts that only one machine would see."""

import re
from collections.abc import Iterator

from xa_search.cluster.faults import ALL, Finding, Rule
from xa_search.cluster.machines import ClusterFile, Machine

HOME = r"(?:XA_SEARCH_HOME=|--home[ =])([^\s'\"]+)"
MOUNT = re.compile(r"\bmount -t \S+ (?:-o \S+ )?(\S+) (/[^\s;'\"}]+)")
BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]+)")


def shared_home(cluster: ClusterFile) -> Iterator[Finding]:
    """The home of searches is one folder, within what every machine mounts."""
    first: str | None = None
    for machine in cluster.machines:
        found = machine.says(HOME)
        if found is None:
            what = f"{machine.name}: no XA_SEARCH_HOME, so checkpoints stay on its own disk"
            yield machine.part, what, "set XA_SEARCH_HOME to a folder within the shared one"
            continue
        home = found.group(1)
        first = first or home
        if home != first:
            what = f"{machine.name}: XA_SEARCH_HOME is {home}, elsewhere {first}"
            yield machine.part, what, "write the same folder for all machines"
        elif cluster.kind != "local" and not _within(home, _mounts(machine)):
            what = f"{machine.name}: {home} lies in no mounted folder"
            yield machine.part, what, "mount the bucket there on every machine"


def one_bucket(cluster: ClusterFile) -> Iterator[Finding]:
    """All machines mount and name the same storage."""
    sources = [(machine, sorted({source for source, _ in _mounts(machine)})) for machine in cluster.machines]
    for machine, named in sources:
        if named != sources[0][1]:
            what = f"{machine.name} mounts {', '.join(named) or 'nothing'}, {sources[0][0].name} another"
            yield machine.part, what, f"mount {', '.join(sources[0][1]) or 'the bucket'} on all machines"
    commands = [command for machine in cluster.machines for command in machine.commands]
    buckets = [(command, name) for command in commands for name in BUCKET.findall(command.text)]
    for command, name in buckets:
        if name != buckets[0][1]:
            yield command, f"bucket {name} here, {buckets[0][1]} before", "use one bucket on all machines"


def _mounts(machine: Machine) -> list[tuple[str, str]]:
    """Return what is mounted where: by commands, or as the pod's claims."""
    found = [place for command in machine.commands for place in MOUNT.findall(command.text)]
    claims = {
        volume.at("name").text: volume.at("persistentVolumeClaim", "claimName").text
        for volume in machine.settings.at("volumes").elements
        if volume.at("persistentVolumeClaim").present
    }
    for container in machine.settings.at("containers").elements:
        for mount in container.at("volumeMounts").elements:
            if mount.at("name").text in claims:
                found.append((claims[mount.at("name").text], mount.at("mountPath").text))
    return found


def _within(folder: str, mounts: list[tuple[str, str]]) -> bool:
    return any(folder == place or folder.startswith(place.rstrip("/") + "/") for _, place in mounts)


STORAGE = (
    Rule("shared-home", "checkpoints that only one machine sees", ALL, shared_home),
    Rule("one-bucket", "artifacts in two places, and rights to one of them", ALL, one_bucket),
)
