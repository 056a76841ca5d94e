"""The command `keras-showattend`: `main` finds the command, each other command has a file."""
