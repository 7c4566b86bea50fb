//! Whatever was said and whatever the window is.

use proptest::prelude::*;
use serde_json::json;

use super::super::assemble::{Cut, Past, Request, Room};
use super::*;

/// Turns that begin with a user's message or with the result of a tool, each with its length.
fn turns() -> impl Strategy<Value = Vec<(bool, usize)>> {
    prop::collection::vec((prop::bool::weighted(0.7), 0_usize..120), 0..30)
}

fn past(turns: &[(bool, usize)]) -> Vec<Past> {
    let turn = |(number, (is_user, length)): (usize, &(bool, usize))| {
        let role = if *is_user { "user" } else { "tool" };
        let said = json!([
            { "role": role, "content": "x".repeat(*length), "turn": number },
            { "role": "assistant", "content": "y", "turn": number },
        ]);
        Past::new(said.to_string())
    };
    turns.iter().enumerate().map(turn).collect()
}

proptest! {
    #[test]
    fn as_much_goes_along_as_fits_and_no_more(
        turns in turns(),
        answers_tool in prop::bool::ANY,
        window in 0_u32..2_000,
        base in 0_u32..200,
        known in 0_usize..30,
    ) {
        let role = if answers_tool { "tool" } else { "user" };
        let body = json!({
            "a": 1.50, "conversation_id": "c",
            "messages": [{ "role": "system", "content": "s" }, { "role": role, "content": "own" }, { "role": "user", "content": "too" }],
            "z": [ "\u{e9}" ],
        })
        .to_string();
        let request = Request::read(body.as_bytes()).unwrap();
        let all = past(&turns);
        let room = Room { tokens: window, base };
        let Cut::At(at) = request.cut(&all, true, room) else { panic!("all are known") };
        let tokens = |at: usize| all[at..].iter().fold(base, |sum, turn| sum + turn.tokens());
        // Whether what remains may begin there.
        let is_whole = |at: usize| at == 0 || turns.get(at).map_or(!answers_tool, |(is_user, _)| *is_user);
        prop_assert!(is_whole(at));
        let places: Vec<usize> = (0..=all.len()).filter(|at| is_whole(*at)).collect();
        let fitting: Vec<usize> = places.iter().copied().filter(|at| tokens(*at) <= window).collect();
        // The longest that fits; or, where nothing does, the shortest there is.
        prop_assert_eq!(at, fitting.first().copied().unwrap_or(*places.last().unwrap()));

        // Who knows only the latest says the same, or that it does not know.
        let begin = all.len().saturating_sub(known);
        match request.cut(&all[begin..], begin == 0, room) {
            Cut::At(found) => prop_assert_eq!(begin + found, at),
            Cut::Further => prop_assert!(begin > 0),
        }

        let sent: Value = serde_json::from_slice(&request.assemble(Some("not told"), &all[at..])).unwrap();
        let messages = sent["messages"].as_array().unwrap();
        prop_assert_eq!(messages.len(), 1 + 2 * (all.len() - at) + 2);
        prop_assert_eq!(&messages[0]["content"], "s");
        prop_assert_eq!(&messages[messages.len() - 2]["content"], "own");
        prop_assert_eq!(&messages[messages.len() - 1]["content"], "too");
        let order: Vec<u64> = messages.iter().filter_map(|message| message["turn"].as_u64()).collect();
        let expected: Vec<u64> = (at..all.len()).flat_map(|turn| [turn as u64; 2]).collect();
        prop_assert_eq!(order, expected);
    }

    #[test]
    fn all_else_stays_as_it_is_written(name in "[a-z\"\\\\]{1,8}é", value in "[ -~]{0,20}", spaces in " {0,3}") {
        let (name, value) = (json!(name).to_string(), format!("{{{spaces}\"v\" : {}, \"n\":1.0e+2}}", json!(value)));
        let messages = r#"[{"role":"user","content":"hi"}]"#;
        let body = format!("{spaces}{{ {name} : {value}, \"messages\":{messages},\"conversation_id\":\"c\",{name}: 1.50}}");
        let assembled = Request::read(body.as_bytes()).unwrap().assemble(None, &[]);
        let expected = format!("{{{name}:{value},\"messages\":{messages},{name}:1.50}}");
        prop_assert_eq!(str::from_utf8(&assembled).unwrap(), expected);
    }
}

#[test]
fn pictures_do_not_make_a_body_without_bound() {
    let body = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let request = Request::read(body.as_bytes()).unwrap();
    let picture = format!("data:image/png;base64,{}", "A".repeat(5 << 20));
    let turn = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": picture } }] }]);
    let turn = Past::new(turn.to_string());
    assert!(turn.tokens() < 1_100);
    let past = vec![turn; 5];
    assert_eq!(request.cut(&past, true, Room { tokens: 1_000_000, base: 0 }), Cut::At(2));
}
