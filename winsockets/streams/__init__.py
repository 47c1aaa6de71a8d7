"""Buffers, streams, and the readers and writers over them; no sockets here."""

from winsockets.streams._base import InputStream, OutputStream
from winsockets.streams._buffer import Buffer
from winsockets.streams._interfaces import (
    ByteOrder,
    IBuffer,
    IDataReader,
    IDataWriter,
    IInputStream,
    InputStreamOptions,
    IOutputStream,
    IRandomAccessStream,
    UnicodeEncoding,
)
from winsockets.streams._lines import StreamReader, StreamWriter
from winsockets.streams._memory import InMemoryRandomAccessStream, MemoryInputStream
from winsockets.streams._reader import DataReader, DataReaderLoadOperation
from winsockets.streams._writer import DataWriter, DataWriterStoreOperation

__all__ = [
    "Buffer",
    "ByteOrder",
    "DataReader",
    "DataReaderLoadOperation",
    "DataWriter",
    "DataWriterStoreOperation",
    "IBuffer",
    "IDataReader",
    "IDataWriter",
    "IInputStream",
    "IOutputStream",
    "IRandomAccessStream",
    "InMemoryRandomAccessStream",
    "InputStream",
    "InputStreamOptions",
    "MemoryInputStream",
    "OutputStream",
    "StreamReader",
    "StreamWriter",
    "UnicodeEncoding",
]
