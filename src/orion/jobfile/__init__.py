"""Job files: texts in TOML, YAML and JSON as requests, every fault with its file, line and column."""
