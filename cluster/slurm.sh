#!/bin/bash
# A search on SLURM: one batch job that starts Ray on its nodes, runs the search on them, and resumes when it is requeued.
#   XA_SEARCH_HOME=/shared/xa-search sbatch --nodes=4 cluster/slurm.sh mtop
# What follows the script's name is given to `xa-search run`. Submit it from the environment that has xa-search: all nodes
# have to see that, and the home. The options below are examples; those of the command line count before them.
#SBATCH --job-name=xa-search
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@300
set -euo pipefail

: "${XA_SEARCH_HOME:?set it to a folder that all nodes see}"
: "${SLURM_JOB_ID:?submit this with sbatch}"
export XA_SEARCH_HOME
# Who has the token can run code: it is made for this start of the job, and is in the environment of its processes alone.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
# Jobs that share a node each have a port of their own, and a folder for Ray's sockets that no other user may enter.
port=$((20000 + SLURM_JOB_ID % 10000))
export RAY_TMPDIR="/tmp/xa-ray-$SLURM_JOB_ID"
# The batch script runs on the first node of the job, and there the head does, too.
head=$(hostname -I | cut -d ' ' -f 1)

start_node() {
    mkdir -p -m 700 "$RAY_TMPDIR"
    options=(--block --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")
    options+=(--disable-usage-stats --min-worker-port=0 --max-worker-port=0)
    if [ "$SLURM_NODEID" = 0 ]; then
        exec ray start --head --node-ip-address="$1" --port="$2" --include-dashboard=false "${options[@]}"
    fi
    until (exec 3<> "/dev/tcp/$1/$2") 2> /dev/null; do sleep 1; done
    exec ray start --address="$1:$2" "${options[@]}"
}
export -f start_node

all_nodes_are_there() {
    python -P - "$1" "$SLURM_NNODES" << 'PYTHON'
import sys
import time

import ray

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
end = time.monotonic() + 300
while (found := sum(node["Alive"] for node in ray.nodes())) < int(sys.argv[2]) and time.monotonic() < end:
    time.sleep(1)
print(f"{found} of {sys.argv[2]} nodes", flush=True)
PYTHON
}

search= stopped=
stop() {
    stopped=1
    if [ -n "$search" ]; then kill -TERM "$search" 2> /dev/null || true; fi
}
trap stop TERM INT

srun --ntasks="$SLURM_NNODES" --ntasks-per-node=1 --kill-on-bad-exit=0 bash -c 'start_node "$@"' node "$head" "$port" &
nodes=$!
end_nodes() {
    kill -TERM "$nodes" 2> /dev/null || true
    wait "$nodes" 2> /dev/null || true
    rm -rf "$RAY_TMPDIR"
}
trap end_nodes EXIT

until (exec 3<> "/dev/tcp/$head/$port") 2> /dev/null; do
    kill -0 "$nodes" 2> /dev/null || { echo "Ray did not start on the first node" >&2; exit 1; }
    sleep 1
done
all_nodes_are_there "$head:$port"

if [ -z "$stopped" ]; then
    xa-search run "$@" --address "$head:$port" &
    search=$!
    # A signal ends the waiting, not the search: that takes a moment to put everything down.
    while :; do
        code=0
        wait "$search" || code=$?
        kill -0 "$search" 2> /dev/null || break
    done
else
    code=75
fi
# 75: stopped, resumable. Where SLURM asked for it, before the time was up, the job goes on in a new one.
if [ "$code" = 75 ] && [ -n "$stopped" ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
