//! Attributes, as all messages of OTLP have them.

use super::writer::{Field, List, Open, Writer};

const KEY: Field = (1, "key");
const VALUE: Field = (2, "value");
const STRING_VALUE: Field = (1, "stringValue");
const BOOL_VALUE: Field = (2, "boolValue");
const INT_VALUE: Field = (3, "intValue");
const ARRAY_VALUE: Field = (5, "arrayValue");
const VALUES: Field = (1, "values");

impl Writer {
    /// An attribute that is a text.
    pub(in crate::telemetry) fn text(&mut self, list: List, key: &str, text: &str) {
        let attribute = self.begin_attribute(list, key);
        self.member_string(STRING_VALUE, text);
        self.end_attribute(attribute);
    }

    /// An attribute that is a whole number.
    pub(in crate::telemetry) fn integer(&mut self, list: List, key: &str, value: u64) {
        let attribute = self.begin_attribute(list, key);
        self.member_integer(INT_VALUE, value);
        self.end_attribute(attribute);
    }

    /// An attribute that is true.
    pub(in crate::telemetry) fn truth(&mut self, list: List, key: &str) {
        let attribute = self.begin_attribute(list, key);
        self.bool(BOOL_VALUE, true);
        self.end_attribute(attribute);
    }

    /// An attribute that is several texts.
    pub(in crate::telemetry) fn texts<'a>(&mut self, list: List, key: &str, texts: impl Iterator<Item = &'a str>) {
        let attribute = self.begin_attribute(list, key);
        let array = self.begin(ARRAY_VALUE);
        let values = self.begin_list(VALUES);
        for text in texts {
            let value = self.begin_element(values);
            self.member_string(STRING_VALUE, text);
            self.end(value);
        }
        self.end_list(values);
        self.end(array);
        self.end_attribute(attribute);
    }

    /// A value that is no attribute's, such as the body of a log record.
    pub(in crate::telemetry) fn any_text(&mut self, field: Field, text: &str) {
        let value = self.begin(field);
        self.member_string(STRING_VALUE, text);
        self.end(value);
    }

    fn begin_attribute(&mut self, list: List, key: &str) -> (Open, Open) {
        let attribute = self.begin_element(list);
        self.string(KEY, key);
        (attribute, self.begin(VALUE))
    }

    fn end_attribute(&mut self, (attribute, value): (Open, Open)) {
        self.end(value);
        self.end(attribute);
    }
}
