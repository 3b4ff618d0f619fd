"""What an `Accept` header prefers (RFC 9110, section 12.5.1), among the kinds of answer that a route has."""


def wishes(accept: str, *kinds: str) -> dict[str, float]:
    """How much each of these kinds is wanted, 0 to 1; a kind that is not named is not wished for."""
    best = dict.fromkeys(kinds, 0.0)
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind in best:
            best[kind] = max(best[kind], _quality(parameters))
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
