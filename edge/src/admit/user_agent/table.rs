//! From the merged list to the tables that the matcher reads. Used by `edge/build.rs` alone.
//!
//! Each alternative of each pattern is filed under one of its grams (three bytes in a row). The matcher looks up every
//! gram of a User-Agent, so a gram is chosen that browsers hardly ever have, and that few other alternatives have taken.

use std::{
    cmp::Reverse,
    fmt::{Debug, Write as _},
};

use super::{
    class::AgentClass,
    gram,
    list::Rule,
    pattern::{self, Alternative},
};

/// What the matcher reads.
///
/// A *program* is known by its index: below the number of patterns it is the pattern of that index itself, from there on
/// one of those in `programs`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// All patterns, the most telling first: by the precedence of their classes, then by how many bytes they tell.
    pub(crate) patterns: String,
    /// Where each pattern begins, and where the last one ends.
    pub(crate) pattern_starts: Vec<u16>,
    /// Where the patterns of each class end, in the order of the classes' precedence.
    pub(crate) class_ends: Vec<u16>,
    /// Programs of those patterns that are none themselves; first those with a gap.
    pub(crate) programs: Vec<u8>,
    /// Where each of them begins, and where the last one ends.
    pub(crate) program_starts: Vec<u16>,
    /// Which pattern each of them is of.
    pub(crate) program_patterns: Vec<u16>,
    /// How many of them have a gap.
    pub(crate) gapped: usize,
    /// A word for each bucket: which grams it may hold.
    pub(crate) filter: Vec<u32>,
    /// Where each bucket begins, and where the last one ends.
    pub(crate) bucket_starts: Vec<u16>,
    /// The programs of the buckets.
    pub(crate) entry_programs: Vec<u16>,
    /// How far into a match each of them has its gram.
    pub(crate) entry_offsets: Vec<u8>,
}

/// Builds the tables. `browsers` tell which grams are common. An error names the pattern.
pub(crate) fn build<'a>(rules: &[Rule], browsers: impl Iterator<Item = &'a str>) -> Result<Table, String> {
    let mut known = Vec::with_capacity(rules.len());
    for rule in rules {
        let alternatives = pattern::expand(&rule.pattern).map_err(|why| {
            format!("the pattern `{}`: {why} (what is understood stands in pattern.rs)", rule.pattern)
        })?;
        let told = alternatives.iter().map(Alternative::told).max().unwrap_or_default();
        known.push((class_rank(rule.class), Reverse(told), &rule.pattern, alternatives));
    }
    known.sort_by(|(a, b, c, _), (x, y, z, _)| (a, b, c).cmp(&(x, y, z)));

    let mut table = Table { pattern_starts: vec![0], program_starts: vec![0], ..Table::default() };
    let mut filed = Vec::new();
    let mut own_programs = Vec::new();
    for (index, (_, _, pattern, alternatives)) in known.into_iter().enumerate() {
        table.patterns.push_str(pattern);
        table.pattern_starts.push(narrow(table.patterns.len())?);
        match &alternatives[..] {
            [only] if only.is_plain() => filed.push((index, only.grams())),
            _ => own_programs.extend(alternatives.into_iter().map(|alternative| (index, alternative))),
        }
    }
    for class in AgentClass::PRECEDENCE {
        table.class_ends.push(narrow(rules.iter().filter(|rule| class_rank(rule.class) <= class_rank(class)).count())?);
    }
    own_programs.sort_by_key(|(_, alternative)| !alternative.has_gap());
    for (index, (pattern, alternative)) in own_programs.into_iter().enumerate() {
        table.gapped += usize::from(alternative.has_gap());
        table.programs.extend(alternative.program());
        table.program_starts.push(narrow(table.programs.len())?);
        table.program_patterns.push(narrow(pattern)?);
        filed.push((rules.len() + index, alternative.grams()));
    }
    table.file(filed, &Commonness::of(browsers))?;
    Ok(table)
}

impl Table {
    /// Puts each program into the bucket of one of its grams.
    fn file(&mut self, mut programs: Vec<(usize, Vec<(usize, u32)>)>, common: &Commonness) -> Result<(), String> {
        let mut buckets = vec![Vec::new(); gram::BUCKETS];
        self.filter = vec![0; gram::BUCKETS];
        // Those with the least choice choose first.
        programs.sort_by_key(|(index, grams)| (grams.len(), *index));
        for (index, grams) in programs {
            let cost = |gram: u32| {
                let (bucket, bit) = gram::place(gram);
                (common.hits(gram), buckets[bucket].len(), self.filter[bucket] & bit == 0)
            };
            let best =
                grams.into_iter().filter(|(at, _)| u8::try_from(*at).is_ok()).min_by_key(|(_, gram)| cost(*gram));
            let Some((at, gram)) = best else { return Err(format!("program {index} has no gram")) };
            let (bucket, bit) = gram::place(gram);
            self.filter[bucket] |= bit;
            buckets[bucket].push((index, at));
        }
        self.bucket_starts.push(0);
        for bucket in &mut buckets {
            bucket.sort_unstable();
            for (index, at) in bucket {
                self.entry_programs.push(narrow(*index)?);
                self.entry_offsets.push(u8::try_from(*at).map_err(|error| error.to_string())?);
            }
            self.bucket_starts.push(narrow(self.entry_programs.len())?);
        }
        Ok(())
    }

    /// How many bytes the tables take.
    pub(crate) fn size(&self) -> usize {
        let words = [
            &self.pattern_starts,
            &self.class_ends,
            &self.program_starts,
            &self.program_patterns,
            &self.bucket_starts,
            &self.entry_programs,
        ];
        let words: usize = words.iter().map(|words| 2 * words.len()).sum();
        words + self.patterns.len() + self.programs.len() + 4 * self.filter.len() + self.entry_offsets.len()
    }

    /// The tables as Rust source.
    pub(crate) fn to_source(&self) -> String {
        let mut source = format!("// {} bytes, made by build.rs.\n", self.size());
        let patterns = self.pattern_starts.len() - 1;
        let consts = [("PATTERN_COUNT", patterns), ("GAPPED_COUNT", self.gapped)];
        for (name, value) in consts {
            writeln!(source, "const {name}: usize = {value};").unwrap_or_default();
        }
        writeln!(source, "static PATTERNS: &str = {:?};", self.patterns).unwrap_or_default();
        array(&mut source, "PATTERN_STARTS", "u16", &self.pattern_starts);
        array(&mut source, "CLASS_ENDS", "u16", &self.class_ends);
        array(&mut source, "PROGRAMS", "u8", &self.programs);
        array(&mut source, "PROGRAM_STARTS", "u16", &self.program_starts);
        array(&mut source, "PROGRAM_PATTERNS", "u16", &self.program_patterns);
        array(&mut source, "BUCKET_STARTS", "u16", &self.bucket_starts);
        array(&mut source, "ENTRY_PROGRAMS", "u16", &self.entry_programs);
        array(&mut source, "ENTRY_OFFSETS", "u8", &self.entry_offsets);
        let filter: Vec<String> =
            self.filter.iter().map(|word| format!("0x{:04x}_{:04x}", word >> 16, word & 0xFFFF)).collect();
        writeln!(source, "static FILTER: [u32; {}] = [{}];", filter.len(), filter.join(", ")).unwrap_or_default();
        source
    }
}

fn array<T: Debug>(source: &mut String, name: &str, of: &str, values: &[T]) {
    writeln!(source, "static {name}: [{of}; {}] = {values:?};", values.len()).unwrap_or_default();
}

fn narrow(value: usize) -> Result<u16, String> {
    u16::try_from(value).map_err(|_| format!("the list is too long for its tables: {value} does not fit 16 bits"))
}

fn class_rank(class: AgentClass) -> usize {
    AgentClass::PRECEDENCE.iter().position(|known| *known == class).unwrap_or(AgentClass::PRECEDENCE.len())
}

/// How often browsers are looked up at a place of the filter.
struct Commonness(Vec<u32>);

impl Commonness {
    fn of<'a>(browsers: impl Iterator<Item = &'a str>) -> Self {
        let mut hits = Self(vec![0; gram::BUCKETS * 32]);
        for browser in browsers {
            hits.count(browser.as_bytes());
        }
        // Every version comes some day.
        let version = b"0123456789._";
        for (a, b) in version.iter().flat_map(|a| version.iter().map(move |b| (*a, *b))) {
            for sign in b" /" {
                hits.count(&[*sign, a, b]);
            }
            for sign in version.iter().chain(b" ;)") {
                hits.count(&[a, b, *sign]);
            }
        }
        hits
    }

    fn count(&mut self, text: &[u8]) {
        for window in text.windows(gram::LENGTH) {
            let gram = window.iter().copied().fold(0, gram::push);
            self.0[Self::index(gram)] += 1;
        }
    }

    fn hits(&self, gram: u32) -> u32 {
        self.0[Self::index(gram)]
    }

    fn index(gram: u32) -> usize {
        let (bucket, bit) = gram::place(gram);
        bucket * 32 + bit.trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(AgentClass, &str)]) -> Vec<Rule> {
        rules.iter().map(|(class, pattern)| Rule { class: *class, pattern: (*pattern).to_owned() }).collect()
    }

    #[test]
    fn patterns_stand_in_the_order_in_which_they_count() {
        let rules = rules(&[
            (AgentClass::Crawler, "LongestOfAllBots"),
            (AgentClass::SearchCrawler, "Bingle"),
            (AgentClass::AiCrawler, "Ants"),
            (AgentClass::SearchCrawler, r"Goggle\/"),
            (AgentClass::SearchCrawler, "Bangle"),
            (AgentClass::AiCrawler, "[bB]ees"),
        ]);
        let table = build(&rules, [].into_iter()).unwrap();
        assert_eq!(table.patterns, r"Ants[bB]eesGoggle\/BangleBingleLongestOfAllBots");
        assert_eq!(table.pattern_starts, [0, 4, 11, 19, 25, 31, 47]);
        assert_eq!(table.class_ends, [2, 2, 2, 5, 6]);
        assert_eq!((&table.programs[..], &table.program_starts[..]), (&b"beesBees"[..], &[0, 4, 8][..]));
        assert_eq!(table.program_patterns, [1, 1]);
        // Each plain pattern, and both programs of the one that is not.
        let mut filed = table.entry_programs.clone();
        filed.sort_unstable();
        assert_eq!(filed, [0, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn programs_with_a_gap_come_first() {
        let rules = rules(&[(AgentClass::AiCrawler, "[bB]ees"), (AgentClass::Crawler, r"Ants[\s\S]*Bees")]);
        let table = build(&rules, [].into_iter()).unwrap();
        assert_eq!((table.gapped, &table.program_patterns[..]), (1, &[1, 0, 0][..]));
        assert!(table.programs.starts_with(b"Ants\x04Bees"));
    }

    #[test]
    fn a_gram_is_chosen_that_browsers_do_not_have() {
        let rules = rules(&[(AgentClass::Crawler, r"Mozilla\/5\.0 Zog"), (AgentClass::Crawler, "Gecko/Zag")]);
        let table = build(&rules, ["Mozilla/5.0 (X11) Gecko/20100101"].into_iter()).unwrap();
        let is_hit = |text: &[u8]| {
            text.windows(gram::LENGTH).any(|window| {
                let (bucket, bit) = gram::place(window.iter().copied().fold(0, gram::push));
                table.filter[bucket] & bit != 0
            })
        };
        assert!(!is_hit(b"Mozilla/5.0 (X11) Gecko/20100101"));
        assert!(is_hit(b"Mozilla/5.0 Zog") && is_hit(b"Gecko/Zag"));
    }

    #[test]
    fn programs_are_spread_over_the_buckets() {
        let patterns: Vec<String> = (b'a'..=b'z').map(|letter| format!("{}yCommonBot", char::from(letter))).collect();
        let rules: Vec<_> = patterns.iter().map(|pattern| (AgentClass::Crawler, pattern.as_str())).collect();
        let table = build(&self::rules(&rules), [].into_iter()).unwrap();
        let most = table.bucket_starts.windows(2).map(|ends| ends[1] - ends[0]).max();
        assert!(most <= Some(4), "{most:?}");
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        let refused = build(&rules(&[(AgentClass::Crawler, "Fine"), (AgentClass::Crawler, "No.t")]), [].into_iter());
        assert!(refused.as_ref().is_err_and(|error| error.contains("`No.t`")), "{refused:?}");
        let long = ["a", "b"].map(|letter| letter.repeat(40_000));
        let refused =
            build(&rules(&[(AgentClass::Crawler, &long[0]), (AgentClass::Crawler, &long[1])]), [].into_iter());
        assert!(refused.as_ref().is_err_and(|error| error.contains("too long")), "{refused:?}");
    }

    #[test]
    fn the_source_holds_the_tables() {
        let table = build(&rules(&[(AgentClass::Crawler, r"We\/bs")]), [].into_iter()).unwrap();
        let source = table.to_source();
        assert!(source.contains("const PATTERN_COUNT: usize = 1;"), "{source}");
        assert!(source.contains(r#"static PATTERNS: &str = "We\\/bs";"#), "{source}");
        assert!(source.contains("static PATTERN_STARTS: [u16; 2] = [0, 6];"), "{source}");
    }
}
