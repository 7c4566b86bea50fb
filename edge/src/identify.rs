//! First of all a request gets a name and a place in a trace, so that even its refusal can be found.

use goblin_shared::{
    headers::{TRACEPARENT, TRACESTATE},
    request_id::RequestId,
    trace_context::{SpanId, TraceContext, TraceFlags, TraceId, TraceParent, TraceState},
};

use crate::facts::RequestFacts;

/// Random bytes that one request needs; drawn at once, as each draw leaves WebAssembly.
pub type Entropy = [u8; 42];

/// Who this request is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id.
    pub request_id: RequestId,
    /// Span of the caller, if the request continues a trace.
    pub caller: Option<SpanId>,
    /// Trace, with the edge's SERVER span as its span.
    pub server: TraceContext,
    /// Trace, with the edge's CLIENT span as its span: what the backend gets.
    pub client: TraceContext,
}

/// Gives the request its id and continues or starts its trace.
///
/// The caller's sampled flag is not trusted: every trace is recorded here, and the Collector decides what is kept.
#[must_use]
pub fn identify(facts: &RequestFacts, unix_millis: u64, entropy: &Entropy) -> Identity {
    let incoming = TraceContext::extract(facts.header(TRACEPARENT), facts.header(TRACESTATE));
    let (server_span, client_span) = (span_id(&entropy[16..24]), span_id(&entropy[24..32]));
    let caller = incoming.as_ref().map(|context| context.parent.span_id);
    let server = match incoming {
        Some(context) => {
            let flags = TraceFlags { sampled: true, ..context.parent.flags };
            let parent = TraceParent { span_id: server_span, flags, ..context.parent };
            TraceContext { parent, state: context.state }
        }
        None => TraceContext {
            parent: TraceParent {
                trace_id: trace_id(&entropy[..16]),
                span_id: server_span,
                flags: TraceFlags { sampled: true, random: true },
            },
            state: TraceState::default(),
        },
    };
    let client = server.child(client_span);
    let mut random = [0; 10];
    random.copy_from_slice(&entropy[32..]);
    Identity { request_id: RequestId::new(unix_millis, &random), caller, server, client }
}

/// All zero is the one value that is not an id; it comes up once in 2^64 draws.
fn span_id(random: &[u8]) -> SpanId {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(random);
    SpanId::from_bytes(bytes).or_else(|| SpanId::from_bytes([1; 8])).unwrap_or_else(|| unreachable!("ones are an id"))
}

fn trace_id(random: &[u8]) -> TraceId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(random);
    TraceId::from_bytes(bytes)
        .or_else(|| TraceId::from_bytes([1; 16]))
        .unwrap_or_else(|| unreachable!("ones are an id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entropy() -> Entropy {
        std::array::from_fn(|index| u8::try_from(index + 1).unwrap())
    }

    fn facts(traceparent: Option<&str>, tracestate: Option<&str>) -> RequestFacts {
        let fields = [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        RequestFacts { fields: fields.collect(), ..RequestFacts::default() }
    }

    #[test]
    fn a_new_trace_is_sampled_and_random() {
        let identity = identify(&facts(None, Some("foo=1")), 1_000, &entropy());
        assert_eq!(identity.caller, None);
        assert_eq!(identity.server.parent.to_string(), "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-03");
        assert_eq!(identity.client.parent.to_string(), "00-0102030405060708090a0b0c0d0e0f10-191a1b1c1d1e1f20-03");
        assert!(identity.client.state.is_empty());
    }

    #[test]
    fn a_callers_trace_is_continued_but_its_sampling_is_not_trusted() {
        let parent = "00-12345678901234567890123456789012-1234567890123456-00";
        let identity = identify(&facts(Some(parent), Some("foo=1")), 1_000, &entropy());
        assert_eq!(identity.caller.unwrap().to_string(), "1234567890123456");
        assert_eq!(identity.server.parent.to_string(), "00-12345678901234567890123456789012-1112131415161718-01");
        assert_eq!(identity.client.state.to_string(), "foo=1");
    }

    #[test]
    fn zeros_still_give_ids() {
        let identity = identify(&facts(None, None), 1_000, &[0; 42]);
        assert_eq!(identity.server.parent.span_id.to_string(), "0101010101010101");
    }
}
