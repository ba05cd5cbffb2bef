"""The running node: drivers that own runners and the order of effects. Written against ports/, so that the
simulator runs these very modules on a virtual clock, disk, network and engine.
"""
