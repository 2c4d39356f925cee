"""Run `train` as one of several processes, of which the second fails in its third step: failing_process.py ARGUMENTS"""

import os
import runpy

from multistyle.errors import MultistyleError
from train.trainer import Trainer

whole = Trainer.step


def step(self, photos):
    if self.done == 2 and os.environ["RANK"] == "1":
        raise MultistyleError("this one has failed")
    return whole(self, photos)


Trainer.step = step
runpy.run_module("train", run_name="__main__")
