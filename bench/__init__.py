"""Our hot paths beside bare handlers that do only what cannot be left out: `python -m bench` (`make bench`)."""
