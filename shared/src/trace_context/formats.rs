//! Which forms of trace contexts are read and written: `OTEL_PROPAGATORS`.

use super::{TraceContext, TraceParent, b3};
use crate::headers::{BAGGAGE, TRACEPARENT, TRACESTATE};

/// One form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `traceparent` and `tracestate`.
    TraceContext,
    /// `baggage`, which says nothing of traces.
    Baggage,
    /// `b3`.
    B3,
    /// `x-b3-…`.
    B3Multi,
}

/// What is not the name of a form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `tracecontext`, `baggage`, `b3` or `b3multi`, several with commas between, or `none`")]
pub struct UnknownFormat;

/// Forms in their order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats(Vec<Format>);

/// `tracecontext,baggage`
impl Default for Formats {
    fn default() -> Self {
        Self(vec![Format::TraceContext, Format::Baggage])
    }
}

impl Formats {
    /// Reads names with commas between; what is there twice counts once.
    pub fn parse(names: &str) -> Result<Self, UnknownFormat> {
        if names.trim() == "none" {
            return Ok(Self(Vec::new()));
        }
        let mut formats = Vec::new();
        for name in names.split(',') {
            let format = match name.trim() {
                "tracecontext" => Format::TraceContext,
                "baggage" => Format::Baggage,
                "b3" => Format::B3,
                "b3multi" => Format::B3Multi,
                _ => return Err(UnknownFormat),
            };
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Ok(Self(formats))
    }

    /// Whether `baggage` is handed on.
    #[must_use]
    pub fn hand_on_baggage(&self) -> bool {
        self.0.contains(&Format::Baggage)
    }

    /// The context of a request, from `fields`, which gives all occurrences of a field in order. Where several forms are
    /// there, the last in the order counts, as with OpenTelemetry's composite propagators.
    #[must_use]
    pub fn extract<'a, I>(&self, fields: impl Fn(&'static str) -> I) -> Option<TraceContext>
    where
        I: IntoIterator<Item = &'a str>,
    {
        // A field that is there twice says nothing.
        let one = |name| {
            let mut values = fields(name).into_iter();
            values.next().filter(|_| values.next().is_none())
        };
        let read = |format: &Format| match format {
            Format::TraceContext => TraceContext::extract(fields(TRACEPARENT), fields(TRACESTATE)),
            Format::Baggage => None,
            // Both forms are read, whichever is written, the single one first:
            // <https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-extract>.
            Format::B3 | Format::B3Multi => one(b3::B3)
                .and_then(b3::read_single)
                .or_else(|| b3::read_multi(one(b3::TRACE_ID), one(b3::SPAN_ID), one(b3::SAMPLED), one(b3::FLAGS))),
        };
        self.0.iter().rev().find_map(read)
    }

    /// The fields that name `parent` in each form. `tracestate` and `baggage` are not among them: they say more than that,
    /// and whom they may be told is not known here.
    #[must_use]
    pub fn inject(&self, parent: &TraceParent) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        for format in &self.0 {
            match format {
                Format::TraceContext => fields.push((TRACEPARENT, parent.to_string())),
                Format::Baggage => {}
                Format::B3 => fields.push((b3::B3, b3::write_single(parent))),
                Format::B3Multi => fields.extend(b3::write_multi(parent)),
            }
        }
        fields
    }

    /// The names of all fields that are read.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let of = |format: &Format| -> &'static [&'static str] {
            match format {
                Format::TraceContext => &[TRACEPARENT, TRACESTATE],
                Format::Baggage => &[BAGGAGE],
                Format::B3 | Format::B3Multi => &[b3::B3, b3::TRACE_ID, b3::SPAN_ID, b3::SAMPLED, b3::FLAGS],
            }
        };
        self.0.iter().flat_map(move |format| of(format).iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "12345678901234567890123456789012";
    const SPAN: &str = "1234567890123456";

    fn extract(formats: &str, fields: &[(&str, &str)]) -> Option<String> {
        let all = |name: &str| fields.iter().filter(|(field, _)| *field == name).map(|(_, value)| *value).collect();
        let read = Formats::parse(formats).unwrap().extract::<Vec<&str>>(all);
        read.map(|context| context.parent.to_string())
    }

    #[test]
    fn names_are_read_in_their_order_each_once() {
        let read = |names| Formats::parse(names).map(|formats| formats.0);
        assert_eq!(read("tracecontext, baggage"), Ok(Formats::default().0));
        assert_eq!(read("b3multi,b3,b3multi"), Ok(vec![Format::B3Multi, Format::B3]));
        assert_eq!(read(" none "), Ok(Vec::new()));
        for wrong in ["", "w3c", "b3,", "none,b3", "jaeger", "xray"] {
            assert_eq!(read(wrong), Err(UnknownFormat), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_read_and_the_last_counts() {
        let parent = format!("00-{TRACE}-{SPAN}-03");
        let single = format!("{TRACE}-1111111111111111-0");
        let both = [("traceparent", parent.as_str()), ("b3", single.as_str())];
        assert_eq!(extract("tracecontext,baggage", &both), Some(parent.clone()));
        assert_eq!(extract("none", &both), None);
        let b3 = Some(format!("00-{TRACE}-1111111111111111-00"));
        assert_eq!(extract("tracecontext,b3", &both), b3);
        assert_eq!(extract("b3multi", &both), b3);
        assert_eq!(extract("b3,tracecontext", &both), Some(parent.clone()));
        assert_eq!(extract("tracecontext,b3", &both[..1]), Some(parent.clone()));
        let several = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-flags", "1")];
        assert_eq!(extract("b3multi", &several), Some(format!("00-{TRACE}-{SPAN}-01")));
        assert_eq!(extract("b3", &several), Some(format!("00-{TRACE}-{SPAN}-01")));
        let all = [several[0], several[1], both[1]];
        assert_eq!(extract("b3multi", &all), b3);
        assert_eq!(extract("b3", &[both[1], both[1]]), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let formats = Formats::parse("b3,tracecontext,b3multi,baggage").unwrap();
        let parent = TraceParent::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        let written = formats.inject(&parent);
        let names: Vec<_> = written.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["b3", "traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]);
        assert!(names.iter().all(|name| formats.names().any(|read| read == *name)));
        for form in ["b3", "tracecontext", "b3multi"] {
            let written: Vec<_> = written.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(extract(form, &written), Some(parent.to_string()), "{form}");
        }
        assert!(Formats::parse("none").unwrap().inject(&parent).is_empty());
        assert!(formats.hand_on_baggage() && !Formats::parse("b3").unwrap().hand_on_baggage());
    }
}
