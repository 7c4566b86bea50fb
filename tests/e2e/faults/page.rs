//! The table of `docs/provider-faults.md`, written from what was observed.

use std::{collections::HashSet, env, fmt::Write as _, hash::Hash};

use goblin_tests::{fault_server::Fault, workspace};

use super::{
    asking::End,
    cell::{Cell, LeftAlone},
};

/// What was observed of a fault. Each pair is of an answer in one piece, and of a streamed one.
pub(super) struct Row {
    pub(super) fault: Fault,
    pub(super) alone: [Cell; 2],
    pub(super) with_spare: [Cell; 2],
}

const BEGIN: &str =
    "<!-- Observed by `cargo xtask test faults`, which compares; GOBLIN_UPDATE_DOCS=1 has it write. -->\n";
const END: &str = "<!-- To here. -->\n";

/// Compares the page's table with what was observed, or writes it where `GOBLIN_UPDATE_DOCS` asks for that.
pub(super) fn check_page(rows: &[Row]) {
    let path = workspace::root().join("docs/provider-faults.md");
    let page = std::fs::read_to_string(&path).expect("docs/provider-faults.md");
    let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("{BEGIN}is missing in {}", path.display()));
    let (committed, after) = rest.split_once(END).unwrap_or_else(|| panic!("{END}is missing in {}", path.display()));
    let observed = table(rows);
    if env::var_os("GOBLIN_UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, BEGIN, &observed, END, after].concat()).expect("a page that can be written");
    } else {
        let hint = "docs/provider-faults.md is not what was observed; write it anew with GOBLIN_UPDATE_DOCS=1";
        assert_eq!(committed, observed, "{hint}");
    }
}

fn table(rows: &[Row]) -> String {
    let mut text =
        "| fault | one piece, nobody left | streamed, nobody left | with a fallback left | calls | `error.type` \
                    | breaker |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let Row { fault, alone, with_spare } = row;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            described(*fault),
            end(&alone[0].end),
            end(&alone[1].end),
            of_forms(with_spare.each_ref().map(|cell| end(&cell.end))),
            calls(row),
            of_forms(alone.each_ref().map(|cell| match &cell.error_type {
                Some(error_type) => format!("`{error_type}`"),
                None => "–".to_owned(),
            })),
            left_alone(row),
        );
    }
    text
}

fn are_one<T: Eq + Hash>(all: &[T]) -> bool {
    all.iter().collect::<HashSet<_>>().len() == 1
}

/// One text for both forms where they are alike.
fn of_forms([whole, streamed]: [String; 2]) -> String {
    if whole == streamed { whole } else { format!("one piece: {whole}; streamed: {streamed}") }
}

fn calls(Row { alone, with_spare, .. }: &Row) -> String {
    let of = |cells: &[Cell; 2]| of_forms(cells.each_ref().map(|cell| cell.calls.to_string()));
    let (alone, with_spare) = (of(alone), of(with_spare));
    if alone == with_spare { alone } else { format!("{alone}; with a fallback {with_spare}") }
}

fn left_alone(Row { alone, with_spare, .. }: &Row) -> String {
    let all: Vec<_> = alone.iter().chain(with_spare).map(|cell| cell.left_alone).collect();
    // Who is left alone does not depend on who else is there.
    assert!(all[..2] == all[2..], "{all:?}");
    let text = |left_alone| match left_alone {
        LeftAlone::Never => "stays closed",
        LeftAlone::AsItSays => "stays closed; not called before the time that it says",
        LeftAlone::Model => "the model's opens",
        LeftAlone::Provider => "the provider's opens",
    };
    if are_one(&all) { text(all[0]).to_owned() } else { of_forms([text(all[0]).to_owned(), text(all[1]).to_owned()]) }
}

fn end(end: &End) -> String {
    match end {
        End::Answered => "200: the answer".to_owned(),
        End::Nothing => "200: nothing".to_owned(),
        End::BySpare => "200: the fallback's answer".to_owned(),
        End::Told { status, code, retry_after: None } => format!("{status} `{code}`"),
        End::Told { status, code, retry_after: Some(seconds) } => {
            format!("{status} `{code}`, `retry-after: {seconds}`")
        }
        End::BrokenOff { code } => format!("200: what came, then an error event `{code}`"),
    }
}

/// What operators call the fault.
fn described(fault: Fault) -> &'static str {
    match fault {
        Fault::RefusedConnection => "the connection is refused",
        Fault::ConnectTimeout => "the connection takes longer than `timeouts.connect`",
        Fault::Reset => "the connection is reset",
        Fault::TlsFailure => "the TLS handshake fails",
        Fault::UnknownHost => "its name does not resolve",
        Fault::BadRequest => "400",
        Fault::Unauthorized => "401",
        Fault::Forbidden => "403",
        Fault::RateLimited => "429",
        Fault::RateLimitedWithRetryAfter | Fault::RateLimitedBriefly => "429 with `retry-after: 60`",
        Fault::InternalError => "500",
        Fault::Overloaded => "529",
        Fault::SlowHead => "no answer at all",
        Fault::SlowFirstToken => "a head, and then no content",
        Fault::SilenceBetweenTokens => "some content, and then no more",
        Fault::CutHead => "the connection ends in mid-head",
        Fault::CutBeforeContent => "the connection ends before the first content",
        Fault::CutInEvent => "the body ends within the first content, in good order",
        Fault::CutAfterContent => "the connection ends in mid-content",
        Fault::Garbage => "200 with what is not JSON",
        Fault::HugeLine => "200 with a line of 9 MiB",
        Fault::WrongContentType => "200 with a page of HTML",
        Fault::Found => "302 to another place",
        Fault::TemporaryRedirect => "307 to another place",
        Fault::EmptyBody => "200 with an empty body",
        Fault::NothingSaid => "200 without a choice, or an end alone (`[DONE]`)",
        Fault::ReportedOverload => "200 with an error: overloaded",
        Fault::ReportedError => "200 with an error: the server's",
        Fault::ReportedRejection => "200 with an error: the request's",
    }
}
