"""Real processes, real engines, real faults: see docs/design/chaos.md."""
