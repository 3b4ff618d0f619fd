"""Facebook's Graph: log-in, Pages and the Instagram accounts behind them. As `graph.py` for Instagram's hosts."""

from dataclasses import dataclass

from app.clients.graph_call import GraphHost


@dataclass(kw_only=True)
class Facebook(GraphHost):
    """graph.facebook.com, and the host where its users log in."""

    www_url: str
    with_proof: bool = True
