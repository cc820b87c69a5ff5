"""The faults in searches that were found, each with the command that shows how it is now. In: nothing. Out: the rows.

A row is the number that the fault had when it was found. Where one command of the program shows it, that is the
command; where it takes a killed process, a slow server or a terminal, it is the test that makes these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DRY = ("run", "mtop-mini", "--dry-run")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault: what it was, and what shows that it is no more. In the command, HOME stands for a new folder.

    Without a command of the program the command is the test's.
    """

    row: str
    what: str
    test: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    says: str = ""
    """What stands in the lines that tell it; none: the last ones do."""


CASES = (
    Case(
        row="S1",
        what="a local search's Ray listened on all interfaces and asked for no token",
        test="tests/search/test_open_ports.py::test_a_stranger_is_refused_by_every_port_of_a_local_ray",
    ),
    Case(
        row="S2",
        what="two homes on one MLflow counted as one search",
        test="tests/tracking/test_books.py::test_two_homes_on_one_mlflow_are_two_searches",
    ),
    Case(
        row="S3",
        what="a bug in the alignment path made zero-shot the champion",
        test="tests/search/test_ends.py::test_a_bug_in_what_aligns_leaves_no_winner",
    ),
    Case(
        row="S4",
        what="a failed baseline made the winner its own baseline",
        test=(
            "tests/search/test_search_study.py::test_a_failed_baseline_has_a_second_chance_at_once_that_is_not_charged"
        ),
    ),
    Case(
        row="S5",
        what="a used-up budget ended with no winner, report or model",
        test="tests/search/test_ends.py::test_a_used_up_budget_is_concluded_once_an_aligned_trial_is_complete",
    ),
    Case(
        row="S6",
        what="tests, inspection and the check of the bundle ran in the driver",
        test="tests/workflows/test_end_on_nodes.py::test_a_head_without_gpus_runs_nothing_of_the_end",
    ),
    Case(
        row="S7",
        what="on 40 slots TPE made none of 40 proposals",
        test="tests/search/test_concurrency.py::test_forty_slots_leave_most_proposals_to_the_sampler",
        command=(*DRY, "--trials", "40"),
        says="at a time",
    ),
    Case(
        row="S8",
        what="settings that a method does not read made trials different",
        test="tests/search/test_conditions.py::test_no_two_trials_differ_only_in_what_their_method_does_not_read",
    ),
    Case(
        row="S9",
        what="TPE learned the zero-shot baseline as an aligned trial",
        test="tests/search/test_conditions.py::test_the_baseline_is_no_aligned_trial_for_the_sampler",
    ),
    Case(
        row="S10",
        what="no memory in scheduling; a kill by Ray counted as the setting's fault",
        test="tests/search/test_trial_failures.py::test_lost_workers_are_classified_by_rays_words",
    ),
    Case(
        row="S11",
        what="three lost trials stopped a search, with 50 good ones between",
        test="tests/search/test_hopeless.py::test_a_search_gives_up_when_going_on_cannot_help",
    ),
    Case(
        row="S12",
        what="the champion was taken by a point comparison",
        test="tests/tracking/test_registry.py::test_the_champion_moves_only_to_a_better_version",
    ),
    Case(
        row="S13",
        what="a person's tag on a version broke models, predict, promote, run",
        test="tests/tracking/test_registry.py::test_what_a_person_put_into_the_registry_is_left_alone",
    ),
    Case(
        row="S14",
        what="`ui` with an MLflow server failed; a password stood in the process list",
        test="tests/cli/test_options.py::test_the_page_of_a_server_is_printed_without_its_password",
    ),
    Case(
        row="S15",
        what="`--cluster` dropped MLFLOW_TRACKING_URI; SQLite lay on network file systems",
        test="tests/cluster/test_job.py::test_the_job_logs_to_the_mlflow_of_who_submits_it",
    ),
    Case(
        row="S16",
        what="40 trials on 24 rows cut off what runs, what failed and the time left",
        test="tests/cli/test_display.py::test_two_hundred_trials_on_twenty_four_lines",
    ),
    Case(
        row="S17",
        what="a container of 2 CPUs on a host of 128 asked for 376 GB of disk",
        test="tests/search/test_concurrency.py::test_a_container_counts_its_own_cpus",
    ),
    Case(
        row="S18",
        what="a torn checkpoint was a code error, charged; then it was a silent restart",
        test="tests/training/test_torn_files.py::test_a_trial_that_begins_again_says_which_file_was_torn",
    ),
    Case(
        row="S19",
        what="doctor and rehearse read /proc",
        test="tests/test_portable.py::test_no_module_names_what_linux_alone_has_unguarded",
    ),
    Case(
        row="S20",
        what="a slow tracker held the scheduler",
        test="tests/tracking/test_books.py::test_who_records_an_event_does_not_wait_for_mlflow",
    ),
    Case(
        row="S21",
        what="each rerun of a finished search added points to curves",
        test="tests/tracking/test_books.py::test_a_finished_search_that_is_run_again_tells_nothing",
    ),
    Case(
        row="S22",
        what="the code's identity was version 0.1.0 for ever",
        test="tests/search/test_identity.py::test_other_code_is_told_and_bars_nobody",
    ),
    Case(
        row="S23",
        what="a lock named a process without its machine",
        test="tests/encoding/test_locks.py::test_a_lock_file_says_host_process_and_when_that_started",
    ),
    Case(
        row="S24",
        what="a home that was moved or copied: models were not found, and the old place was written to",
        test="tests/tracking/test_moved_home.py::test_a_moved_home_reads_and_writes_where_it_lies",
    ),
    Case(
        row="S25",
        what="a `datasets.py` in the current folder was run in place of the library",
        test="tests/workflows/test_safe_path.py::test_the_program_as_a_module_does_not_import_from_the_current_folder",
    ),
    Case(
        row="S26",
        what="no HOME and no passwd entry: a traceback although XA_SEARCH_HOME was set",
        test="tests/cli/test_options.py::test_a_home_that_nobody_has_is_asked_for_only_where_it_is_needed",
        command=("status",),
        environment={"HOME": None},
    ),
    Case(
        row="S27",
        what="homes named `a%20b` or `what?` were unreadable, or a database was written elsewhere",
        test="tests/tracking/test_moved_home.py::test_a_home_may_have_any_name",
        command=("status", "--home", "HOME/a%20b what?"),
    ),
    Case(
        row="S28",
        what="the first epoch of a size that nobody timed had no limit",
        test="tests/search/test_watchdog.py::test_every_epoch_has_a_limit_also_the_first_of_a_size_that_nobody_timed",
    ),
    Case(
        row="S29",
        what="`--new` on a finished search began nothing",
        test="tests/search/test_identity.py::test_new_on_a_search_that_is_over_begins_another",
    ),
    Case(
        row="S30",
        what="four survivors of ASHA told what mattered",
        test="tests/search/test_search_study.py::test_importances_count_early_stopped_trials_and_need_ten",
    ),
)
