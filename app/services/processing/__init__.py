"""The record of processing, the retention list and the diagram: made from the data map and `app/models/stores.py`."""
