"""Problems of exports."""

from app.errors import Problem


class ExportRunning(Problem):
    """Of one person or label one export is made at a time."""

    status, code, title = 409, "export_running", "An export is being made already"


class ExportNotReady(Problem):
    """The export is being made, or could not be made."""

    status, code, title = 409, "export_not_ready", "This export cannot be downloaded now"


class ExportExpired(Problem):
    """The file was deleted, when its time was over or by accident, or nothing opens it any more."""

    status, code, title = 410, "export_expired", "This export has ended: ask for another one"
