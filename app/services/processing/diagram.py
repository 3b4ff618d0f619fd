"""Which data go where, as a diagram in Mermaid's language: `docs/data-flow.md` is made of it."""

from app.models.processing import ACTIVITIES, HOSTS
from app.models.stores import FILE_PREFIXES, RECIPIENTS, REDIS_KEYS

SOURCES = {"people": "People who work with SoundOps", "fans": "Fans"}
NAMES = SOURCES | {one.id: one.name for one in RECIPIENTS}


def diagram() -> str:
    """The diagram, the same for the same map."""
    lines = ["flowchart LR"]
    used = dict.fromkeys(name for one in ACTIVITIES for name in (*one.sources, *one.recipients))
    lines += [f'  {name}(["{NAMES[name]}"])' for name in used]
    for one in ACTIVITIES:
        personal = dict.fromkeys(kept.personal for kept in one.collections if kept.personal != "none")
        lines.append(f'  subgraph act_{one.id}["{one.name}"]')
        kept = ", ".join(collection.name for collection in one.collections)
        lines.append(f'    db_{one.id}[("{kept}<br/><i>{", ".join(personal) or "nothing personal"}</i>")]')
        lines.append("  end")
        lines += [f"  {source} --> db_{one.id}" for source in one.sources]
        lines += [f"  db_{one.id} --> {recipient}" for recipient in one.recipients]
    prefixes = ", ".join(one.prefix for one in FILE_PREFIXES)
    lines.append(f'  files[("Storage: {prefixes}")]')
    lines += ["  db_publishing --> files", "  db_privacy --> files"]
    lines.append(f'  redis[("Redis: {len(REDIS_KEYS)} forms of keys; ids, no content")]')
    lines.append("  db_running --> redis")
    runs = ", ".join(NAMES[host] for host in HOSTS)
    lines.append(f'  hosts[["Who runs machines, where they are not our own: {runs}"]]')
    lines.append("  db_running -.- hosts")
    lines.append("  files -.- hosts")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The document that holds it."""
    return (
        "# Which data go where\n\n"
        "Made from the data map and `app/models/stores.py` by `python -m tools.data_flow`; a test compares. The same "
        "as lists: `GET /v1/privacy/record-of-processing`, `GET /v1/privacy/retention`.\n\n"
        f"```mermaid\n{diagram()}```\n"
    )
