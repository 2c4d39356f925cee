"""Print the help of `python -m multistyle`, and fail where that has imported torch."""

import runpy
import sys

sys.argv = ["multistyle", "--help"]
try:
    runpy.run_module("multistyle", run_name="__main__")
except SystemExit as end:
    assert not end.code
assert "torch" not in sys.modules
