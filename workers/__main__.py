"""`python -m workers`."""

import asyncio
import sys

from app.libraries import check_libraries
from app.services.vault.ring import BadRing
from app.settings import WorkerSettings, load
from workers.main import main

check_libraries()
try:
    asyncio.run(main(load(WorkerSettings)))
except BadRing as problem:
    print(f"{problem}.", file=sys.stderr)
    sys.exit(2)
