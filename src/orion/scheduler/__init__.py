"""Scheduling: (view, jobs) -> Plan, with an explanation for what it could not place.

**Invariant:** pure and deterministic: equal views give equal plans. Ties are broken by the job's name and the
node's number. Nothing here changes state: a plan is only a proposal, and `apply` checks it again.

`pools` filters nodes by status and labels, `demand` by resources and ports. `choose` picks among those that fit: it
spreads the tasks of one job, then takes the least loaded node or the fullest. `explain` says why no node fits.
"""
