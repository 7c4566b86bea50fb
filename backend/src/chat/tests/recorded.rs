//! Accounts of plans over the providers `a`, `b` and `c`, and shorthand for what is told of them.

use std::collections::HashMap;

use super::*;
use crate::{
    chat::{
        Accounted, Accounts, Bill, NotAccounted,
        recording::{self, Recorder, Told},
    },
    ports::Principal,
};

/// Models `m` of `a` and `b`, of which both have a price, and of `c`, which has none. `b` is the dearer one, and answers at
/// most 100 tokens.
pub(super) fn catalogue() -> Catalogue {
    let prices = r#""prices":[{"from":"2026-01-01","input":1000000,"cached_input":500000,"output":2000000,
        "batch":{"input":500000,"output":1000000}}]"#;
    let dearer = r#""prices":[{"from":"2026-01-01","input":3000000,"output":4000000}]"#;
    let model = |provider: &str, most: u32, prices: &str| {
        format!(
            r#"{{"provider":"{provider}","name":"m","context_window":1000,"max_output_tokens":{most}{}{prices}}}"#,
            if prices.is_empty() { "" } else { "," }
        )
    };
    let models = [model("a", 200, prices), model("b", 100, dearer), model("c", 100, "")].join(",");
    let json = format!(
        r#"{{"version":"1","providers":{{"a":{{"title":""}},"b":{{"title":""}},"c":{{"title":""}}}},"models":[{models}]}}"#
    );
    Catalogue::parse(&json).unwrap()
}

/// Accounts that are recorded. Users may spend so much; `None`: nobody is limited in that.
pub(super) fn accounts(recorder: &Arc<Recorder>, nano_usd_per_day: Option<u64>) -> Accounts {
    recording::accounts(recorder, catalogue(), nano_usd_per_day)
}

/// A bill of a prompt of 10 tokens for these entries.
pub(super) fn bill(entries: &[Usable]) -> Bill<'_> {
    Bill {
        request_id: request(false).client.request_id,
        principal: Principal::anonymous(),
        api: Api::ChatCompletions,
        stream: false,
        model_asked: "m",
        trace_id: None,
        conversation_id: None,
        prompt_tokens: 10,
        output_tokens: None,
        choices: 1,
        service_tier: None,
        entries,
    }
}

/// What opening fails with.
pub(super) fn refused(opened: Result<Accounted, NotAccounted>) -> NotAccounted {
    match opened {
        Err(refused) => refused,
        Ok(_) => panic!("it was to be refused"),
    }
}

/// How often each kind of thing was told.
pub(super) fn counts(told: &[Told]) -> HashMap<&'static str, usize> {
    let mut counts = HashMap::new();
    for told in told {
        let kind = match told {
            Told::Reserved(_) => "reserved",
            Told::Opened(_) => "opened",
            Told::Used(_) => "used",
            Told::Settled(_) => "settled",
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}
