"""Remove what killed programs left in a folder and in those in it: remove_stale.py FOLDER"""

import sys

from multistyle.files import remove_stale

remove_stale(sys.argv[1], nested=True)
