"""Scheduling: (view, jobs) -> Plan, with an explanation for what it could not place.

**Invariant:** pure and deterministic: equal views give equal plans; where an even choice must fall some way, it
falls by the job's name and the node's number. Nothing here changes state: a plan is only a proposal, and `apply`
checks it again.

How a node is chosen: `pools` filters by status and labels, `demand` by resources and ports, `choose` picks among
those that fit (spread the tasks of one job, then the least loaded or the fullest), `explain` says why none did.
"""
