"""The command: parse, call one function, write. One file a verb."""
