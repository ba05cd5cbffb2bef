"""The deterministic simulator: whole nodes on a virtual clock, disk, network, gossip and container engine, all in
one process and all from one seed. docs/design/simulator.md tells how; `script/sim` runs and replays seeds.
"""
