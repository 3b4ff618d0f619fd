"""The live stream of a label's events: who may hear what, and how one reader a process serves many listeners."""
