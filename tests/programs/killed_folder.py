"""Paint a folder until the process is killed: killed_folder.py WEIGHTS SOURCE TARGET RENAMES

It dies at the worst moment: when the file of that number is written, but not renamed yet.
"""

import os
import signal
import sys
from pathlib import Path

from multistyle.folder import paint_folder
from multistyle.folder_plan import plan_folder
from multistyle.stylizer import load_stylizer

weights, source, target, left = *sys.argv[1:4], int(sys.argv[4])
replace = Path.replace


def dying(path, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)


Path.replace = dying
list(paint_folder(load_stylizer(weights, "cpu"), plan_folder(source, target), seed=3))
