"""One file for each command or group of them, loaded when it is called for."""
