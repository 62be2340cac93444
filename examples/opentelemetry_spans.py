"""One OpenTelemetry span for each call, its repeats inside, that ends when the call does, a stream's with the stream.

Usage: python opentelemetry_spans.py http://localhost:8000

OpenTelemetry's own instrumentation of httpx has a span for each request, which ends at the head of its response.
"""

import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from hestiaos import CallInfo, Client, HestiaError, Hooks, RequestInfo, ResponseInfo, StreamEvent


def span_hooks(tracer: Tracer) -> Hooks:
    """What a client of any kind takes as its `hooks`."""

    def span_of(call: CallInfo) -> Span:
        if (span := call.state.get("span")) is None:
            span = call.state["span"] = tracer.start_span(f"hestiaos {call.operation}", kind=SpanKind.CLIENT)
        return span

    def on_request(call: CallInfo, request: RequestInfo) -> None:
        span_of(call).set_attributes({"http.request.method": request.method, "url.full": request.url})
        span_of(call).add_event("request", {"http.request.resend_count": call.attempt})

    def on_response(call: CallInfo, response: ResponseInfo) -> None:
        span_of(call).set_attribute("http.response.status_code", response.status)
        span_of(call).add_event("response", {"http.response.status_code": response.status})

    def on_retry(call: CallInfo, error: HestiaError, wait: float) -> None:
        span_of(call).add_event("retry", {"error.type": type(error).__name__, "hestiaos.wait": wait})

    def on_stream_event(call: CallInfo, event: StreamEvent) -> None:
        if call.state.setdefault(event.type, event) is event:  # of tokens the first: a span holds 128 events
            span_of(call).add_event(event.type)

    def on_call_end(call: CallInfo, error: BaseException | None) -> None:
        if error is not None:
            span_of(call).set_attribute("error.type", type(error).__name__)
            span_of(call).set_status(StatusCode.ERROR, str(error))
        span_of(call).end()

    return Hooks(
        on_request=on_request,
        on_response=on_response,
        on_retry=on_retry,
        on_stream_event=on_stream_event,
        on_call_end=on_call_end,
    )


if __name__ == "__main__":
    url = sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    with Client(url, hooks=span_hooks(provider.get_tracer("example"))) as client:
        list(client.run_stream("create a report"))
