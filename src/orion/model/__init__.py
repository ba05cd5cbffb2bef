"""Values that every floor speaks of: ids, resources, jobs, allocations, nodes, errors. No behaviour
beyond what the value itself implies.
"""
