"""What a stopping gateway waits for."""

import time

from running_desk import RunningDesk, ask
from wire import Providers, eventually

#: Well below what a desk lets wait for one caller before it stops reading the provider.
PIECE = 16 * 1024


def test_the_end_of_a_reply_that_its_caller_has_not_taken_is_waited_for(
    desk: RunningDesk, providers: Providers
) -> None:
    """The exchange is over and its row written, but some of the reply is still in this process."""
    caller = desk.dial(receive_buffer=4096)
    caller.send(ask("/v1/messages", body=b'{"model":"claude-opus-4-8"}'))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def waiting() -> int:
        return sum(one._transport.get_write_buffer_size() for one in desk.desk.callers)

    sent = 0
    while not desk.call(waiting):  # until the kernel takes no more
        provider.send(b"%x\r\n%b\r\n" % (PIECE, b"x" * PIECE))
        sent += PIECE
    provider.send(b"0\r\n\r\n")
    desk.closed_row()
    drained = desk.begin(desk.desk.drain(30))
    eventually(lambda: desk.call(lambda: desk.desk.stopping))
    time.sleep(0.3)  # several looks whether all is done
    assert not drained.done()
    reply = caller.reply()
    assert (len(reply.body), reply.cut) == (sent, False)
    drained.result(10)
