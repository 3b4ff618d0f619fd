"""`python -m tools.openapi`: the contract to standard output, as `openapi.json` holds it."""

import sys

from app.contract import document
from app.main import create_routes

if __name__ == "__main__":
    sys.stdout.buffer.write(document(create_routes()))
