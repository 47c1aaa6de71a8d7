"""The contracts hold, and the enumerations have WinRT's numbers."""

from __future__ import annotations

from enum import IntFlag

import pytest
from zope.interface.verify import verifyClass, verifyObject

from tests import surface
from winsockets import streams
from winsockets.foundation import IAsyncOperation, IAsyncOperationWithProgress, IClosable
from winsockets.streams import (
    Buffer,
    ByteOrder,
    DataReader,
    DataReaderLoadOperation,
    DataWriter,
    DataWriterStoreOperation,
    IBuffer,
    IDataReader,
    IDataWriter,
    IInputStream,
    InMemoryRandomAccessStream,
    InputStream,
    InputStreamOptions,
    IOutputStream,
    IRandomAccessStream,
    MemoryInputStream,
    OutputStream,
    StreamReader,
    StreamWriter,
    UnicodeEncoding,
)


@pytest.mark.parametrize(
    ("interface", "implementation"),
    [
        (IBuffer, Buffer),
        (IInputStream, InputStream),
        (IInputStream, MemoryInputStream),
        (IOutputStream, OutputStream),
        (IRandomAccessStream, InMemoryRandomAccessStream),
        (IDataReader, DataReader),
        (IDataWriter, DataWriter),
        (IClosable, DataReader),
        (IClosable, DataWriter),
        (IClosable, StreamReader),
        (IClosable, StreamWriter),
    ],
)
def test_each_class_keeps_the_contract_it_names(interface, implementation):
    """All methods are there, and take what the interface says."""
    assert verifyClass(interface, implementation)


def test_the_objects_have_the_attributes_too():
    """What a class cannot promise an object can."""
    assert verifyObject(IBuffer, Buffer(1))
    assert verifyObject(IRandomAccessStream, InMemoryRandomAccessStream())
    assert verifyObject(IDataReader, DataReader.from_buffer(b""))
    assert verifyObject(IDataWriter, DataWriter())


def test_operations_are_operations():
    """Loads and stores have the members of every operation, reads and writes report progress too."""
    stream = InMemoryRandomAccessStream()
    assert verifyObject(IAsyncOperation, DataReader(stream).load_async(1))
    assert verifyObject(IAsyncOperation, DataWriter(stream).store_async())
    assert isinstance(DataReader(stream).load_async(1), DataReaderLoadOperation)
    assert isinstance(DataWriter(stream).store_async(), DataWriterStoreOperation)
    assert verifyObject(IAsyncOperationWithProgress, stream.write_async(b"x"))
    assert verifyObject(IAsyncOperationWithProgress, stream.read_async(Buffer(1), 1, InputStreamOptions.NONE))


def test_numbers_are_those_of_winrt():
    """Big-endian is 1 and not 0, which matters for defaults; the options are flags."""
    assert [(member.name, int(member)) for member in ByteOrder] == [("LITTLE_ENDIAN", 0), ("BIG_ENDIAN", 1)]
    assert {member.name: int(member) for member in UnicodeEncoding} == {
        "UTF8": 0,
        "UTF16_L_E": 1,
        "UTF16_B_E": 2,
    }
    assert {name: int(value) for name, value in InputStreamOptions.__members__.items()} == {
        "NONE": 0,
        "PARTIAL": 1,
        "READ_AHEAD": 2,
    }
    assert issubclass(InputStreamOptions, IntFlag)
    assert int(InputStreamOptions.PARTIAL | InputStreamOptions.READ_AHEAD) == 3


def test_the_whole_namespace_of_winrt_is_there():
    """Every type, member and number that is recorded for Windows.Storage.Streams."""
    assert surface.measure(streams)["Windows.Storage.Streams"].missing == []
