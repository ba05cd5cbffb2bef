"""The only code that touches the outside. Each adapter fulfils one port; they do not know each other."""
