"""A trial on several GPUs of a node. In: a TrialJob and how to train it. Out: the reports of its first process.

Each process has a part of every batch, its losses weighted as that part's share of the whole: sums are what one process
would have had. Where a trial has one process, everything here does nothing.

Each process has one GPU; without any they train on the CPU. This process trains nothing: it hears of every end, so that
a process that dies ends the trial at once, where the others would wait for it in vain.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil
import torch
from torch import distributed, nn

from xa_search.encoding.private_folders import private_folder
from xa_search.errors import LostProcessError
from xa_search.records import EpochReport, TrialJob
from xa_search.training.objective import LossTerms

Train = Callable[[TrialJob], Iterator[EpochReport]]
LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = timedelta(days=7)
"""The others wait while the first evaluates; that one of them died, this process notices."""
ECHO_SECONDS = 1.0


def own_part() -> tuple[int, int]:
    """Return the number of this process among those of its trial, and how many they are."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


@contextmanager
def leader_first() -> Iterator[None]:
    """Let the first process go ahead, so that what it measures or writes is there for the others."""
    number, count = own_part()
    if count > 1 and number > 0:
        distributed.barrier()
    yield
    if count > 1 and number == 0:
        distributed.barrier()


def take_leaders_weights(model: nn.Module) -> None:
    """Begin with the weights of the first process."""
    if own_part()[1] > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)


class SharedSums:
    """Adds up the gradients and loss terms of all processes of a trial, in one all-reduce a step.

    Which parameters have a gradient in any of them, all are asked once for steps with pairs and once for those without:
    nothing else of a step decides it. The others keep none.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._learning: dict[bool, list[nn.Parameter]] = {}

    def add_up(self, losses: LossTerms, *, with_pairs: bool) -> LossTerms:
        """Give each parameter the sum of its gradients; return the sums of the loss terms."""
        if own_part()[1] == 1:
            return losses
        if with_pairs not in self._learning:
            self._learning[with_pairs] = self._with_gradient_anywhere()
        learning = self._learning[with_pairs]
        own = [torch.zeros_like(one) if one.grad is None else one.grad for one in learning]
        flat = torch.cat([*(one.flatten() for one in own), torch.stack([losses.total, *losses.terms.values()])])
        distributed.all_reduce(flat)
        *sums, values = torch.split(flat, [*(one.numel() for one in own), 1 + len(losses.terms)])
        for parameter, gradient in zip(learning, sums, strict=True):
            parameter.grad = gradient.view_as(parameter)
        total, *terms = values.unbind()
        return LossTerms(total=total, terms=dict(zip(losses.terms, terms, strict=True)))

    def _with_gradient_anywhere(self) -> list[nn.Parameter]:
        found = torch.tensor([one.grad is not None for one in self._parameters], dtype=torch.int32)
        found = found.to(self._parameters[0].device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return [one for one, learns in zip(self._parameters, found.tolist(), strict=True) if learns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The error that ended a process, and when, by the clock of its node."""

    when: float
    error: Exception


def train_in_processes(job: TrialJob, train: Train) -> Iterator[EpochReport]:
    """Train in the job's number of processes. Raises what one of them raised, LostProcessError when one is killed."""
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    with private_folder() as folder:
        try:
            for rank in range(job.processes):
                here, there = context.Pipe()
                arguments = (rank, job, train, folder / "meeting", there)
                process = context.Process(target=_train_as, args=arguments, daemon=True)
                process.start()
                there.close()
                processes.append(process)
                pipes.append(here)
            yield from _reports(pipes)
        finally:
            for process in processes:
                process.kill()
                process.join()


def _reports(pipes: list[Connection]) -> Iterator[EpochReport]:
    """Yield the reports of the first process, which goes on when the next is asked for, until all have ended."""
    running = list(pipes)
    while running:
        for pipe in wait(running):
            assert isinstance(pipe, Connection)
            message = _message(pipe, pipes)
            if isinstance(message, Ended):
                raise _first(message, [one for one in running if one is not pipe], pipes).error
            if message is None:
                running.remove(pipe)
            else:
                yield message
                pipe.send(None)


def _message(pipe: Connection, pipes: list[Connection]) -> EpochReport | Ended | None:
    try:
        message: EpochReport | Ended | None = pipe.recv()
    except EOFError:
        place = f"process {pipes.index(pipe) + 1} of {len(pipes)} of the trial"
        return Ended(when=0.0, error=LostProcessError(f"{place} was killed; look at that node's memory"))
    return message


def _first(ended: Ended, others: list[Connection], pipes: list[Connection]) -> Ended:
    """Return the error that came first: where one process ends, the others fail to reach it."""
    found, deadline = [ended], time.monotonic() + ECHO_SECONDS
    while others and (left := deadline - time.monotonic()) > 0:
        for pipe in wait(others, left):
            assert isinstance(pipe, Connection)
            others.remove(pipe)
            if isinstance(message := _message(pipe, pipes), Ended):
                found.append(message)
    return min(found, key=lambda one: one.when)


def _train_as(rank: int, job: TrialJob, train: Train, meeting: Path, pipe: Connection) -> None:
    """Be one of a trial's processes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        meet(rank, job.processes, meeting)
        for report in train(job):
            if rank == 0:
                pipe.send(report)
                pipe.recv()
        pipe.send(None)
    except Exception as error:
        error.add_note(traceback.format_exc())
        with suppress(OSError):
            try:
                pipe.send(Ended(when=time.time(), error=error))
            except (TypeError, AttributeError, ValueError, pickle.PicklingError):
                text = f"{type(error).__name__}: {error}"
                pipe.send(Ended(when=time.time(), error=RuntimeError(text)))


def meet(rank: int, count: int, meeting: Path) -> None:
    """Join the group of a trial's processes, which find each other by the file `meeting`."""
    # They are processes of one machine, and ask for no password: nobody else is to reach them.
    os.environ.update(dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), loopback_interface()))
    on_gpus = torch.cuda.device_count() >= count
    if on_gpus:
        torch.cuda.set_device(rank)
    distributed.init_process_group(
        "nccl" if on_gpus else "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=count,
        timeout=TIMEOUT_SECONDS,
    )


def loopback_interface() -> str:
    """Return the name of the network interface that only this machine reaches: lo on Linux, lo0 on macOS."""
    return next(name for name, found in psutil.net_if_addrs().items() if any(one.address == LOOPBACK for one in found))


def _end_with_parent() -> None:
    """A parent that was killed cannot end its children, and they may be waiting for each other."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
