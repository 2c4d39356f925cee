"""Print the shape of the picture at a path, in a process in which no plug-in is registered: read_shape.py PATH"""

import sys

from multistyle.image import read_image

print(tuple(read_image(sys.argv[1]).shape))
