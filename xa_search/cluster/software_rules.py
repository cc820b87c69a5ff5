"""Rules about what runs on the machines. In: a cluster file, and the versions of constraints.txt that this project is
locked to. Out: other versions, other code, and GPUs nobody tried.
"""

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from xa_search.cluster.cluster_file import ALL, AWS, JOB, LAUNCHED, ClusterFile, Finding, Machine, Rule, containers_of
from xa_search.cluster.document import YamlNode
from xa_search.config.shipped import CONSTRAINTS

PINNED = re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*)(?:\[[\w,-]*\])?==([\w.!+-]+)")
INSTALLS = re.compile(r"\bpip3? install\b")
PYTHON = re.compile(r"(?:--python[ =]|\bpython(?:==|@|=)?)(\d+\.\d+(?:\.\d+)?)\b")
PATCHED = re.compile(r"\d+\.\d+\.\d+")
FIRST_BOOT = re.compile(r"\bcloud-init status --wait\b")
PACKAGES = re.compile(r"\b(?:apt|apt-get|dnf|yum)\b.*\binstall\b|\bcurl\b.*\|\s*sudo\b")
EVEN_IF_IT_FAILS = re.compile(r"\|\|\s*(?:true|:)|;\s*true\b")


def locked_versions() -> dict[str, str]:
    """Return the locked versions."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {normalised(name): version for name, version in pinned}


def normalised(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def image(cluster: ClusterFile) -> Iterator[Finding]:
    """Every machine states one image that does not change."""
    for machine in cluster.machines:
        if cluster.kind == "aws":
            yield from _machine_image(machine)
        for container in containers_of(machine.settings):
            yield from _container_image(container.at("image"))
    docker = cluster.root.at("docker")
    for key in ("image", "head_image", "worker_image"):
        if docker.at(key).present:
            yield from _container_image(docker.at(key))


def _machine_image(machine: Machine) -> Iterator[Finding]:
    stated = machine.settings.at("ImageId")
    fix = "write an image's own id, ami-...; cluster/README.md says how to find one"
    if not stated.present:
        yield stated, f"{machine.name} has no ImageId: Ray's default is an Ubuntu 18.04", fix
    elif not re.fullmatch(r"ami-[0-9a-f]{8,17}", stated.text):
        yield stated, f"{machine.name}: {stated.text} is another image tomorrow", fix
    elif stated.text in _ray_images():
        yield stated, f"{machine.name}: {stated.text} is Ray's default, an Ubuntu 18.04", fix


def _ray_images() -> set[str]:
    source = Path(str(distribution("ray").locate_file("ray/autoscaler/_private/aws/config.py")))
    return set(re.findall(r"ami-[0-9a-f]+", source.read_text(encoding="utf-8")))


def _container_image(stated: YamlNode) -> Iterator[Finding]:
    name, _, tag = stated.text.rpartition("/")[2].partition(":")
    if name == "ray-ml":
        yield stated, "ray-ml images are no longer built", "build cluster/Dockerfile, and name that image"
    elif not stated.present:
        yield stated, "a container without image", "build cluster/Dockerfile, and name that image"
    elif "@sha256:" not in stated.text and (not tag or "latest" in tag or "nightly" in tag):
        yield stated, f"{stated.text} is another image tomorrow", "name a tag that is one version, or a digest"


def versions(cluster: ClusterFile) -> Iterator[Finding]:
    """What is installed is what constraints.txt says."""
    locked = locked_versions()
    for command in (command for machine in cluster.machines for command in machine.commands):
        for name, version in PINNED.findall(command.text):
            wanted = locked.get(normalised(name), version)
            if version != wanted:
                yield command, f"{name} {version} is not the locked {wanted}", f"write {name}=={wanted}"
        if INSTALLS.search(command.text) and "constraints.txt" not in command.text and "==" not in command.text:
            yield command, "installs whatever is newest", "add `-c constraints.txt`, the file's place included"
    if cluster.kind == "rayjob":
        stated = cluster.pods.at("rayVersion")
        if stated.text != locked["ray"]:
            yield (
                stated,
                f"Ray {stated.text or '(none)'} is not the locked {locked['ray']}",
                f"write rayVersion: {locked['ray']}",
            )
    elif not cluster.root.at("docker", "image").present:
        for machine in cluster.machines:
            if not any(INSTALLS.search(command.text) for command in machine.commands):
                what = f"{machine.name}: nothing installs this project; Ray's default installs a development build"
                yield machine.part, what, "install the wheel with `-c constraints.txt` in setup_commands"


def python_version(cluster: ClusterFile) -> Iterator[Finding]:
    """One Python, to the last number, on all machines."""
    if cluster.kind == "rayjob":
        images = [place.at("image") for machine in cluster.machines for place in containers_of(machine.settings)]
        for other in images:
            if other.text != images[0].text:
                what = f"{other.text} may hold another Python than {images[0].text}"
                yield other, what, "name one image for all pods"
        return
    stated = [
        (found, place)
        for machine in cluster.machines
        for place in machine.commands
        for found in PYTHON.findall(place.text)
    ]
    full = [found for found, _ in stated if PATCHED.fullmatch(found)]
    for found, place in stated:
        if not PATCHED.fullmatch(found):
            yield place, f"Python {found} is any of its patch versions", f"write {full[0] if full else found + '.15'}"
        elif found != full[0]:
            yield place, f"Python {found} here, {full[0]} before: Ray refuses such a node", f"write {full[0]}"
    if not stated and not cluster.root.at("docker", "image").present:
        yield (
            cluster.root.at("setup_commands"),
            "no Python version is stated",
            "make it with `uv venv --python 3.11.15`",
        )


def first_boot(cluster: ClusterFile) -> Iterator[Finding]:
    """Nothing installs packages while the machine's own first boot does."""
    fix = "write `cloud-init status --wait > /dev/null || [ $? -eq 2 ]` before it"
    for machine in cluster.machines:
        for command in machine.commands:
            if FIRST_BOOT.search(command.text):
                break
            if PACKAGES.search(command.text):
                yield command, f"{machine.name}: its first boot may hold the lock of the package manager", fix


def gpu_probe(cluster: ClusterFile) -> Iterator[Finding]:
    """A machine whose GPU does not work never joins."""
    for worker in cluster.workers:
        probes = [place for place in worker.commands if "torch" in place.text and "cuda" in place.text]
        fix = "add `python -c \"import torch; x = torch.ones(9, 9, device='cuda'); x @ x\"` to its set-up"
        if worker.gpus and not any("@" in probe.text or "matmul" in probe.text for probe in probes):
            yield worker.part, f"{worker.name}: nothing checks the GPU before trials use it", fix
        for probe in probes:
            if EVEN_IF_IT_FAILS.search(probe.text):
                yield probe, "the probe fails and the machine joins all the same", "let the probe's exit code stand"


def code_by_file_mounts(cluster: ClusterFile) -> Iterator[Finding]:
    """Code reaches every node, and is the same on all."""
    fix = "install a wheel from the shared folder in setup_commands; its path changes with its version"
    for target, source in cluster.root.at("file_mounts").entries.items():
        if not target.endswith("auth_token"):
            yield source, f"{source.text} reaches only the first nodes, and later ones keep old code", fix
    for source in cluster.root.at("cluster_synced_files").elements:
        yield source, f"{source.text} reaches only the first nodes, and later ones keep old code", fix


def cached_nodes(cluster: ClusterFile) -> Iterator[Finding]:
    """Every node that joins has run the set-up."""
    cached = cluster.root.at("provider", "cache_stopped_nodes")
    if cached.value is not False:
        yield cached, "a stopped node comes back without set-up, with old code", "write cache_stopped_nodes: false"


def resumable_job(cluster: ClusterFile) -> Iterator[Finding]:
    """A job whose head is lost goes on where it was."""
    job = cluster.root.at("spec")
    command = job.at("entrypoint")
    if "xa-search run" not in command.text:
        yield command, "the entrypoint is not the command that resumes", "write `xa-search run SPACE --address auto`"
    elif "--address" not in command.text:
        yield command, "the search would start a Ray of its own within the head", "add `--address auto`"
    if "--new" in command.text.split():
        yield command, "every retry would begin another search", "take --new out"
    if not job.at("backoffLimit").number:
        yield job.at("backoffLimit"), "a lost head ends the search", "write backoffLimit: 5"
    if job.at("clusterSelector").present:
        yield job.at("clusterSelector"), "a retry needs a cluster of its own", "take clusterSelector out"
    if job.at("shutdownAfterJobFinishes").value is not True:
        where = job.at("shutdownAfterJobFinishes")
        yield where, "the cluster outlives the search", "write shutdownAfterJobFinishes: true"


SOFTWARE = (
    Rule("image", "an image that is old, or another one tomorrow", ALL, image),
    Rule("versions", "nodes that cannot talk to each other", ALL, versions),
    Rule("python-version", "nodes that Ray refuses for their Python", ALL, python_version),
    Rule("first-boot", "machines that fail to set up, now and then", AWS, first_boot),
    Rule("gpu-probe", "trials that fail on a broken GPU", ALL, gpu_probe),
    Rule("code-by-file-mounts", "trials that run old code", LAUNCHED, code_by_file_mounts),
    Rule("cached-nodes", "trials that run old code", AWS, cached_nodes),
    Rule("resumable-job", "a search that is lost with its head", JOB, resumable_job),
)
