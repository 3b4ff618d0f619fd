"""What tests of exports share: asking, making, downloading, and reading what came."""

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from datetime import timedelta

import httpx

from app.clients.objects_folder import Folder
from app.db import Doc
from tests.flows.assets_harness import all_in_bucket, all_in_folder
from tests.house import PASSWORD, House
from workers import exports as export_work
from workers import jobs

MINE = "/v1/me/exports"


@dataclass
class Zip:
    """An export as it was downloaded."""

    raw: bytes
    files: dict[str, bytes]
    manifest: Doc

    def rows(self, name: str) -> list[Doc]:
        """The rows of a file of JSON Lines."""
        return [json.loads(line) for line in self.files[f"{name}.jsonl"].decode().splitlines()]

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a file of CSV."""
        return list(csv.DictReader(io.StringIO(self.files[f"{name}.csv"].decode(), newline="")))


async def work(house: House) -> None:
    """Do what is due, and no more: rules would look at what tests have planted."""
    for _ in range(3):
        await asyncio.gather(*await jobs.start_due(house.worker))
    await export_work.look_after(house.worker)


async def ask(house: House, person: httpx.AsyncClient, place: str = MINE, status: int = 202) -> Doc:
    """Ask for an export; the operation."""
    answer = await person.post(place)
    assert answer.status_code == status, answer.text
    found: Doc = answer.json()
    return found


async def made(house: House, person: httpx.AsyncClient, place: str = MINE) -> Doc:
    """Ask for an export, and have it made; the export."""
    operation = await ask(house, person, place)
    await work(house)
    found: Doc = (await person.get(f"{place}/{operation['target']}")).raise_for_status().json()
    return found


async def download(house: House, person: httpx.AsyncClient, export: Doc, place: str = MINE) -> Zip:
    """Follow a fresh link; all that is said of the file is true."""
    link = (await person.get(f"{place}/{export['id']}/download")).raise_for_status().json()
    answer = (await house.http.get(link["url"])).raise_for_status()
    raw = answer.content
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (export["bytes"], export["sha256"])
    assert answer.headers["content-length"] == str(len(raw))
    return opened(raw)


def opened(raw: bytes) -> Zip:
    """Its files, each of which is as the manifest says."""
    with zipfile.ZipFile(io.BytesIO(raw)) as zipped:
        assert zipped.testzip() is None
        files = {name: zipped.read(name) for name in zipped.namelist()}
        assert len(zipped.namelist()) == len(files)
    found = Zip(raw, files, json.loads(files.pop("manifest.json")))
    told = {file["name"]: file for one in found.manifest["collections"] for file in one["files"]}
    assert told.keys() == files.keys()
    for name, content in files.items():
        assert (told[name]["bytes"], told[name]["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    for one in found.manifest["collections"]:
        names = [field["name"] for field in one["fields"]]
        rows, table = found.rows(one["name"]), found.table(one["name"])
        assert all(list(row) == names for row in rows) and len(rows) == len(table) == one["rows"]
        assert all(list(row) == names for row in table)
    return found


async def log_in(house: House, person: httpx.AsyncClient, email: str = "owner@example.com") -> None:
    """A fresh log-in, for a session that has become old."""
    answer = (await house.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})).raise_for_status()
    person.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def later(house: House, person: httpx.AsyncClient, by: timedelta) -> None:
    """So much later, after a fresh log-in."""
    house.clock.offset += by
    await log_in(house, person)
    await work(house)


async def stored(house: House) -> list[str]:
    """Everything of exports that there is in the storage, also what was begun in parts."""
    storage = house.api.objects
    if isinstance(storage, Folder):
        found = all_in_folder(storage)
    else:
        found = await all_in_bucket(str(house.api.settings.s3_endpoint_url))
        found += await storage.parts_below("exports/")
    return [one for one in found if "exports" in one]
