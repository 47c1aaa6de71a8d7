"""Three ways of sending many packets, each to a server that counts what arrives.

python batched_sends.py
"""

from twisted.internet.defer import gatherResults
from twisted.internet.task import react

from winsockets import StreamSocket, StreamSocketListener


def prepare_packets():
    return [bytes([number]) * 100 for number in range(100)]


async def one_packet_at_a_time(output_stream):
    # Each packet costs a system call.
    packets_to_send = prepare_packets()

    for packet in packets_to_send:
        await output_stream.write_async(packet)


async def all_tasks_together(output_stream):
    # All writes are under way before the first await.
    packets_to_send = prepare_packets()

    # A buffer belongs to its write until that has ended.
    pending_tasks = [output_stream.write_async(packet) for packet in packets_to_send]

    await gatherResults(pending_tasks)


async def one_flush(output_stream):
    # The same without a list of operations.
    packets_to_send = prepare_packets()

    for packet in packets_to_send:
        output_stream.write_async(packet)

    await output_stream.flush_async()


async def main(reactor):
    async with StreamSocketListener() as listener:
        connections = listener.connections()
        await listener.bind_endpoint_async("localhost", "0")

        for send_packets in (one_packet_at_a_time, all_tasks_together, one_flush):
            async with StreamSocket() as socket:
                await socket.connect_async("localhost", listener.information.local_port)
                await send_packets(socket.output_stream)
                socket.output_stream.close()

                async with await anext(connections) as peer:
                    arrived = b"".join([chunk async for chunk in peer.input_stream])
            assert arrived == b"".join(prepare_packets())
            print(f"{send_packets.__name__}: {len(arrived)} bytes arrived")


react(main)
