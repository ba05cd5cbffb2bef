"""orion-csi-dir: a plugin of the Container Storage Interface whose volumes are directories under a root, which
several nodes may share. It runs in a process of its own, knows nothing of Orion, and is an example to begin other
plugins with (docs/design/csi.md).
"""
