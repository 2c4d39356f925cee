"""Print whether the modules named on the command line import PyAV."""

import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(name)
print("av" in sys.modules)
