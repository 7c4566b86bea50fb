//! From a pattern of the list to the programs that match it. Used by `edge/build.rs` alone.
//!
//! The list is written for regular expression engines, but needs little of them. Whatever is not understood here is an
//! error: a pattern is never left out and never matched otherwise than it says.

use super::{gram, program};

/// A pattern that stands for more than this is taken for a mistake.
const MOST_ALTERNATIVES: usize = 64;

/// What stands at one place of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atom {
    /// The start of the User-Agent.
    Start,
    /// Its end.
    End,
    /// This byte.
    Byte(u8),
    /// One byte, but not this.
    Not(u8),
    /// One decimal digit.
    Digit,
    /// One decimal digit or more.
    Digits,
    /// Any bytes or none.
    Gap,
}

impl Atom {
    /// Whether a digit could be at its place.
    fn may_be_digit(self) -> bool {
        match self {
            Self::Byte(byte) => byte.is_ascii_digit(),
            Self::End => false,
            Self::Start | Self::Not(_) | Self::Digit | Self::Digits | Self::Gap => true,
        }
    }
}

/// One of the texts for which a pattern stands. Never empty, with at least one gram to find it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternative(Vec<Atom>);

impl Alternative {
    /// The form in which it is matched.
    pub(crate) fn program(&self) -> Vec<u8> {
        let mut codes = Vec::new();
        let mut after_gap = false;
        for atom in &self.0 {
            match *atom {
                Atom::Start => codes.push(b'^'),
                Atom::End => codes.push(b'$'),
                Atom::Byte(byte) => {
                    let is_code = matches!(byte, b'^' | b'$' | b'\\') && !after_gap;
                    codes.extend(is_code.then_some(b'\\'));
                    codes.push(byte);
                }
                Atom::Not(byte) => codes.extend([program::NOT, byte]),
                Atom::Digit => codes.push(program::DIGIT),
                Atom::Digits => codes.push(program::DIGITS),
                Atom::Gap => {
                    codes.push(program::GAP);
                    after_gap = true;
                }
            }
        }
        codes
    }

    /// Whether its pattern itself is a program for it.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.iter().all(|atom| matches!(atom, Atom::Start | Atom::End | Atom::Byte(_)))
    }

    /// Whether something is left open between its parts.
    pub(crate) fn has_gap(&self) -> bool {
        self.0.contains(&Atom::Gap)
    }

    /// How many bytes it tells.
    pub(crate) fn told(&self) -> usize {
        self.0.iter().filter(|atom| matches!(atom, Atom::Byte(_))).count()
    }

    /// The grams by which it can be found, each with its distance from where the match begins.
    pub(crate) fn grams(&self) -> Vec<(usize, u32)> {
        let fixed: Vec<Option<u8>> = self
            .0
            .iter()
            .take_while(|atom| !matches!(atom, Atom::Gap | Atom::Digits))
            .filter(|atom| !matches!(atom, Atom::Start | Atom::End))
            .map(|atom| if let Atom::Byte(byte) = atom { Some(*byte) } else { None })
            .collect();
        let windows = fixed.windows(gram::LENGTH).enumerate();
        windows
            .filter_map(|(at, window)| {
                let bytes = window.iter().copied().collect::<Option<Vec<u8>>>()?;
                Some((at, bytes.into_iter().fold(0, gram::push)))
            })
            .collect()
    }

    /// Refuses what the matcher cannot run.
    fn check(&self) -> Result<(), String> {
        let atoms = &self.0;
        let last = atoms.len().saturating_sub(1);
        for (at, atom) in atoms.iter().enumerate() {
            match atom {
                Atom::Start if at > 0 => return Err("`^` is not at its start".into()),
                Atom::End if at < last => return Err("`$` is not at its end".into()),
                Atom::Gap if at == 0 || at == last || atoms[at + 1] == Atom::Gap => {
                    return Err("there is nothing on one side of its gap".into());
                }
                // Digits are taken as far as they go, and no byte is given back.
                Atom::Digits if atoms.get(at + 1).is_some_and(|next| next.may_be_digit()) => {
                    return Err("what follows `\\d+` could be a digit too".into());
                }
                _ => {}
            }
        }
        // The parts around a gap are each taken where they come first, which is right for literals alone.
        let is_literal = |atom: &Atom| matches!(atom, Atom::Byte(_) | Atom::Gap | Atom::Start);
        if self.has_gap() && !atoms.iter().all(is_literal) {
            return Err("only literals can stand around a gap".into());
        }
        if self.grams().is_empty() {
            return Err(format!("it has no {} literal characters in a row to find it by", gram::LENGTH));
        }
        Ok(())
    }
}

/// Everything for which a pattern stands, or why it is not understood.
pub(crate) fn expand(pattern: &str) -> Result<Vec<Alternative>, String> {
    let mut parser = Parser { rest: pattern.as_bytes() };
    let alternatives = parser.either()?;
    if !parser.rest.is_empty() {
        return Err("it closes a group that it did not open".into());
    }
    let alternatives: Vec<Alternative> = alternatives.into_iter().map(Alternative).collect();
    alternatives.iter().try_for_each(Alternative::check)?;
    Ok(alternatives)
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    /// `a|b`, up to the end or the end of the group.
    fn either(&mut self) -> Result<Vec<Vec<Atom>>, String> {
        let mut all = self.sequence()?;
        while self.takes(b"|") {
            all.extend(self.sequence()?);
        }
        Ok(all)
    }

    fn sequence(&mut self) -> Result<Vec<Vec<Atom>>, String> {
        let mut all = vec![Vec::new()];
        while let Some(&byte) = self.rest.first() {
            if matches!(byte, b'|' | b')') {
                break;
            }
            let parts = self.item()?;
            if matches!(self.rest.first(), Some(b'*' | b'+' | b'?' | b'{')) {
                return Err(format!("`{}` is not understood here", char::from(self.rest[0])));
            }
            all = all.iter().flat_map(|head| parts.iter().map(|tail| [&head[..], tail].concat())).collect();
            if all.len() > MOST_ALTERNATIVES {
                return Err(format!("it stands for more than {MOST_ALTERNATIVES} texts"));
            }
        }
        Ok(all)
    }

    fn item(&mut self) -> Result<Vec<Vec<Atom>>, String> {
        let Some(byte) = self.next() else { return Ok(vec![]) };
        let atom = match byte {
            b'(' => {
                let group = self.either()?;
                return if self.takes(b")") { Ok(group) } else { Err("it does not close a group".into()) };
            }
            b'[' if self.takes(br"\s\S]*") => Atom::Gap,
            b'[' => return self.class(),
            b'^' => Atom::Start,
            b'$' => Atom::End,
            b'\\' if self.takes(b"d+") => Atom::Digits,
            b'\\' if self.takes(b"d") => Atom::Digit,
            b'\\' => match self.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => Atom::Byte(escaped),
                _ => return Err("`\\` is followed by what is not understood".into()),
            },
            b'.' | b'*' | b'+' | b'?' | b'{' | b'}' | b']' => {
                return Err(format!("`{}` is not understood here", char::from(byte)));
            }
            b' '..=b'~' => Atom::Byte(byte),
            _ => return Err("it has other characters than printable ASCII".into()),
        };
        Ok(vec![vec![atom]])
    }

    /// `[aB]` or `[^a]`, after its bracket.
    fn class(&mut self) -> Result<Vec<Vec<Atom>>, String> {
        let is_negated = self.takes(b"^");
        let Some(end) = self.rest.iter().position(|byte| *byte == b']') else {
            return Err("it does not close a `[`".into());
        };
        let (bytes, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        match (is_negated, bytes) {
            (true, [byte]) => Ok(vec![vec![Atom::Not(*byte)]]),
            (false, [_, ..]) if bytes.iter().all(u8::is_ascii_alphanumeric) => {
                Ok(bytes.iter().map(|byte| vec![Atom::Byte(*byte)]).collect())
            }
            _ => Err(format!("`[{}]` is not understood", bytes.escape_ascii())),
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn takes(&mut self, wanted: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The programs as text, control codes in hex.
    fn programs(pattern: &str) -> Vec<String> {
        let alternatives = expand(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        alternatives.iter().map(|alternative| alternative.program().escape_ascii().to_string()).collect()
    }

    #[test]
    fn what_the_list_says_is_understood() {
        for (pattern, expected) in [
            ("GPTBot", &["GPTBot"][..]),
            (r"Googlebot\/", &["Googlebot/"]),
            (r"Mediapartners \(Googlebot\)", &["Mediapartners (Googlebot)"]),
            (r"developers\.google\.com\/\+\/web", &["developers.google.com/+/web"]),
            ("^curl", &["^curl"]),
            ("SSL Labs$", &["SSL Labs$"]),
            (r"cost\$\^\\x", &[r"cost\\$\\^\\\\x"]),
            ("[wW]get", &["wget", "Wget"]),
            ("S[eE][mM]rush", &["SemrushBot", "SeMrushBot", "SEmrushBot", "SEMrushBot"].map(|text| &text[..7])),
            ("Ahrefs(Bot|SiteAudit)", &["AhrefsBot", "AhrefsSiteAudit"]),
            (r"(^| )PTST\/", &["^PTST/", " PTST/"]),
            ("AdsBot([^-]|$)", &[r"AdsBot\x03-", "AdsBot$"]),
            ("Netumo|netumo", &["Netumo", "netumo"]),
            (r"Spider[\s\S]*spider\.com", &[r"Spider\x04spider.com"]),
            (r"cash[\s\S]*\$\$", &[r"cash\x04$$"]),
            (r"Traffic\/\d\.\d+ Feed", &[r"Traffic/\x01.\x02 Feed"]),
        ] {
            assert_eq!(programs(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_never_left_out() {
        for pattern in [
            "",
            "ab",
            "Bot|",
            "Bot|ab",
            "Bot.",
            "Bots?",
            "Bot+",
            "Bot{2}",
            "(?i)bot",
            "(?:bot)",
            "(bot)?",
            "(bot",
            "bot)",
            "[bot",
            "bot]",
            "bot[]",
            "bot[a-z]",
            r"bot[\d]",
            "bot[^ab]",
            r"bot\w",
            r"bot\b",
            r"bot\D",
            r"bot\",
            "bot[ab]*",
            r"bot\d*",
            r"bot\d+1",
            r"bot\d+\d",
            r"[\s\S]*bot",
            r"bot[\s\S]*",
            r"bot[\s\S]*[\s\S]*bot",
            r"bot[\s\S]*bot$",
            r"bot\d[\s\S]*bot",
            "bot^bot",
            "bot$bot",
            r"a\db\dc",
            "böt",
            "bot\tbot",
            "[ab][ab][ab][ab][ab][ab][ab]bot",
        ] {
            assert!(expand(pattern).is_err(), "{pattern}: {:?}", expand(pattern));
        }
    }

    #[test]
    fn grams_are_taken_where_their_place_is_known() {
        let grams = |pattern: &str| {
            let alternatives = expand(pattern).unwrap();
            let text = |gram: u32| gram.to_be_bytes()[1..].escape_ascii().to_string();
            alternatives[0].grams().into_iter().map(|(at, gram)| (at, text(gram))).collect::<Vec<_>>()
        };
        let expected =
            |grams: &[(usize, &str)]| -> Vec<_> { grams.iter().map(|(at, gram)| (*at, (*gram).to_owned())).collect() };
        assert_eq!(grams(r"^Bot\/"), expected(&[(0, "Bot"), (1, "ot/")]));
        assert_eq!(grams(r"Bo\dabc\d+xyz"), expected(&[(3, "abc")]));
        assert_eq!(grams(r"Bot[\s\S]*spider"), expected(&[(0, "Bot")]));
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused(pattern in r"([a-zA-Z]{3}|[ -~]|\\\PC|\[\\s\\S\]\*|\[\^?[a-z]+\]|\PC){0,12}") {
            if let Ok(alternatives) = expand(&pattern) {
                prop_assert!(alternatives.iter().all(|alternative| !alternative.grams().is_empty()));
            }
        }
    }
}
