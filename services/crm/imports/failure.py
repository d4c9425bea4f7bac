"""Why a file cannot be imported at all, in words for people."""


class FileError(Exception):
    """The file is no table that can be read; the text says why and where."""


class EncodingError(FileError):
    """The file is not of the encoding that somebody said; the text says where that shows."""
