"""Print the path of the shipped weight file, as the package in the folder given finds it."""

import sys

sys.path.insert(0, sys.argv[1])

from multistyle.weights import default_weights

print(default_weights())
