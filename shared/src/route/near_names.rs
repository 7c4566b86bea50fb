//! Names of the catalogue that a client may have meant.

use crate::catalogue::{Catalogue, Kind};

/// How many names are offered.
const MOST: usize = 3;
/// Longest name that is compared: no model has a longer one than this, with its provider's before it.
const NAME_BYTES: usize = 193;
/// Most letters that may be wrong.
const EDITS: usize = 3;
/// What is shorter is part of too many names.
const PART_BYTES: usize = 3;

/// The nearest names of a kind, best first: those that differ in few letters (at most three, and at most a third of them), then
/// those that the name is a part of, or that are a part of it. Upper and lower case are the same.
pub(super) fn near<'a>(catalogue: &'a Catalogue, kind: Kind, asked: &str) -> Vec<String> {
    let mut best: Vec<(usize, String)> = Vec::new();
    if !(1..=NAME_BYTES).contains(&asked.len()) {
        return Vec::new();
    }
    let asked = asked.to_ascii_lowercase();
    let mut consider = |name: &'a str, provider: Option<&'a str>| {
        let name = provider.map_or_else(|| name.to_owned(), |provider| [provider, "/", name].concat());
        let Some(distance) = distance(asked.as_bytes(), name.to_ascii_lowercase().as_bytes()) else { return };
        let place = best.iter().position(|(other, _)| *other > distance).unwrap_or(best.len());
        if place < MOST && best.iter().all(|(_, other)| *other != name) {
            best.insert(place, (distance, name));
            best.truncate(MOST);
        }
    };
    for (name, _) in catalogue.aliases().filter(|(_, alias)| alias.kind() == kind) {
        consider(name, None);
    }
    for model in catalogue.models().iter().filter(|model| model.kind == kind) {
        // Who writes a provider means a provider.
        consider(&model.name, asked.contains('/').then_some(&model.provider));
    }
    best.into_iter().map(|(_, name)| name).collect()
}

/// How far two names are apart; none if too far.
fn distance(asked: &[u8], name: &[u8]) -> Option<usize> {
    let most = EDITS.min(asked.len() / 3);
    edits(asked, name, most).or_else(|| {
        let (short, long) = if asked.len() < name.len() { (asked, name) } else { (name, asked) };
        let is_part = short.len() >= PART_BYTES && long.windows(short.len()).any(|part| part == short);
        is_part.then_some(EDITS + 1 + long.len() - short.len())
    })
}

/// The least number of letters to insert, remove or replace (Levenshtein), if it is at most `most`.
fn edits(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most || b.len() > NAME_BYTES {
        return None;
    }
    let mut row = [0; NAME_BYTES + 1];
    for (index, cell) in row.iter_mut().enumerate() {
        *cell = index;
    }
    for (line, letter) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        let mut least = row[0];
        for (column, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
            least = least.min(row[column + 1]);
        }
        if least > most {
            return None;
        }
    }
    Some(row[b.len()]).filter(|edits| *edits <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::BUILT_IN;

    #[test]
    fn names_are_near_by_letters_or_as_parts() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        for (asked, expected) in [
            ("gpt-4.1-mni", &["gpt-4.1-mini", "gpt-4o-mini", "gpt-4.1"][..]),
            ("GPT-4.1", &["gpt-4.1", "gpt-4.1-mini"]),
            ("aut", &["auto"]),
            ("gpt-4o-mini-2024-07-18", &["gpt-4o-mini"]),
            ("opnai/gpt-4.1", &["openai/gpt-4.1"]),
            ("claude-haiku", &["claude-haiku-5-5", "claude-haiku-4-5"]),
            ("embed", &[]),
            ("text-embedding-3-smal", &[]),
            ("llama", &[]),
            ("xy", &[]),
            ("", &[]),
        ] {
            assert_eq!(near(&catalogue, Kind::Chat, asked), expected, "{asked}");
        }
        assert!(near(&catalogue, Kind::Chat, &"gpt-4.1".repeat(100)).is_empty());
        for (asked, expected) in [
            ("text-embedding-3-smal", &["text-embedding-3-small", "embed"][..]),
            ("embedd", &["embed", "gemini-embedding-001", "goblin-demo-embedding"]),
            ("gpt-4.1", &[]),
        ] {
            assert_eq!(near(&catalogue, Kind::Embedding, asked), expected, "{asked}");
        }
    }

    /// By its definition.
    fn naive(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([x, a @ ..], [y, b @ ..]) if x == y => naive(a, b),
            ([_, a_rest @ ..], [_, b_rest @ ..]) => {
                1 + naive(a_rest, b).min(naive(a, b_rest)).min(naive(a_rest, b_rest))
            }
        }
    }

    proptest! {
        #[test]
        fn edits_are_counted_as_defined(a in "[ab-]{0,7}", b in "[ab-]{0,7}", most in 0_usize..8) {
            let expected = Some(naive(a.as_bytes(), b.as_bytes())).filter(|edits| *edits <= most);
            prop_assert_eq!(edits(a.as_bytes(), b.as_bytes(), most), expected);
        }

        #[test]
        fn any_name_can_be_asked(asked in "\\PC*") {
            let catalogue = Catalogue::parse(BUILT_IN).unwrap();
            prop_assert!(near(&catalogue, Kind::Chat, &asked).len() <= MOST);
            prop_assert!(near(&catalogue, Kind::Embedding, &asked).len() <= MOST);
        }
    }
}
