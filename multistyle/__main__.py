"""python -m multistyle: the command, for where its script is not on the path."""

from .cli import main

main()
