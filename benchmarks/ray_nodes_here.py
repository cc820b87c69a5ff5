"""Rays of several nodes on this machine. In: nodes and what each has. Out: an address, and nodes that can be killed.

One is grown by hand with Ray's test cluster. In the other Ray's autoscaler starts a raylet for each node asked for, as
`ray.cluster_utils.AutoscalingCluster` would: that one reads a file which the wheel lacks, and stops every Ray here.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from ports import free_port, wait_for

from xa_search.rehearsal.driver import kill_session, processes_of

HOST = "127.0.0.1"
HEAD_ID = "f" * 56
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
NODE_ID = "RAY_OVERRIDE_NODE_ID_FOR_TESTING"


class NodesByHand:
    """A head without CPUs, and nodes that are added to it at once."""

    def __init__(self, nodes: int, resources: dict[str, int]) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "num_gpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes, self._resources = nodes, resources
        self._workers: list[Any] = []
        self.address: str = self._cluster.address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cluster.shutdown()

    def grow(self) -> None:
        """Add the nodes."""
        named = {"num_cpus": self._resources["CPU"], "num_gpus": self._resources["GPU"]}
        self._workers = [self._cluster.add_node(**named) for _ in range(self._nodes)]

    def kill(self, node_ids: Iterable[str]) -> None:
        """Kill nodes, without a word to them."""
        lost = set(node_ids)
        for worker in [worker for worker in self._workers if worker.node_id in lost]:
            self._cluster.remove_node(worker, allow_graceful=False)


class NodesOnDemand:
    """A head without CPUs whose autoscaler starts nodes when they are asked for, and stops them when they are idle."""

    def __init__(self, nodes: int, resources: dict[str, int], folder: Path) -> None:
        port = free_port()
        self.address = f"{HOST}:{port}"
        config = folder / "autoscaler.json"
        config.write_text(json.dumps(_autoscaler(nodes, resources, self.address)), encoding="utf-8")
        environment = {
            **os.environ,
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
            NODE_ID: HEAD_ID,
        }
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=0"]
        command += ["--num-gpus=0", f"--node-ip-address={HOST}", f"--port={port}", f"--autoscaling-config={config}"]
        with (folder / "head.log").open("w") as log:
            self._head = subprocess.Popen(
                [*command, "--include-dashboard=false"], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(HOST, port, self._head, folder / "head.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while kill_session(self._head.pid):  # what is killed may have started something just before
            pass
        self._head.wait()

    def grow(self) -> None:
        """Leave it to Ray."""

    def kill(self, node_ids: Iterable[str]) -> None:
        """Kill nodes, without a word to them or to the autoscaler."""
        lost = set(node_ids)
        for process in processes_of(self._head.pid):
            with suppress(OSError, psutil.Error):
                if psutil.Process(process.pid).environ().get(NODE_ID) in lost:
                    os.kill(process.pid, signal.SIGKILL)


def _autoscaler(nodes: int, resources: dict[str, int], address: str) -> dict[str, Any]:
    return {
        "cluster_name": "here",
        "max_workers": nodes,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "head_node_id": HEAD_ID,
            "gcs_address": address,
            "launch_multiple": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": nodes},
        },
        "auth": {},
        "head_node": {},
        "worker_nodes": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }
