"""Rules about who may reach what. In: a cluster file. Out: open doors, missing rights, secrets that all can read."""

import re
from collections.abc import Iterator

from xa_search.cluster.cluster_file import ALL, AWS, LAUNCHED, ClusterFile, Finding, Machine, Rule, containers_of

WORLD = re.compile(r"(?<![\d.])0\.0\.0\.0/0|(?<![\w:])::/0")
TO_ALL = re.compile(r"--dashboard-host[ =](?:0\.0\.0\.0|::)|(?:^|\s)(?:-p|--publish)[ =]")
SECRETS = re.compile(
    r"AKIA[0-9A-Z]{16}|\bhf_[A-Za-z0-9]{20,}|\bgh[pousr]_[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@$]+:[^/\s:@$]+@"
)
SECRET_NAME = re.compile(r"(?i)(?:password|passwd|secret|token|api_?key|access_?key)(?:_?id)?$")
ELSEWHERE = ("$", "<", "/", "~")
ASSIGNED = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]*)=(['\"]?)([^\s'\"]+)")


def ingress(cluster: ClusterFile) -> Iterator[Finding]:
    """No address outside may knock."""
    for machine in cluster.machines if cluster.kind == "aws" else ():
        groups = machine.settings.at("SecurityGroupIds")
        if not groups.elements and not machine.settings.at("NetworkInterfaces").elements:
            what = f"{machine.name} has no SecurityGroupIds: Ray makes a group that lets the whole world try SSH"
            yield groups, what, "name a group that lets in only itself and your own network"
    for part in cluster.root.walk():
        if WORLD.search(part.text):
            yield (
                part,
                f"{WORLD.findall(part.text)[0]} is the whole world",
                "name your own network, such as 203.0.113.0/24",
            )


def open_port(cluster: ClusterFile) -> Iterator[Finding]:
    """The dashboard, which runs what it is told, answers to nobody outside."""
    start = cluster.root.at("head_start_ray_commands")
    if cluster.kind == "aws" and not start.present:
        what = "no head_start_ray_commands: Ray's own open the dashboard to all addresses"
        yield start, what, "state them, with --dashboard-host=127.0.0.1"
    for part in (*start.elements, *cluster.root.at("docker", "run_options").elements):
        if TO_ALL.search(part.text):
            fix = "write --dashboard-host=127.0.0.1, and reach it by `ray dashboard FILE`"
            yield part, "the dashboard answers to all addresses", fix
    head = cluster.pods.at("headGroupSpec")
    for service in (head.at("serviceType"), head.at("headService", "spec", "type")):
        if service.text in ("NodePort", "LoadBalancer"):
            yield (
                service,
                f"{service.text} opens the head to outside",
                "write ClusterIP, and use `kubectl port-forward`",
            )
    if head.at("enableIngress").value is True:
        yield head.at("enableIngress"), "an ingress opens the dashboard to outside", "take it out"
    for machine in cluster.machines:
        yield from _host_ports(machine)


def _host_ports(machine: Machine) -> Iterator[Finding]:
    network = machine.settings.at("hostNetwork")
    if network.value is True:
        yield network, f"{machine.name}: its ports are the host's", "take hostNetwork out"
    for container in containers_of(machine.settings):
        for port in container.at("ports").elements:
            if port.at("hostPort").present:
                yield port.at("hostPort"), f"{machine.name}: a port of the host is open", "take hostPort out"


def token_mode(cluster: ClusterFile) -> Iterator[Finding]:
    """Who has no token can do nothing."""
    if cluster.kind == "rayjob":
        mode = cluster.pods.at("authOptions", "mode")
        if mode.text != "token":
            yield mode, "whoever reaches the head can run code", "write authOptions: {mode: token}"
        return
    for machine in cluster.machines:
        off = [command for command in machine.commands if "RAY_AUTH_MODE=disabled" in command.text]
        for command in off:
            yield command, f"{machine.name}: whoever reaches it can run code", "write RAY_AUTH_MODE=token"
        if not off and machine.says("RAY_AUTH_MODE=token") is None:
            where = cluster.root.at("head_start_ray_commands" if machine.head else "worker_start_ray_commands")
            yield (
                where,
                f"{machine.name}: whether Ray asks for a token is not stated",
                "start Ray with RAY_AUTH_MODE=token",
            )


def token_file(cluster: ClusterFile) -> Iterator[Finding]:
    """Every machine has the token, or it cannot join."""
    mounted = any(target.endswith(".ray/auth_token") for target in cluster.root.at("file_mounts").entries)
    for machine in cluster.machines:
        if not mounted and machine.says(r"\.ray/auth_token|RAY_AUTH_TOKEN_PATH") is None:
            what = f"{machine.name}: nothing puts the token at ~/.ray/auth_token"
            yield cluster.root.at("setup_commands"), what, "copy it there from the shared folder in setup_commands"


def instance_profile(cluster: ClusterFile) -> Iterator[Finding]:
    """Workers have the rights that the head has."""
    for machine in cluster.machines:
        profile = machine.settings.at("IamInstanceProfile")
        if not (profile.at("Name").text or profile.at("Arn").text):
            what = f"{machine.name} has no IamInstanceProfile: it may not read or write the bucket"
            yield profile, what, "name a profile with rights to the bucket"


def plain_secret(cluster: ClusterFile) -> Iterator[Finding]:
    """A file that is kept with the code holds no secret."""
    fix = "take it out; read it from a file on the machine, or from a Kubernetes secret"
    for part in cluster.root.walk():
        if SECRETS.search(part.text):
            yield part, "a secret stands here for all to read", fix
        named = [(name, value, part) for name, _, value in ASSIGNED.findall(part.text)]
        named += [(name, inner.text, inner) for name, inner in part.entries.items()]
        named.append((part.at("name").text, part.at("value").text, part.at("value")))
        for name, value, where in named:
            if SECRET_NAME.search(name) and value and not value.startswith(ELSEWHERE):
                yield where, f"{name} stands here for all to read", fix


ACCESS = (
    Rule("ingress", "a machine that the whole world may try to enter", ALL, ingress),
    Rule("open-port", "a dashboard that runs anyone's code", ALL, open_port),
    Rule("token-mode", "a Ray that runs anyone's code", ALL, token_mode),
    Rule("token-file", "nodes that cannot join", LAUNCHED, token_file),
    Rule("instance-profile", "workers without the rights of the head", AWS, instance_profile),
    Rule("plain-secret", "a secret in the repository", ALL, plain_secret),
)
