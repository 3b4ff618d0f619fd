"""Why a file is not taken. The codes are stable; each says what to do."""

DETAILS = {
    "empty_file": "The file has no bytes. Upload it again.",
    "file_too_large": "The file is larger than it was said to be. Give its size, or a smaller file.",
    "wrong_type": "The file is not of the type that was declared: JPEG, PNG, WebP, MP4 or MOV.",
    "mixed_content": "The file is an image and something else as well. Save the image anew, and upload that.",
    "too_many_pixels": "A JPEG has at most 50 megapixels, a PNG 25, a WebP or a video 9. Make it smaller.",
    "too_small": "The picture has less than 16 pixels on a side.",
    "animated_image": "The image moves. Upload a single picture, or a video.",
    "broken_file": "The file cannot be read to its end: it is cut off or damaged.",
    "needs_too_much_memory": "The file cannot be read with the memory that one file may take. Save it anew, a JPEG not "
    "as progressive, or make it smaller.",
    "took_too_long": "The file could not be read in the time that one file may take. Save it anew, or make it smaller.",
    "unsupported_codec": "A video must be H.264 or H.265, with AAC sound or none. Convert it.",
    "no_video": "The file has no moving picture.",
    "wrong_duration": "The video is not as long as it says. Convert it anew.",
    "not_uploaded": "Nothing has arrived yet. Upload the file, and complete it again.",
    "storage_unavailable": "The storage was away for long. Complete it again.",
}


class Refused(Exception):
    """The file is not taken, and why."""

    def __init__(self, code: str) -> None:
        self.code = code if code in DETAILS else "broken_file"
        super().__init__(self.code)

    @property
    def detail(self) -> str:
        """A sentence about it, and what to do."""
        return DETAILS[self.code]
