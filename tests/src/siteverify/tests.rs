use reqwest::RequestBuilder;
use time::format_description::well_known::Rfc3339;

use super::*;
use crate::http_client;

async fn verdict(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn check(siteverify: &Siteverify, token: &str) -> Value {
    verdict(http_client::new().post(siteverify.url()).json(&json!({"secret": siteverify.secret(), "response": token})))
        .await
}

#[tokio::test]
async fn a_token_is_good_once_and_says_what_was_solved() {
    let siteverify = Siteverify::start().await.unwrap();
    let solved = Solved { cdata: Some("session".into()), age: Duration::from_secs(20), ..Solved::default() };
    let token = siteverify.token_of(solved);
    let first = check(&siteverify, &token).await;
    assert_eq!(
        (&first["success"], &first["hostname"], &first["action"], &first["cdata"], &first["error-codes"]),
        (&json!(true), &json!("chat.example"), &json!("chat"), &json!("session"), &json!([]))
    );
    let solved_at = OffsetDateTime::parse(first["challenge_ts"].as_str().unwrap(), &Rfc3339).unwrap();
    let age = OffsetDateTime::now_utc() - solved_at;
    assert!((20.0..50.0).contains(&age.as_seconds_f64()), "{first}");
    let second = check(&siteverify, &token).await;
    assert_eq!(second["error-codes"], json!(["timeout-or-duplicate"]));
    assert_eq!(siteverify.checks_of(&token).len(), 2);
}

#[tokio::test]
async fn forms_are_read_too_and_a_check_may_be_repeated_under_its_key() {
    let siteverify = Siteverify::start().await.unwrap();
    let token = "0.with+signs & more";
    siteverify.give_out(token, Solved::default());
    let form = |key: &str| {
        let fields = [
            ("secret", siteverify.secret()),
            ("response", token),
            ("remoteip", "2001:db8::1"),
            ("idempotency_key", key),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http_client::new().post(siteverify.url());
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    for (key, success) in [("one", true), ("one", true), ("two", false)] {
        assert_eq!(verdict(form(key)).await["success"], success, "{key}");
    }
    let expected = Check {
        secret: Some(siteverify.secret().to_owned()),
        response: Some(token.to_owned()),
        remoteip: Some("2001:db8::1".to_owned()),
        idempotency_key: Some("one".to_owned()),
    };
    assert_eq!(siteverify.checks()[0], expected);
}

#[tokio::test]
async fn what_is_not_in_order_is_refused_by_name() {
    let siteverify = Siteverify::start().await.unwrap();
    let old = siteverify.token_of(Solved { age: Duration::from_secs(301), ..Solved::default() });
    let secret = siteverify.secret();
    for (body, code) in [
        (json!({"response": "x"}), "missing-input-secret"),
        (json!({"secret": "wrong", "response": "x"}), "invalid-input-secret"),
        (json!({"secret": secret}), "missing-input-response"),
        (json!({"secret": secret, "response": "x"}), "invalid-input-response"),
        (json!({"secret": secret, "response": old}), "timeout-or-duplicate"),
    ] {
        let verdict = verdict(http_client::new().post(siteverify.url()).json(&body)).await;
        assert_eq!((&verdict["success"], &verdict["error-codes"]), (&json!(false), &json!([code])));
    }
    let plain = verdict(http_client::new().post(siteverify.url()).header("content-type", "text/plain").body("x")).await;
    assert_eq!(plain["error-codes"], json!(["bad-request"]));
    assert_eq!(http_client::new().get(siteverify.url()).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn it_misbehaves_on_order() {
    let siteverify = Siteverify::start().await.unwrap();
    let token = |manner| siteverify.token_of(Solved { manner, age: Duration::from_secs(301), ..Solved::default() });
    let careless = token(Manner::Careless);
    for _ in 0..2 {
        assert_eq!(check(&siteverify, &careless).await["success"], true);
    }
    let wrong = check(&siteverify, &token(Manner::WrongSecret)).await;
    assert_eq!(wrong["error-codes"], json!(["invalid-input-secret"]));
    assert!(!check(&siteverify, &token(Manner::Garbage)).await.is_object());
    let ask = |manner| {
        let body = json!({"secret": siteverify.secret(), "response": token(manner)});
        http_client::new().post(siteverify.url()).json(&body).send()
    };
    assert_eq!(ask(Manner::ServerError).await.unwrap().status(), 500);
    ask(Manner::HangUp).await.unwrap_err();
    let asked = ask(Manner::Hang);
    tokio::select! {
        answer = asked => panic!("it answered: {answer:?}"),
        () = async { siteverify.state.checks.wait(|checks| (checks.len() == 6).then_some(())).await } => {}
    }
}
