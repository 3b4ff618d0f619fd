"""Meta's webhooks on their way in: the signature, the changes of a body, and the inbox they wait in."""
