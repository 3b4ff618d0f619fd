"""`python -m tools.data_flow`: write `docs/data-flow.md` anew from the data map, to standard output."""

import sys

from app.services.processing.diagram import page

sys.stdout.write(page())
