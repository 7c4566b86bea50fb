//! Fields that are no messages.

use std::io::Write as _;

use super::writer::{DELIMITED, FIXED32, FIXED64, Field, List, VARINT, Writer};

impl Writer {
    pub(in crate::telemetry) fn string(&mut self, field: Field, text: &str) {
        if !text.is_empty() {
            self.member_string(field, text);
        }
    }

    /// A member of a `oneof`, which is there even when empty.
    pub(in crate::telemetry) fn member_string(&mut self, field: Field, text: &str) {
        self.name(field);
        if self.json {
            self.buffer.push(b'"');
            self.escaped(text);
            self.buffer.push(b'"');
        } else {
            self.tag(field.0, DELIMITED);
            self.varint(text.len() as u64);
            self.buffer.extend_from_slice(text.as_bytes());
        }
    }

    /// The id of a trace or a span.
    pub(in crate::telemetry) fn id(&mut self, field: Field, bytes: &[u8]) {
        self.name(field);
        if self.json {
            self.buffer.push(b'"');
            for byte in bytes {
                self.hex(*byte);
            }
            self.buffer.push(b'"');
        } else {
            self.tag(field.0, DELIMITED);
            self.varint(bytes.len() as u64);
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// An enumeration, or a small number.
    pub(in crate::telemetry) fn number(&mut self, field: Field, value: u32) {
        if value == 0 {
            return;
        }
        self.name(field);
        if self.json {
            self.decimal(value.into());
        } else {
            self.tag(field.0, VARINT);
            self.varint(value.into());
        }
    }

    pub(in crate::telemetry) fn fixed32(&mut self, field: Field, value: u32) {
        if value == 0 {
            return;
        }
        self.name(field);
        if self.json {
            self.decimal(value.into());
        } else {
            self.tag(field.0, FIXED32);
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A time, or a count of a histogram.
    pub(in crate::telemetry) fn fixed64(&mut self, field: Field, value: u64) {
        if value != 0 {
            self.member_fixed64(field, value);
        }
    }

    /// A member of a `oneof`, signed or not.
    pub(in crate::telemetry) fn member_fixed64(&mut self, field: Field, value: u64) {
        self.name(field);
        if self.json {
            self.quoted_decimal(value);
        } else {
            self.tag(field.0, FIXED64);
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A member of a `oneof`: a whole number that is not negative.
    pub(in crate::telemetry) fn member_integer(&mut self, field: Field, value: u64) {
        self.name(field);
        if self.json {
            self.quoted_decimal(value);
        } else {
            self.tag(field.0, VARINT);
            self.varint(value);
        }
    }

    pub(in crate::telemetry) fn bool(&mut self, field: Field, value: bool) {
        self.name(field);
        if self.json {
            self.buffer.extend_from_slice(if value { b"true" } else { b"false" });
        } else {
            self.tag(field.0, VARINT);
            self.buffer.push(value.into());
        }
    }

    /// A finite number, in JSON with nine decimals: seconds to the nanosecond.
    pub(in crate::telemetry) fn double(&mut self, field: Field, value: f64) {
        self.name(field);
        if self.json {
            self.nine_decimals(value);
        } else {
            self.tag(field.0, FIXED64);
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(in crate::telemetry) fn fixed64s(&mut self, field: Field, values: &[u64]) {
        let list = self.begin_packed(field, values.len());
        for value in values {
            if self.json {
                self.comma();
                self.quoted_decimal(*value);
            } else {
                self.buffer.extend_from_slice(&value.to_le_bytes());
            }
        }
        self.end_list(list);
    }

    pub(in crate::telemetry) fn doubles(&mut self, field: Field, values: &[f64]) {
        let list = self.begin_packed(field, values.len());
        for value in values {
            if self.json {
                self.comma();
                self.nine_decimals(*value);
            } else {
                self.buffer.extend_from_slice(&value.to_le_bytes());
            }
        }
        self.end_list(list);
    }

    fn begin_packed(&mut self, field: Field, count: usize) -> List {
        let list = self.begin_list(field);
        if !self.json {
            self.tag(field.0, DELIMITED);
            self.varint(count as u64 * 8);
        }
        list
    }

    fn decimal(&mut self, value: u64) {
        // Writing to memory does not fail.
        let _ = write!(self.buffer, "{value}");
    }

    fn quoted_decimal(&mut self, value: u64) {
        let _ = write!(self.buffer, "\"{value}\"");
    }

    fn nine_decimals(&mut self, value: f64) {
        let _ = write!(self.buffer, "{value:.9}");
    }

    fn hex(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.buffer.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }

    fn escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.buffer.extend([b'\\', byte]),
                0..0x20 => {
                    self.buffer.extend_from_slice(b"\\u00");
                    self.hex(byte);
                }
                _ => self.buffer.push(byte),
            }
        }
    }
}
