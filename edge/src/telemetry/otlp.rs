//! What spans and metrics have in common.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};

use crate::config::OtlpConfig;

/// Who tells: the service, and which of its many instances.
pub(super) fn resource(otlp: &OtlpConfig, instance: &str) -> Resource {
    Resource {
        attributes: vec![
            text("service.name", &otlp.service_name),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", instance),
            text("cloud.provider", "cloudflare"),
            text("cloud.platform", "cloudflare.workers"),
        ],
        ..Resource::default()
    }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, string(value))
}

pub(super) fn texts<'a>(key: &str, values: impl Iterator<Item = &'a str>) -> KeyValue {
    let values = values.map(|value| AnyValue { value: Some(string(value)) }).collect();
    attribute(key, Value::ArrayValue(ArrayValue { values }))
}

pub(super) fn number(key: &str, value: u16) -> KeyValue {
    attribute(key, Value::IntValue(value.into()))
}

fn string(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times after 1970 fit for centuries")]
pub(super) fn nanos(millis: f64) -> u64 {
    // Microseconds are all that a double holds of today's time.
    (millis * 1_000.0).round() as u64 * 1_000
}
