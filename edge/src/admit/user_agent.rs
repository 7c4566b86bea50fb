//! What a User-Agent names: a crawler, a tool, or nothing known.
//!
//! The list is `edge/crawlers.tsv`, generated from the npm package `crawler-user-agents` and corrected by
//! `edge/crawlers_own.tsv`. `edge/build.rs` makes tables of the two, so that no regular expression engine is in the
//! Worker: a User-Agent is walked once, each three bytes in a row (a *gram*) are looked up in a filter, and only where
//! that hits are patterns compared. Browsers hit it hardly ever, as the grams were chosen against real ones.

mod class;
mod gram;
#[cfg(test)]
mod list;
#[cfg(test)]
mod pattern;
mod program;
#[cfg(test)]
mod table;

pub use class::AgentClass;
use program::Verdict;

include!(concat!(env!("OUT_DIR"), "/user_agents.rs"));

/// A User-Agent that is on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub class: AgentClass,
    /// The pattern of the list that tells so.
    pub pattern: &'static str,
}

/// Looks a User-Agent up.
///
/// Of several patterns that match, the one counts whose class comes first in [`AgentClass::PRECEDENCE`], then the one
/// that tells most characters, then the first in the order of bytes. Takes time in proportion to the agent's length,
/// whatever it says.
#[must_use]
pub fn classify(user_agent: &str) -> Option<Listed> {
    let agent = user_agent.as_bytes();
    // Patterns are sorted: the first that matches counts.
    let mut best = PATTERN_COUNT;
    let mut nowhere = [false; GAPPED_COUNT];
    let mut gram = 0;
    for (end, byte) in (1..).zip(agent) {
        gram = gram::push(gram, *byte);
        let (bucket, bit) = gram::place(gram);
        if FILTER[bucket] & bit == 0 || end < gram::LENGTH {
            continue;
        }
        let entries = usize::from(BUCKET_STARTS[bucket])..usize::from(BUCKET_STARTS[bucket + 1]);
        for entry in entries {
            let index = usize::from(ENTRY_PROGRAMS[entry]);
            let Some(start) = (end - gram::LENGTH).checked_sub(usize::from(ENTRY_OFFSETS[entry])) else { continue };
            let own = index.checked_sub(PATTERN_COUNT);
            let pattern = own.map_or(index, |own| usize::from(PROGRAM_PATTERNS[own]));
            if pattern >= best || own.is_some_and(|own| nowhere.get(own) == Some(&true)) {
                continue;
            }
            match program::run(own.map_or_else(|| pattern_text(index).as_bytes(), own_program), agent, start) {
                Verdict::Here => best = pattern,
                Verdict::NotHere => {}
                // Not looked for again, or an agent that repeats the beginning would cost the square of its length.
                Verdict::Nowhere => {
                    if let Some(nowhere) = own.and_then(|own| nowhere.get_mut(own)) {
                        *nowhere = true;
                    }
                }
            }
        }
    }
    let class = CLASS_ENDS.iter().position(|end| best < usize::from(*end))?;
    Some(Listed { class: AgentClass::PRECEDENCE[class], pattern: pattern_text(best) })
}

fn pattern_text(index: usize) -> &'static str {
    &PATTERNS[usize::from(PATTERN_STARTS[index])..usize::from(PATTERN_STARTS[index + 1])]
}

fn own_program(index: usize) -> &'static [u8] {
    &PROGRAMS[usize::from(PROGRAM_STARTS[index])..usize::from(PROGRAM_STARTS[index + 1])]
}
