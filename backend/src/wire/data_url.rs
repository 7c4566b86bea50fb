//! `data:` URLs (RFC 2397) of base64, as OpenAI's shape carries images in them.

/// What such a URL holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataUrl<'a> {
    /// Such as `image/png`.
    pub(crate) media_type: &'a str,
    /// Base64.
    pub(crate) data: &'a str,
}

impl<'a> DataUrl<'a> {
    /// Whether a URL is a `data:` URL, if not a valid one.
    pub(crate) fn is_one(url: &str) -> bool {
        url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
    }

    /// Reads one with a media type without parameters.
    pub(crate) fn read(url: &'a str) -> Option<Self> {
        let (media_type, data) = url.get(5..).filter(|_| Self::is_one(url))?.split_once(";base64,")?;
        let is_type = media_type.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
        (is_type && !media_type.contains([';', ','])).then_some(Self { media_type, data })
    }

    /// Writes it.
    pub(crate) fn write(self) -> String {
        format!("data:{};base64,{}", self.media_type, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_typed_base64_is_read() {
        let url = "data:image/png;base64,iVBORw==";
        let read = DataUrl::read(url).unwrap();
        assert_eq!(read, DataUrl { media_type: "image/png", data: "iVBORw==" });
        assert_eq!(read.write(), url);
        for other in
            ["data:,x", "data:image/png,x", "data:;base64,x", "data:a/b;c=d;base64,x", "https://a/", "data:€", ""]
        {
            assert_eq!(DataUrl::read(other), None, "{other}");
        }
    }
}
