"""python -m multistyle: the command `multistyle`, for systems where it is not on the path."""

from .cli import main

main()
