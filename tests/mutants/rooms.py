"""Mutations of the rooms of node/, and of what they decide by."""

from mutants.runner import Mutant

ROOMS = (
    Mutant(
        "a retried status never overwrites a newer one",
        "src/orion/node/agent/status_updates.py",
        "self._pending = batch | self._pending",
        "self._pending = self._pending | batch",
        ("unit/node/test_status_updates.py::test_a_retried_status_never_overwrites_a_newer_one",),
    ),
    Mutant(
        "assignments never go back",
        "src/orion/node/agent/assignments.py",
        "if self.latest is None or work.index >= self.latest.index:",
        "if True:",
        ("unit/node/test_assignments.py::test_work_never_goes_back",),
    ),
    Mutant(
        "attempts are forgotten with their allocation",
        "src/orion/node/agent/reconciler.py",
        "self._attempts = {a: t for a, t in self._attempts.items() if a in assigned}",
        "pass",
        ("unit/node/test_agent.py::test_what_is_known_of_an_allocation_goes_with_it",),
    ),
    Mutant(
        "what no event told is seen by the next look at all",
        "src/orion/node/agent/agent.py",
        "RESYNC_S = 10.0",
        "RESYNC_S = 1e9",
        ("unit/node/test_agent.py::test_what_the_event_stream_did_not_tell_is_seen_by_the_next_look_at_all",),
    ),
    Mutant(
        "a report that state does not show is made again",
        "src/orion/node/agent/reports.py",
        "if told is not None and says_it and now < told.at_ms + TELL_AGAIN_MS:",
        "if told is not None and says_it:",
        ("unit/node/test_agent.py::test_a_report_that_state_does_not_show_is_made_again",),
    ),
    Mutant(
        "an address that gossip does not know is the state's",
        "src/orion/node/membership/directory.py",
        "return known.peer_address if known else None",
        "return None",
        ("unit/node/test_directory.py::test_an_address_is_gossip_s_first_and_else_that_of_the_state",),
    ),
    Mutant(
        "a member is not removed by an older answer",
        "src/orion/node/membership/removed_member.py",
        "return newer and not driver",
        "return not driver",
        ("unit/node/test_removed_member.py::test_it_is_a_member_still_by_any_other_answer",),
    ),
    Mutant(
        "who follows is told that events were forgotten",
        "src/orion/node/consensus/applied.py",
        "forgotten = self._forgotten and EVERYTHING < position < oldest",
        "forgotten = False",
        ("unit/node/test_applied_watch.py::test_a_follower_is_told_that_events_past_its_position_were_forgotten",),
    ),
    Mutant(
        "entries that wait to be applied have a bound",
        "src/orion/node/consensus/applier.py",
        "while len(self._waiting) >= MAX_UNAPPLIED_ENTRIES:",
        "while False:",
        ("unit/node/test_applier.py::test_no_more_than_a_bound_of_entries_wait_to_be_applied",),
    ),
    Mutant(
        "a leader that gossip calls alive is not taken for dead",
        "src/orion/node/membership/gossip_watch.py",
        "if leader is None or leader.member.state is MemberState.ALIVE:",
        "if leader is None:",
        (
            "unit/node/test_gossip_watch.py::test_a_leader_that_gossip_calls_alive_is_neither_asked_nor_taken_for_dead",
        ),
    ),
    Mutant(
        "a leader that hears nobody takes nobody for dead",
        "src/orion/node/membership/liveness.py",
        "if not self._hears_others(doubt.raft_id):",
        "if False:",
        ("unit/node/test_liveness.py::test_a_suspects_silence",),
    ),
    Mutant(
        "the end of a former run is none of this one",
        "src/orion/node/leader/node_health.py",
        "elif self._past_runs.get(node) == seen.member.epoch:",
        "elif False:",
        ("unit/node/test_node_health.py::test_the_end_of_a_former_run_says_nothing_about_a_node_that_came_back",),
    ),
    Mutant(
        "figures say who leads",
        "src/orion/node/consensus/figures.py",
        "status.role is Role.LEADER",
        "True",
        ("unit/node/test_metrics.py::test_raft_figures_are_those_of_the_core_and_the_log",),
    ),
    Mutant(
        "no voters without a quorum that the leader hears",
        "src/orion/reconcile/voters.py",
        "return heard > len(group) // 2",
        "return True",
        ("unit/reconcile/test_voters.py::test_a_removed_voter_that_answers_stays_while_others_do_not",),
    ),
)
