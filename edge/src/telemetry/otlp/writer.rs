//! Writes messages of OTLP, as protobuf or as JSON by the same calls.
//!
//! One type for both that is not generic, as the Worker has to be small. What is written is canonical: fields in the
//! order of the calls, lengths as short as they can be, fields with default values left out but where a choice between
//! members (`oneof`) needs them. JSON is by OTLP's mapping (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>):
//! ids in hex, 64-bit integers as strings, enumerations as numbers.

/// A field: its number in protobuf, its name in JSON.
pub(in crate::telemetry) type Field = (u32, &'static str);

/// A message that was begun and is to be ended.
#[must_use]
pub(in crate::telemetry) struct Open(usize);

/// A repeated field of messages.
#[derive(Clone, Copy)]
pub(in crate::telemetry) struct List(u32);

/// Wire types of protobuf.
pub(super) const VARINT: u32 = 0;
pub(super) const FIXED64: u32 = 1;
pub(super) const DELIMITED: u32 = 2;
pub(super) const FIXED32: u32 = 5;

/// See the module.
#[derive(Debug)]
pub(in crate::telemetry) struct Writer {
    pub(super) buffer: Vec<u8>,
    pub(super) json: bool,
}

impl Writer {
    pub(in crate::telemetry) fn new(json: bool) -> Self {
        Self { buffer: Vec::new(), json }
    }

    /// What was written, to be kept by itself; the writer is empty again.
    pub(in crate::telemetry) fn take_item(&mut self) -> Box<[u8]> {
        let item = self.buffer.as_slice().into();
        self.buffer.clear();
        item
    }

    pub(in crate::telemetry) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// The outermost message, which has no field.
    pub(in crate::telemetry) fn begin_root(&mut self) {
        if self.json {
            self.buffer.push(b'{');
        }
    }

    pub(in crate::telemetry) fn end_root(&mut self) {
        if self.json {
            self.buffer.push(b'}');
        }
    }

    pub(in crate::telemetry) fn begin(&mut self, field: Field) -> Open {
        self.name(field);
        self.begin_value(field.0)
    }

    pub(in crate::telemetry) fn begin_list(&mut self, field: Field) -> List {
        self.name(field);
        if self.json {
            self.buffer.push(b'[');
        }
        List(field.0)
    }

    pub(in crate::telemetry) fn begin_element(&mut self, list: List) -> Open {
        self.comma();
        self.begin_value(list.0)
    }

    /// An element that stands by itself, to be put into a list later by [`Self::raw`].
    pub(in crate::telemetry) fn begin_item(&mut self, field: Field) -> Open {
        self.begin_value(field.0)
    }

    pub(in crate::telemetry) fn end_list(&mut self, _: List) {
        if self.json {
            self.buffer.push(b']');
        }
    }

    pub(in crate::telemetry) fn end(&mut self, Open(start): Open) {
        if self.json {
            self.buffer.push(b'}');
            return;
        }
        // One byte was left for the length; most messages need no more.
        let end = self.buffer.len();
        let length = end - start;
        let more = varint_length(length as u64) - 1;
        self.buffer.resize(end + more, 0);
        self.buffer.copy_within(start..end, start + more);
        let mut rest = length;
        for byte in &mut self.buffer[start - 1..start + more] {
            *byte = low_bits(rest as u64) | 0x80;
            rest >>= 7;
        }
        self.buffer[start + more - 1] &= 0x7f;
    }

    /// What a writer of the same kind has written.
    pub(in crate::telemetry) fn raw(&mut self, written: &[u8]) {
        self.comma();
        self.buffer.extend_from_slice(written);
    }

    fn begin_value(&mut self, number: u32) -> Open {
        if self.json {
            self.buffer.push(b'{');
        } else {
            self.tag(number, DELIMITED);
            self.buffer.push(0);
        }
        Open(self.buffer.len())
    }

    pub(super) fn name(&mut self, field: Field) {
        if self.json {
            self.comma();
            self.buffer.push(b'"');
            self.buffer.extend_from_slice(field.1.as_bytes());
            self.buffer.extend_from_slice(b"\":");
        }
    }

    /// Nothing that is complete ends in one of these.
    pub(super) fn comma(&mut self) {
        if self.json && !matches!(self.buffer.last(), None | Some(b'{' | b'[')) {
            self.buffer.push(b',');
        }
    }

    pub(super) fn tag(&mut self, number: u32, kind: u32) {
        self.varint((number << 3 | kind).into());
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.buffer.push(low_bits(value));
    }
}

fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn low_bits(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}
