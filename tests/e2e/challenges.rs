//! Visitors without a key solve a challenge, once in a while: Turnstile.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use goblin_tests::{
    patience::patiently,
    siteverify::{Check, Manner, Siteverify, Solved},
};
use reqwest::{Client, Method, RequestBuilder};

use crate::{
    answered::{Answered, send},
    client::{self, own_path},
    heads::{Browser, CURL, Head as _, own_address},
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        who_has_solved_no_challenge_is_asked_to,
        a_solved_challenge_is_served_and_leaves_a_cookie,
        the_cookie_spares_its_holder_the_next_challenge,
        a_token_is_good_once,
        an_altered_cookie_counts_as_none,
        a_cookie_serves_nobody_but_the_browser_that_got_it,
        a_cookie_ends,
        what_was_solved_elsewhere_or_long_ago_does_not_count,
        a_token_that_is_too_long_is_not_even_asked_for,
        without_siteverify_nobody_is_admitted_unless_that_is_wanted,
        a_refused_token_stays_refused_where_failures_admit,
        the_token_stays_at_the_edge,
        neither_secret_nor_token_is_told,
        a_holder_of_a_key_is_never_challenged,
        a_foreign_credential_is_challenged_unless_it_is_trusted,
        health_is_never_challenged,
    );
}

/// An edge that challenges, and who judges what was solved.
struct Challenging {
    watched: WatchedEdge,
    siteverify: Siteverify,
}

impl Challenging {
    async fn start(shared: &SharedStack, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let siteverify = Siteverify::start().await?;
        let url = siteverify.url();
        let mut vars = vec![
            ("TURNSTILE_SECRET_KEY", siteverify.secret()),
            ("TURNSTILE_HOSTNAMES", "www.example, chat.example"),
            ("TURNSTILE_SITEVERIFY_URL", &url),
        ];
        vars.extend(more);
        let watched = WatchedEdge::start(&shared.sink, &vars).await?;
        Ok(Self { watched, siteverify })
    }

    /// What somebody in a browser asks who comes from `address` and has no key.
    fn visit(&self, address: &str) -> RequestBuilder {
        self.visit_at(address, &own_path())
    }

    fn visit_at(&self, address: &str, path: &str) -> RequestBuilder {
        self.visit_by(Browser::Chrome, address, path)
    }

    fn visit_by(&self, browser: Browser, address: &str, path: &str) -> RequestBuilder {
        client::request(Method::GET, self.watched.without_key(), path).dressed_as(browser).coming_from(address)
    }

    /// The cookie of a visitor from `address` who has solved a challenge, as `name=value`.
    async fn cookie(&self, address: &str) -> String {
        let answer = send(self.visit(address).header(TOKEN, self.siteverify.token())).await;
        answer.assert_served();
        cookie_of(&answer)
    }
}

/// An edge with the settings as they are by default.
async fn strict(shared: &SharedStack) -> &'static Challenging {
    static STRICT: StartedOnce<Challenging> = StartedOnce::new();
    STRICT.get(|| Challenging::start(shared, &[])).await
}

/// An edge that admits when siteverify fails, trusts foreign credentials, and asks often.
async fn lenient(shared: &SharedStack) -> &'static Challenging {
    static LENIENT: StartedOnce<Challenging> = StartedOnce::new();
    let vars = [("TURNSTILE_FAILURE", "open"), ("FOREIGN_CREDENTIALS", "trust"), ("TURNSTILE_CLEARANCE_S", "2")];
    LENIENT.get(|| Challenging::start(shared, &vars)).await
}

const TOKEN: &str = "x-turnstile-token";

/// The cookie that an answer sets, as `name=value`.
fn cookie_of(answer: &Answered) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

async fn who_has_solved_no_challenge_is_asked_to(shared: &SharedStack) {
    let edge = strict(shared).await;
    let path = own_path();
    let answer = send(edge.visit_at(&own_address(), &path)).await;
    answer.assert_error(403, "challenge_required");
    assert!(!edge.watched.let_through(&path));
    assert_eq!(answer.decision(&shared.sink).await, ("refused".to_owned(), "turnstile".to_owned()));
}

async fn a_solved_challenge_is_served_and_leaves_a_cookie(shared: &SharedStack) {
    let edge = strict(shared).await;
    let (address, token) = (own_address(), edge.siteverify.token());
    let answer = send(edge.visit(&address).header(TOKEN, &token)).await;
    answer.assert_admitted(&shared.sink, "turnstile").await;
    let set = answer.header("set-cookie").expect("a cookie");
    let (cookie, attributes) = set.split_once("; ").expect("attributes");
    assert!(cookie.strip_prefix("__Host-goblin_clearance=").is_some_and(|value| !value.is_empty()), "{cookie}");
    let attributes: BTreeSet<&str> = attributes.split("; ").collect();
    assert_eq!(attributes, BTreeSet::from(["HttpOnly", "Max-Age=1800", "Path=/", "SameSite=Strict", "Secure"]));
    let checks = edge.siteverify.checks_of(&token);
    let [Check { secret, remoteip, .. }] = &checks[..] else { panic!("not asked once: {checks:?}") };
    assert_eq!((secret.as_deref(), remoteip.as_deref()), (Some(edge.siteverify.secret()), Some(address.as_str())));
}

async fn the_cookie_spares_its_holder_the_next_challenge(shared: &SharedStack) {
    let edge = strict(shared).await;
    let address = own_address();
    let cookie = edge.cookie(&address).await;
    for cookies in [cookie.clone(), format!("session=1; {cookie}; theme=dark")] {
        let answer = send(edge.visit(&address).header("cookie", cookies)).await;
        answer.assert_admitted(&shared.sink, "clearance").await;
    }
    for request in edge.watched.origin.requests() {
        let cookies = request.header("cookie").unwrap_or_default();
        assert!(!cookies.contains("clearance"), "the backend got it: {cookies}");
    }
    // A page may send the token again that it solved before: with the cookie it is not even looked at.
    let token = edge.siteverify.token();
    send(edge.visit(&address).header("cookie", &cookie).header(TOKEN, &token)).await.assert_served();
    let asked = edge.siteverify.checks();
    let asked = asked.iter().filter(|check| check.remoteip.as_deref() == Some(address.as_str())).count();
    assert_eq!(asked, 1, "siteverify was asked again");
    assert_eq!(edge.siteverify.checks_of(&token), []);
}

async fn a_token_is_good_once(shared: &SharedStack) {
    let edge = strict(shared).await;
    let (address, token) = (own_address(), edge.siteverify.token());
    send(edge.visit(&address).header(TOKEN, &token)).await.assert_served();
    let path = own_path();
    send(edge.visit_at(&address, &path).header(TOKEN, &token)).await.assert_error(403, "challenge_failed");
    send(edge.visit_at(&own_address(), &path).header(TOKEN, &token)).await.assert_error(403, "challenge_failed");
    assert!(!edge.watched.let_through(&path));
}

async fn an_altered_cookie_counts_as_none(shared: &SharedStack) {
    let edge = strict(shared).await;
    let address = own_address();
    let cookie = edge.cookie(&address).await;
    let (name, value) = cookie.split_once('=').expect("name=value");
    // Each character changed, so that time and code are raised and lowered wherever they stand; each end cut off.
    let changed = (0..value.len()).map(|at| {
        let mut value = value.as_bytes().to_vec();
        value[at] = match value[at] {
            b'z' => b'a',
            b'Z' => b'A',
            b'9' => b'0',
            other if other.is_ascii_alphanumeric() => other + 1,
            _ => b'0',
        };
        String::from_utf8(value).expect("ASCII")
    });
    let cut = (0..value.len()).map(|end| value[..end].to_owned());
    let altered: Vec<String> = changed.chain(cut).chain([format!("{value}0")]).collect();
    let connections = Client::new();
    let (edge, name, address, connections) = (&edge, &name, &address, &connections);
    stream::iter(altered)
        .for_each_concurrent(8, |value| async move {
            let request = client::request_by(connections, Method::GET, edge.watched.without_key(), &own_path());
            let request = request.dressed_as(Browser::Chrome).coming_from(address);
            let answer = send(request.header("cookie", format!("{name}={value}"))).await;
            assert_eq!(answer.status, 403, "{value} was taken for a cookie of ours");
            answer.assert_error(403, "challenge_required");
        })
        .await;
    send(edge.visit(address).header("cookie", &cookie)).await.assert_served();
}

async fn a_cookie_serves_nobody_but_the_browser_that_got_it(shared: &SharedStack) {
    let edge = strict(shared).await;
    let address = own_address();
    let cookie = edge.cookie(&address).await;
    let elsewhere = edge.visit(&own_address()).header("cookie", &cookie);
    send(elsewhere).await.assert_error(403, "challenge_required");
    let other_browser = edge.visit_by(Browser::Firefox, &address, &own_path()).header("cookie", &cookie);
    send(other_browser).await.assert_error(403, "challenge_required");
    // Nor does the same browser get anywhere with it at an edge that has other secrets.
    let other_edge = lenient(shared).await.visit(&address).header("cookie", &cookie);
    send(other_edge).await.assert_error(403, "challenge_required");
}

async fn a_cookie_ends(shared: &SharedStack) {
    let edge = lenient(shared).await;
    let address = own_address();
    let answer = send(edge.visit(&address).header(TOKEN, edge.siteverify.token())).await;
    let set = answer.header("set-cookie").expect("a cookie");
    assert!(set.contains("Max-Age=2;"), "{set}");
    let cookie = cookie_of(&answer);
    let ended = async {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            look.tick().await;
            let answer = send(edge.visit(&address).header("cookie", &cookie)).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    patiently(ended, || "the cookie serves on".to_owned()).await.assert_error(403, "challenge_required");
}

async fn what_was_solved_elsewhere_or_long_ago_does_not_count(shared: &SharedStack) {
    let edge = strict(shared).await;
    let solved = Solved::default;
    for (wrong, what) in [
        (Solved { hostname: "phishing.example".into(), ..solved() }, "at another host"),
        (Solved { hostname: "chat.example.phishing.example".into(), ..solved() }, "at a host of a similar name"),
        (Solved { action: Some("login".into()), ..solved() }, "for another action"),
        (Solved { action: None, ..solved() }, "for no action"),
        (Solved { age: Duration::from_secs(301), ..solved() }, "too long ago for siteverify"),
        (Solved { age: Duration::from_secs(330), manner: Manner::Careless, ..solved() }, "too long ago for the edge"),
    ] {
        let path = own_path();
        let answer = send(edge.visit_at(&own_address(), &path).header(TOKEN, edge.siteverify.token_of(wrong))).await;
        assert_eq!(answer.status, 403, "solved {what}: {}", answer.body);
        answer.assert_error(403, "challenge_failed");
        assert_eq!(answer.header("set-cookie"), None, "solved {what}");
        assert!(!edge.watched.let_through(&path), "solved {what}");
    }
    let other_host = Solved { hostname: "www.example".into(), ..solved() };
    send(edge.visit(&own_address()).header(TOKEN, edge.siteverify.token_of(other_host))).await.assert_served();
}

async fn a_token_that_is_too_long_is_not_even_asked_for(shared: &SharedStack) {
    let edge = strict(shared).await;
    let longest = "x".repeat(2048);
    edge.siteverify.give_out(&longest, Solved::default());
    send(edge.visit(&own_address()).header(TOKEN, &longest)).await.assert_served();
    let longer = "x".repeat(2049);
    edge.siteverify.give_out(&longer, Solved::default());
    send(edge.visit(&own_address()).header(TOKEN, &longer)).await.assert_error(403, "challenge_failed");
    assert_eq!(edge.siteverify.checks_of(&longer), []);
}

async fn without_siteverify_nobody_is_admitted_unless_that_is_wanted(shared: &SharedStack) {
    let (strict, lenient) = (strict(shared).await, lenient(shared).await);
    for manner in [Manner::Hang, Manner::HangUp, Manner::ServerError, Manner::Garbage] {
        let token = |edge: &Challenging| edge.siteverify.token_of(Solved { manner, ..Solved::default() });
        let path = own_path();
        let answer = send(strict.visit_at(&own_address(), &path).header(TOKEN, token(strict))).await;
        assert_eq!(answer.status, 503, "{manner:?}: {}", answer.body);
        answer.assert_error(503, "admission_unavailable");
        assert_eq!(answer.header("retry-after").as_deref(), Some("5"));
        assert_eq!(answer.decision(&shared.sink).await, ("refused".to_owned(), "turnstile_unavailable".to_owned()));
        assert!(!strict.watched.let_through(&path), "{manner:?}");

        let answer = send(lenient.visit(&own_address()).header(TOKEN, token(lenient))).await;
        assert_eq!(answer.status, 200, "{manner:?}: {}", answer.body);
        answer.assert_admitted(&shared.sink, "turnstile_unavailable").await;
        assert_eq!(answer.header("set-cookie"), None, "nothing was proved that a cookie could say");
    }
    // The operator's mistake, and not the visitor's.
    let token = strict.siteverify.token_of(Solved { manner: Manner::WrongSecret, ..Solved::default() });
    let answer = send(strict.visit(&own_address()).header(TOKEN, token)).await;
    answer.assert_error(503, "admission_unavailable");
}

async fn a_refused_token_stays_refused_where_failures_admit(shared: &SharedStack) {
    let edge = lenient(shared).await;
    send(edge.visit(&own_address())).await.assert_error(403, "challenge_required");
    send(edge.visit(&own_address()).header(TOKEN, "invented")).await.assert_error(403, "challenge_failed");
}

async fn the_token_stays_at_the_edge(shared: &SharedStack) {
    let edge = strict(shared).await;
    let (path, token) = (own_path(), edge.siteverify.token());
    send(edge.visit_at(&own_address(), &path).header(TOKEN, &token)).await.assert_served();
    let received = edge.watched.origin.wait_for_request(|request| request.uri == *path).await;
    assert!(!format!("{received:?}").contains(&token), "{received:?}");
    // Nor that of somebody who needs none.
    let path = own_path();
    let request = client::request(Method::GET, &edge.watched, &path).header(TOKEN, &token);
    send(request).await.assert_served();
    let received = edge.watched.origin.wait_for_request(|request| request.uri == *path).await;
    assert_eq!(received.header(TOKEN), None);
}

async fn neither_secret_nor_token_is_told(shared: &SharedStack) {
    let edge = strict(shared).await;
    let address = own_address();
    let mut private = vec![edge.siteverify.secret().to_owned(), edge.watched.api_key.clone(), address.clone()];
    private.extend(edge.watched.issuer_secrets.clone());
    private.push(edge.cookie(&address).await);
    for manner in [Manner::Documented, Manner::ServerError, Manner::Garbage, Manner::WrongSecret] {
        let token = edge.siteverify.token_of(Solved { manner, ..Solved::default() });
        send(edge.visit(&address).header(TOKEN, &token)).await.span(&shared.sink).await;
        assert_eq!(edge.siteverify.checks_of(&token).len(), 1, "{manner:?}");
        private.push(token);
    }
    send(client::request(Method::GET, &edge.watched, &own_path())).await.span(&shared.sink).await;
    let spans: Vec<_> = shared.sink.spans().into_iter().filter(|span| span.service == edge.watched.service).collect();
    assert!(spans.len() >= 5, "{spans:#?}");
    let log = edge.watched.edge.process().log().lines();
    let received = edge.watched.origin.requests();
    for secret in private {
        assert!(!format!("{spans:?}").contains(&secret), "in a span: {secret}");
        assert!(!log.iter().any(|line| line.contains(&secret)), "in the log: {secret}");
    }
    assert!(!format!("{received:?}").contains(edge.siteverify.secret()), "at the origin");
}

async fn a_holder_of_a_key_is_never_challenged(shared: &SharedStack) {
    let edge = strict(shared).await;
    for browser in Browser::ALL {
        let request = client::request(Method::GET, &edge.watched, &own_path()).dressed_as(browser);
        send(request).await.assert_admitted(&shared.sink, "api_key").await;
    }
    let request = client::request(Method::GET, &edge.watched, &own_path()).named(CURL);
    send(request.header(TOKEN, "invented")).await.assert_admitted(&shared.sink, "api_key").await;
    assert_eq!(edge.siteverify.checks_of("invented"), []);
}

async fn a_foreign_credential_is_challenged_unless_it_is_trusted(shared: &SharedStack) {
    const FOREIGN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.";
    let (strict, lenient) = (strict(shared).await, lenient(shared).await);
    let path = own_path();
    let request = strict.visit_at(&own_address(), &path).bearer_auth(FOREIGN);
    send(request).await.assert_error(403, "challenge_required");
    assert!(!strict.watched.let_through(&path));
    let request = lenient.visit(&own_address()).bearer_auth(FOREIGN);
    send(request).await.assert_admitted(&shared.sink, "foreign_credential").await;
}

async fn health_is_never_challenged(shared: &SharedStack) {
    let edge = strict(shared).await;
    let address = own_address();
    send(edge.visit(&address)).await.assert_error(403, "challenge_required");
    for path in ["/healthz", "/readyz"] {
        send(edge.visit_at(&address, path)).await.assert_served();
        send(client::request(Method::GET, edge.watched.without_key(), path)).await.assert_served();
    }
}
