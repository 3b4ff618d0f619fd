"""`python -m app`: serve the API."""

import sys

from app.libraries import check_libraries
from app.server import serve
from app.services.vault.ring import BadRing
from app.settings import ApiSettings, load

check_libraries()
settings = load(ApiSettings)
try:
    serve(settings)
except (BadRing, OSError, ValueError) as problem:
    print(f"{problem}.", file=sys.stderr)
    sys.exit(2)
