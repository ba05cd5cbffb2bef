"""Values that all floors share: ids, resources, jobs, allocations, nodes, errors. They have no behaviour beyond
what the value itself implies.
"""
