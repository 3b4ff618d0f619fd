"""Marketing mail: only to who consents and has confirmed the address, each once a campaign, ended by one click."""
