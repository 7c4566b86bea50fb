//! What a token says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::TokenRejection;
use crate::ports::{Owner, Scopes};

/// Longest name of a subject or tenant, in bytes.
const NAME_BYTES: usize = 256;

/// The claims that count here. One that is given twice makes the token unreadable.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: OneOrMore,
    sub: Option<String>,
    /// Seconds since 1970, perhaps with a fraction (RFC 7519, section 2).
    exp: f64,
    nbf: Option<f64>,
    /// Names with spaces between (RFC 8693, section 4.2).
    scope: Option<OneOrMore>,
    /// The same by Microsoft and Okta, as text or as a list.
    scp: Option<OneOrMore>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A text or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }

    /// Whether any of them is as wanted.
    pub(super) fn any(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.texts().iter().any(|text| wanted(text))
    }
}

impl Claims {
    /// Whether its time has come and is not over.
    pub(super) fn check_times(&self, now: u64, leeway: u64) -> Result<(), TokenRejection> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit for millions of years")]
        let (now, leeway) = (now as f64, leeway as f64);
        if self.exp + leeway <= now {
            return Err(TokenRejection::Expired);
        }
        if self.nbf.is_some_and(|from| from - leeway > now) {
            return Err(TokenRejection::TooEarly);
        }
        Ok(())
    }

    /// Whose it is.
    pub(super) fn owner(&self, tenant_claim: Option<&str>) -> Result<Owner, TokenRejection> {
        let user = self.sub.as_deref().and_then(name).ok_or(TokenRejection::Subject)?;
        let tenant = match tenant_claim {
            None => "",
            Some(claim) => {
                self.others.get(claim).and_then(Value::as_str).and_then(name).ok_or(TokenRejection::Tenant)?
            }
        };
        Ok(Owner { tenant: tenant.to_owned(), user: user.to_owned() })
    }

    /// Those of ours that it has; `None`: it says nothing of scopes.
    pub(super) fn scopes(&self) -> Option<Scopes> {
        let named = self.scope.as_ref().or(self.scp.as_ref())?;
        Some(Scopes::known_of(&named.texts().join(" ")))
    }
}

/// A name that can stand in the ledger.
fn name(text: &str) -> Option<&str> {
    let fits = !text.trim().is_empty() && text.len() <= NAME_BYTES && !text.chars().any(char::is_control);
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(more: &Value) -> Claims {
        let mut all = json!({ "iss": "i", "aud": "a", "sub": "s", "exp": 1000 });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn times_have_leeway_and_fractions() {
        let told = |more, now| claims(&more).check_times(now, 60);
        assert_eq!(told(json!({}), 1_059), Ok(()));
        assert_eq!(told(json!({}), 1_060), Err(TokenRejection::Expired));
        assert_eq!(told(json!({ "exp": 1000.5 }), 1_060), Ok(()));
        assert_eq!(told(json!({ "nbf": 500 }), 440), Ok(()));
        assert_eq!(told(json!({ "nbf": 500 }), 439), Err(TokenRejection::TooEarly));
    }

    #[test]
    fn subjects_and_tenants_have_names() {
        let owner = |more| claims(&more).owner(Some("org")).map(|owner| format!("{}/{}", owner.tenant, owner.user));
        assert_eq!(owner(json!({ "org": "acme" })), Ok("acme/s".to_owned()));
        for (more, rejection) in [
            (json!({ "org": "acme", "sub": "" }), TokenRejection::Subject),
            (json!({ "org": "acme", "sub": null }), TokenRejection::Subject),
            (json!({ "org": "acme", "sub": "a\nb" }), TokenRejection::Subject),
            (json!({ "org": "acme", "sub": "x".repeat(257) }), TokenRejection::Subject),
            (json!({}), TokenRejection::Tenant),
            (json!({ "org": ["acme"] }), TokenRejection::Tenant),
            (json!({ "org": " " }), TokenRejection::Tenant),
        ] {
            assert_eq!(owner(more.clone()), Err(rejection), "{more}");
        }
        assert_eq!(claims(&json!({ "org": "acme" })).owner(None).unwrap().tenant, "");
    }

    #[test]
    fn scopes_come_in_two_claims_and_two_shapes() {
        let scopes = |more| claims(&more).scopes().map(|scopes| scopes.to_string());
        assert_eq!(scopes(json!({})), None);
        assert_eq!(scopes(json!({ "scope": "openid chat" })).as_deref(), Some("chat"));
        assert_eq!(scopes(json!({ "scp": ["admin", "chat"] })).as_deref(), Some("chat,admin"));
        assert_eq!(scopes(json!({ "scp": "conversations" })).as_deref(), Some("conversations"));
        assert_eq!(scopes(json!({ "scope": "openid", "scp": ["admin"] })).as_deref(), Some(""));
        assert_eq!(scopes(json!({ "scope": "" })).as_deref(), Some(""));
    }

    #[test]
    fn claims_of_other_shapes_cannot_be_read() {
        for text in [
            r#"{"iss":["i"],"aud":"a","sub":"s","exp":1}"#,
            r#"{"iss":"i","aud":1,"sub":"s","exp":1}"#,
            r#"{"iss":"i","aud":"a","sub":"s"}"#,
            r#"{"iss":"i","aud":"a","sub":"s","exp":"1"}"#,
            r#"{"iss":"i","aud":"a","sub":"s","sub":"t","exp":1}"#,
            r#"{"iss":"i","iss":"j","aud":"a","sub":"s","exp":1}"#,
        ] {
            assert!(serde_json::from_str::<Claims>(text).is_err(), "{text}");
        }
    }
}
