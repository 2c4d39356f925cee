"""Say more than a pipe holds, three times, and fail where the first did not arrive."""

import sys
import time

from multistyle.messages import tell

time.sleep(0.2)  # until the reader, if any, has left
arrived = [tell("x" * 100000) for _ in range(3)]
sys.exit(not arrived[0])
