"""Tables and commands in general, without knowing any.

A noun's file in `orion/state/tables` declares how its rows are kept (`Table`) and, of each command, what is wrong
with one that may not enter a log, which are copies of one, and what it does (`command`). The snapshot, the restore,
the checks, the freeing of a state and `apply` follow from that.
"""
