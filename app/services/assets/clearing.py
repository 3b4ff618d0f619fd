"""Deleting objects: of one file, and of a whole label. Each may be repeated until nothing is left."""

from app.clients.objects import Objects
from app.services.assets import keys


async def delete_of_asset(storage: Objects, label_id: str, asset_id: str) -> None:
    """Delete every object of a file, also what may still lie in quarantine. Raises `ObjectsError`."""
    await storage.delete_below(keys.of_asset(label_id, asset_id))
    await storage.delete(keys.quarantine(label_id, asset_id))


async def delete_of_label(storage: Objects, label_id: str) -> int:
    """Delete every object of a label; how many there were. Raises `ObjectsError`."""
    return sum([await storage.delete_below(prefix) for prefix in keys.of_label(label_id)])
