"""Rules about which machines there are, when, and where results lie. In: a cluster file. Out: what would cost money,
wait for ever, or lie where only one machine sees it.
"""

import re
from collections.abc import Iterator

from xa_search.cluster.cluster_file import ALL, GPU, JOB, SCALED, ClusterFile, Finding, Machine, Rule

ZONE = "topology.kubernetes.io/zone"
HOME = r"(?:XA_SEARCH_HOME=|--home[ =])([^\s'\"]+)"
MOUNT = re.compile(r"\bmount -t \S+ (?:-o \S+ )?(\S+) (/[^\s;'\"}]+)")
BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]+)")


def head_gpu(cluster: ClusterFile) -> Iterator[Finding]:
    """The head has no GPU to schedule on."""
    head = cluster.head
    if head is None:
        yield cluster.root.at("head_node_type"), "no machine is the head", "name one of available_node_types"
    elif head.gpus and cluster.kind == "local":
        where = cluster.root.at("head_start_ray_commands")
        yield where, "the head offers its GPUs to trials", "start it with `ray start --head --num-cpus=0 --num-gpus=0`"
    elif head.gpus:
        what = f"the head has {head.gpus:g} GPU, paid for as long as the cluster lives"
        places = (head.part.at("resources", "GPU"), head.settings.at("InstanceType"), head.part)
        yield (
            next(place for place in places if place.present),
            what,
            "give the head a machine without GPU, and leave GPU out of its resources",
        )


def workers_from_zero(cluster: ClusterFile) -> Iterator[Finding]:
    """Workers come when trials wait, and none is there when no trial is."""
    if not any(worker.gpus for worker in cluster.workers):
        yield cluster.root, "no kind of worker has a GPU", "add one, with `GPU: 1` in its resources or limits"
    least, most = ("minReplicas", "maxReplicas") if cluster.kind == "rayjob" else ("min_workers", "max_workers")
    total = cluster.root.at("max_workers")
    if cluster.kind == "aws" and not total.present:
        yield cluster.root, "no max_workers: Ray's default is 2", "state how many workers there may be in all"
    for worker in cluster.workers:
        if worker.part.at(least).number:
            where = worker.part.at(least)
            yield where, f"{worker.name}: {where.text} machines run from the start", f"write {least}: 0"
        ceiling = worker.part.at(most) if worker.part.at(most).present else total
        if ceiling.number is not None and ceiling.number < 1:
            yield ceiling, f"{worker.name}: no machine may ever start", f"write {most}: 1 or more"


def idle_timeout(cluster: ClusterFile) -> Iterator[Finding]:
    """Idle workers go away by themselves."""
    if cluster.kind == "aws":
        timeout = cluster.root.at("idle_timeout_minutes")
        if not timeout.number:
            yield timeout, "idle GPU machines are paid for", "write idle_timeout_minutes: 10"
        return
    if cluster.pods.at("enableInTreeAutoscaling").value is not True:
        where = cluster.pods.at("enableInTreeAutoscaling")
        yield where, "without the autoscaler no worker ever comes or goes", "write enableInTreeAutoscaling: true"
    timeout = cluster.pods.at("autoscalerOptions", "idleTimeoutSeconds")
    if not timeout.number:
        yield timeout, "when idle workers go is not stated", "write idleTimeoutSeconds: 600"


def zones(cluster: ClusterFile) -> Iterator[Finding]:
    """One zone without capacity does not stop a search."""
    if cluster.kind == "aws":
        stated = cluster.root.at("provider", "availability_zone")
        region = cluster.root.at("provider", "region").text
        named = {zone.strip() for zone in stated.text.split(",") if zone.strip()}
        if len(named) < 2:
            what = f"{len(named)} zone: where it has no machine left, the search waits"
            yield stated, what, f"write availability_zone: {region}a,{region}b"
        for zone in sorted(named):
            if not zone.startswith(region):
                yield stated, f"{zone} is no zone of {region}", f"name zones of {region}"
        return
    for worker in cluster.workers:
        only = worker.settings.at("nodeSelector", ZONE)
        if only.present:
            what = f"{worker.name}: {only.text} is the only zone"
            yield only, what, "take the zone out of nodeSelector, or name two in nodeAffinity"


def spot_and_on_demand(cluster: ClusterFile) -> Iterator[Finding]:
    """Cheap machines where there are any, others where there are none."""
    with_gpu = [worker for worker in cluster.workers if worker.gpus]
    spot = [worker for worker in with_gpu if worker.spot]
    safe = [worker for worker in with_gpu if not worker.spot]
    if with_gpu and not spot:
        yield with_gpu[0].part, "all GPU workers are on-demand machines", "add a spot type of higher priority"
    if with_gpu and not safe:
        what = "all GPU workers are spot machines: without spot capacity the search waits"
        yield with_gpu[0].part, what, "add an on-demand type of lower priority"
    if spot and safe:
        first = min(worker.part.at("priority").number or 0.0 for worker in spot)
        last = max(worker.part.at("priority").number or 0.0 for worker in safe)
        if first <= last:
            what = "spot has no higher priority: on-demand machines may come first"
            yield spot[0].part, what, f"write priority: {last + 10:g} for spot"
    version = cluster.pods.at("autoscalerOptions", "version")
    if spot and safe and version.text == "v1":
        what = "autoscaler v1 knows no priorities, and asks for the same spot machine for ever"
        yield version, what, "write version: v2"


def gpu_toleration(cluster: ClusterFile) -> Iterator[Finding]:
    """A pod that asks for a GPU may run where GPUs are: such nodes are mostly tainted."""
    for worker in cluster.workers:
        stated = worker.settings.at("tolerations")
        # An empty key, with the operator Exists, tolerates everything.
        keys = {one.at("key").text for one in stated.elements if one.at("effect").text in ("", "NoSchedule")}
        if worker.gpus and not keys & {GPU, ""}:
            what = f"{worker.name}: a node that is kept for GPUs ({GPU}:NoSchedule) does not take it, and it waits"
            yield worker.part, what, f"write tolerations: [{{key: {GPU}, operator: Exists, effect: NoSchedule}}]"


SCALING = (
    Rule("head-gpu", "a GPU that is paid for and never used", ALL, head_gpu),
    Rule("workers-from-zero", "GPUs that run while no trial does", SCALED, workers_from_zero),
    Rule("idle-timeout", "idle GPUs that burn the budget", SCALED, idle_timeout),
    Rule("zones", "waiting for a zone that has no machine left", SCALED, zones),
    Rule("gpu-toleration", "pods that wait beside free GPUs", JOB, gpu_toleration),
    Rule("spot-and-on-demand", "waiting for spot capacity that does not come", SCALED, spot_and_on_demand),
)


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


def volume_owner(cluster: ClusterFile) -> Iterator[Finding]:
    """A claim that is mounted can be written by the user of the image."""
    for machine in cluster.machines:
        context = machine.settings.at("securityContext")
        if _mounts(machine) and context.at("fsGroup").number is None:
            what = f"{machine.name}: a new volume belongs to root, and the image's user may not write there"
            yield context if context.present else machine.part, what, "write securityContext: {fsGroup: 1000}"


STORAGE = (
    Rule("shared-home", "checkpoints that only one machine sees", ALL, shared_home),
    Rule("volume-owner", "a home that nobody may write to", JOB, volume_owner),
    Rule("one-bucket", "artifacts in two places, and rights to one of them", ALL, one_bucket),
)
