//! Names of conversations, and the paths under which they are found: the same at the edge and in the backend.

/// What every id begins with.
pub const ID_PREFIX: &str = "conv_";
/// How many characters follow, each of `0-9A-Za-z`: about 142 bits.
pub const ID_CHARACTERS: usize = 24;

/// Whether a text has the form of an id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.strip_prefix(ID_PREFIX)
        .is_some_and(|rest| rest.len() == ID_CHARACTERS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A path of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConversationPath {
    /// All of a caller's.
    All,
    /// One of them.
    One,
    /// What was said in it.
    Turns,
    /// All of it as a document.
    Export,
}

impl ConversationPath {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::All, Self::One, Self::Turns, Self::Export];

    /// The path, `{id}` in place of the id: what telemetry tells, as ids are nobody else's business.
    #[must_use]
    pub const fn template(self) -> &'static str {
        match self {
            Self::All => "/v1/conversations",
            Self::One => "/v1/conversations/{id}",
            Self::Turns => "/v1/conversations/{id}/turns",
            Self::Export => "/v1/conversations/{id}/export",
        }
    }

    /// The methods that it takes, as the field `allow` lists them.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::All => "GET, HEAD, POST",
            Self::One => "GET, HEAD, PATCH, DELETE",
            Self::Turns | Self::Export => "GET, HEAD",
        }
    }

    /// Whether a request with this method has a body, which is JSON.
    #[must_use]
    pub fn has_body(self, method: &str) -> bool {
        matches!((self, method), (Self::All, "POST") | (Self::One, "PATCH"))
    }

    /// Which one a path without query is; none of any other path. An id of whatever form counts: that there is none
    /// like it is the backend's answer.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(Self::All.template())?;
        if rest.is_empty() {
            return Some(Self::All);
        }
        let (id, below) = rest.strip_prefix('/').map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        match below {
            _ if id.is_empty() => None,
            "" if !rest.ends_with('/') => Some(Self::One),
            "turns" => Some(Self::Turns),
            "export" => Some(Self::Export),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_other_texts() {
        assert!(is_id("conv_0123456789abcdefABCDEFxy"));
        for text in ["", "conv_", "conv_0123456789abcdefABCDEFx", "conv_0123456789abcdefABCDEFxyz", "conv-0123"] {
            assert!(!is_id(text), "{text}");
        }
        assert!(!is_id("CONV_0123456789abcdefABCDEFxy"));
        assert!(!is_id("conv_0123456789abcdefABCDEF_-"));
        assert!(!is_id("conv_0123456789abcdefABCDEFé"));
    }

    #[test]
    fn paths_are_found_by_their_shape() {
        for path in ConversationPath::ALL {
            assert_eq!(ConversationPath::of_path(&path.template().replace("{id}", "conv_x")), Some(path));
        }
        for path in [
            "/v1/conversation",
            "/v1/conversationsx",
            "/v1/conversations/",
            "/v1/conversations//turns",
            "/v1/conversations/conv_x/",
            "/v1/conversations/conv_x/turns/",
            "/v1/conversations/conv_x/turns/1",
            "/v1/conversations/conv_x/other",
            "/V1/conversations",
        ] {
            assert_eq!(ConversationPath::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn bodies_come_where_something_is_said() {
        let all = ConversationPath::ALL.into_iter().flat_map(|path| path.allow().split(", ").map(move |m| (path, m)));
        let with_body: Vec<_> = all.filter(|(path, method)| path.has_body(method)).collect();
        assert_eq!(with_body, [(ConversationPath::All, "POST"), (ConversationPath::One, "PATCH")]);
    }
}
