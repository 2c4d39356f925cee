"""Run `train` with a line of progress after every step: every_step.py ARGUMENTS"""

import runpy

import train.progress

train.progress.SECONDS = 0.0
runpy.run_module("train", run_name="__main__")
