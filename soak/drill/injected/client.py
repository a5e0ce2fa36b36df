"""Leaves one request in a study's spool, as the command does: `client.py <private folder> <verb> [trial]`."""

import sys

from secondshift.runtime.spool import put_request

put_request(sys.argv[1], sys.argv[2], {"trial": sys.argv[3]} if len(sys.argv) > 3 else {}, "soak")
