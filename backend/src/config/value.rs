//! How values are written: text in variables and on the command line, text or TOML's own types in the file.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

/// Stands for a value that must not be shown.
pub(super) const MASK: &str = "***";

/// A kind of value.
pub(super) trait Value: Sized {
    /// Whether values must never be shown.
    const SECRET: bool = false;

    /// Reads text. The error completes the sentence "this value …".
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads a value of the file.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            toml::Value::Integer(number) => Self::from_text(&number.to_string()),
            toml::Value::Boolean(truth) => Self::from_text(&truth.to_string()),
            _ => Err("must be text, a number, or true or false".to_owned()),
        }
    }

    /// For people; not called for secrets.
    fn show(&self) -> String;
}

/// Several texts: a list in the file, or one text with commas between.
pub(super) fn texts(value: &toml::Value) -> Result<Vec<&str>, String> {
    match value {
        toml::Value::String(text) => Ok(text.split(',').collect()),
        toml::Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
            texts.ok_or_else(|| "must be a list of texts".to_owned())
        }
        _ => Err("must be text or a list of texts".to_owned()),
    }
}

impl Value for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Value for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be address:port, for example 127.0.0.1:8080 (port 0: any free one)".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A whole number of at least one.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) usize);

impl Value for Count {
    fn from_text(text: &str) -> Result<Self, String> {
        let count = text.replace('_', "").parse().ok().filter(|count| *count > 0);
        count.map(Self).ok_or_else(|| "must be a whole number of at least 1".to_owned())
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A whole number; 0 is one too.
#[derive(Clone, Copy)]
pub(super) struct Whole(pub(super) usize);

impl Value for Whole {
    fn from_text(text: &str) -> Result<Self, String> {
        text.replace('_', "").parse().map(Self).map_err(|_| "must be a whole number".to_owned())
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A part of a whole, more than none of it and at most all.
#[derive(Clone, Copy)]
pub(super) struct Ratio(pub(super) f64);

impl Value for Ratio {
    fn from_text(text: &str) -> Result<Self, String> {
        let ratio = text.parse().ok().filter(|ratio| *ratio > 0.0 && *ratio <= 1.0);
        ratio.map(Self).ok_or_else(|| "must be more than 0 and at most 1, for example 0.5".to_owned())
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Float(number) => Self::from_text(&number.to_string()),
            toml::Value::Integer(number) => Self::from_text(&number.to_string()),
            toml::Value::String(text) => Self::from_text(text),
            _ => Err("must be a number".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A size in bytes.
#[derive(Clone, Copy)]
pub(super) struct Bytes(pub(super) usize);

impl Value for Bytes {
    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let unit: usize = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        let number = digits.replace('_', "").parse::<usize>().ok();
        let bytes = number.and_then(|number| number.checked_mul(unit)).filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(|| "must be a size such as 4194304, 512 KiB or 4 MiB".to_owned())
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Value for Duration {
    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let number = digits.parse::<u32>().ok().map(u64::from);
        let duration = number.and_then(|number| match text[digits.len()..].trim() {
            "ms" => Some(Self::from_millis(number)),
            "s" => Some(Self::from_secs(number)),
            "m" => Some(Self::from_secs(number * 60)),
            "h" => Some(Self::from_secs(number * 3_600)),
            "d" => Some(Self::from_secs(number * 86_400)),
            _ => None,
        });
        duration.ok_or_else(|| "must be a whole number with its unit, for example 500ms, 30s or 2m".to_owned())
    }

    fn show(&self) -> String {
        if self.subsec_millis() == 0 { format!("{}s", self.as_secs()) } else { format!("{}ms", self.as_millis()) }
    }
}

/// A duration as it is written in the configuration, for what is written like it elsewhere.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text)
}

/// Something that must not be shown.
#[derive(Clone)]
pub(super) struct Secret(pub(super) SecretString);

impl Value for Secret {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) && !text.is_empty() {
            Ok(Self(SecretString::from(text)))
        } else {
            Err("must be printable ASCII without spaces".to_owned())
        }
    }

    fn show(&self) -> String {
        format!("{} characters", self.0.expose_secret().len())
    }
}

/// A URL with `http` or `https`, a host, and no credentials, query or fragment; without a `/` at its end. Its path may
/// contain `{model}`.
#[derive(Clone, Debug)]
pub(super) struct BaseUrl(pub(super) String);

impl Value for BaseUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || "must be a URL such as https://api.example.com/v1".to_owned();
        let uri: http::Uri = text.replace("{model}", "model").parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(wrong)?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err("must not contain credentials; they have fields of their own".to_owned());
        }
        // Had a model's name been put into the host, the two would differ.
        let in_path = text.get(scheme.len() + 3..).is_some_and(|rest| rest.starts_with(authority.as_str()));
        if uri.query().is_some() || text.contains('#') || !in_path {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// How a value that could not be read may be shown.
pub(super) fn shown_fault<T: Value>(raw: &str) -> String {
    // What looks like a URL with credentials is masked whatever it was meant to be.
    if T::SECRET || (raw.contains('@') && raw.contains("://")) {
        MASK.to_owned()
    } else {
        raw.chars().take(100).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1 h", 3_600_000), ("2d", 172_800_000), ("0s", 0)]
        {
            assert_eq!(Duration::from_text(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999s"] {
            assert!(Duration::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in [("1", 1), ("4 MiB", 4 << 20), ("4MiB", 4 << 20), ("1_000", 1_000)] {
            assert_eq!(Bytes::from_text(text).map(|size| size.0), Ok(bytes), "{text}");
        }
        for text in ["", "0", "MiB", "4MB", "-1", "99999999999999999999"] {
            assert!(Bytes::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ratios_are_parts_of_a_whole() {
        assert_eq!(Ratio::from_toml(&toml::Value::Float(0.25)).map(|ratio| ratio.0), Ok(0.25));
        assert_eq!(Ratio::from_text("1").map(|ratio| ratio.0), Ok(1.0));
        for text in ["", "0", "1.01", "-0.5", "NaN", "inf", "50%"] {
            assert!(Ratio::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base_urls_lose_the_last_slash() {
        assert_eq!(BaseUrl::from_text("http://127.0.0.1:1/v1/").unwrap().0, "http://127.0.0.1:1/v1");
        let azure = "https://x.example/openai/deployments/{model}";
        assert_eq!(BaseUrl::from_text(azure).unwrap().0, azure);
        for text in ["https://{model}.example/v1", "https://x{model}/v1", "http://u:{model}@x"] {
            assert!(BaseUrl::from_text(text).is_err(), "{text}");
        }
        for text in ["", "127.0.0.1:80", "ftp://x", "http://", "http://x?a", "http://x#a", "http://u:p@x"] {
            assert!(BaseUrl::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = Duration::from_text(&text);
            let _ = Bytes::from_text(&text);
            let _ = BaseUrl::from_text(&text);
            let _ = Secret::from_text(&text);
        }
    }
}
