"""Properties of a stream that goes on where its connection was lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import HestiaError, StreamEvent, StreamInterrupted
from tests.support.numbered_events import RUN, numbered, place_of
from tests.support.scripted_streams import Step, SyncReader

PAYLOADS = [
    '{"type":"start"}',
    *(f'{{"type":"token","data":{{"text":{text}}}}}' for text in ('"a"', '"zwölf "', '"😀"', '"\u2028\u0085"', '""')),
    '{"type":"final","data":{"result":"done"}}',
    '{"type":"done"}',
]


class Server(SyncReader):
    """Sends the events after the `Last-Event-ID`, or from some before it on, and is cut at the next of `cuts`."""

    def __init__(self, blocks: list[bytes], cuts: list[tuple[float, int]], size: int, **options: int | bool) -> None:
        super().__init__(**options)
        self.blocks, self.cuts, self.size = blocks, cuts, size
        self.delivered: list[StreamEvent] = []

    def _step(self, *, head: bool = False) -> Step:
        if not head:
            return super()._step()
        place = place_of(self.sends[-1].request.headers.get("Last-Event-ID"))
        assert place in (0, len(self.delivered))
        cut, back = self.cuts.pop(0) if self.cuts else (1.0, 0)
        data = b"".join(self.blocks[max(0, place - back) :])
        data = data[: int(cut * len(data))]
        self.script = [*(data[at : at + self.size] for at in range(0, len(data), self.size)), b""]
        return 200


@given(
    st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 3)), max_size=3),
    st.sampled_from([1, 3, 50, 100_000]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_each_event_comes_once_and_in_order_wherever_the_connection_is_lost(
    cuts: list[tuple[float, int]], size: int, end: str
) -> None:
    """Up to three times in one stream, between and inside events, and whether or not the server repeats some. A stream
    that is interrupted all the same has lost its connection before its first event."""
    server = Server(numbered(PAYLOADS, end=end), list(cuts), size, resume=True, retries=3)
    error: HestiaError | None = None
    try:
        for event in server:
            server.delivered.append(event)
    except HestiaError as raised:
        error = raised
    whole = SyncReader(b"".join(numbered(PAYLOADS)), b"")
    expected = list(whole)
    if error is None:
        assert server.delivered == expected
        assert (server.text, server.final) == (whole.text, whole.final)
    else:
        assert isinstance(error, StreamInterrupted)
        assert server.delivered == []
        assert len(server.sends) == 1
    assert len({send.request.headers["Idempotency-Key"] for send in server.sends}) == 1


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_every_cutting_of_a_stream_in_two_is_the_whole_stream(cut: int, size: int) -> None:
    """The last id that is sent is that of the last event that was delivered."""
    blocks = numbered(PAYLOADS)
    data = b"".join(blocks)
    at = len(blocks[0]) + cut % (len(data) - len(blocks[0]))
    pieces = [data[place : min(place + size, at)] for place in range(0, at, size)]

    class Cut(SyncReader):
        def _step(self, *, head: bool = False) -> Step:
            if head and len(self.sends) == 2:
                place = place_of(self.sends[-1].request.headers.get("Last-Event-ID"))
                self.script = [b"".join(blocks[place:]), b""]
            step: Step = super()._step(head=head)
            return step

    reader = Cut(*pieces, b"", resume=True)
    numbers = [number for number, _ in enumerate(reader)]
    assert numbers == list(range(len(PAYLOADS)))
    if len(reader.sends) == 2:
        assert reader.sends[1].request.headers["Last-Event-ID"].startswith(f"{RUN}/")
