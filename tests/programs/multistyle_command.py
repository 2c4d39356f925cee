"""Run `multistyle` with the arguments of this program."""

from multistyle.cli import main

main()
