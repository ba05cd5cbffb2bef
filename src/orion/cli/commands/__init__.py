"""The commands, a file for each or for a group of them, loaded only when used."""
