"""Problems of the storage of development (`app/storage_routes.py`), where S3 would answer: no part of the contract."""

from app.errors import Problem


class UploadSizeRefused(Problem):
    """What was uploaded is empty, or larger than it was said to be."""

    status, code, title = 400, "upload_size_refused", "The file is empty or too large"


class InvalidUpload(Problem):
    """An upload without a file, with other fields than those that we gave, or not as a form."""

    status, code, title = 400, "invalid_upload", "Send the fields as they were given, and last the file"


class UploadRefused(Problem):
    """An upload that we did not sign, or that has ended: which of them is not told."""

    status, code, title = 403, "upload_refused", "This form was not given like this, or has ended"


class LinkRefused(Problem):
    """A link to a file that we did not sign, or that has ended: which of them is not told."""

    status, code, title = 403, "link_refused", "This link was not given like this, or has ended"
