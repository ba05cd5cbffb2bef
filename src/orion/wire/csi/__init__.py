"""Messages of the Container Storage Interface. Importing this package loads no protobuf: its files do."""
