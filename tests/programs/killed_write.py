"""Be killed while writing a file: killed_write.py PATH"""

import os
import signal
import sys

from multistyle.files import atomic_write

with atomic_write(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
