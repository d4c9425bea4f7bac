"""Why a file cannot be imported at all, in words for people."""


class FileError(Exception):
    """The file is no table that can be read; the text says why and where."""
