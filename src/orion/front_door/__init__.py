"""A front door: Caddy before the jobs that have a host name. It runs in a container of a system job, beside Caddy,
and knows the cluster by its API alone (docs/design/front_door.md).
"""
