//! The form in which an alternative of a pattern is matched. Written by `edge/build.rs`, read by the matcher.
//!
//! A program is mostly the pattern itself: a byte stands for itself, one after a backslash too, `^` for the start and
//! `$` for the end of the User-Agent. The rest of what the list needs are control codes, which no pattern holds.

/// One decimal digit.
pub(crate) const DIGIT: u8 = 1;
/// One decimal digit or more, as many as there are.
pub(crate) const DIGITS: u8 = 2;
/// One byte that is not the code after this one.
pub(crate) const NOT: u8 = 3;
/// Any bytes or none. What follows, up to the next gap, stands for itself.
pub(crate) const GAP: u8 = 4;

/// What became of a program at one place of a User-Agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It matches.
    Here,
    /// It does not match at this place.
    NotHere,
    /// It matches neither at this place nor at a later one.
    Nowhere,
}

/// Runs a program against the bytes from `start`.
pub(crate) fn run(program: &[u8], agent: &[u8], start: usize) -> Verdict {
    let mut at = start;
    let mut codes = program.iter();
    while let Some(&code) = codes.next() {
        let byte = agent.get(at).copied();
        let fits = match code {
            b'^' => {
                if at > 0 {
                    return Verdict::NotHere;
                }
                continue;
            }
            b'$' => {
                if byte.is_some() {
                    return Verdict::NotHere;
                }
                continue;
            }
            GAP => return in_order(codes.as_slice(), &agent[at..]),
            DIGITS => {
                let digits = agent[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                at += digits.saturating_sub(1);
                digits > 0
            }
            DIGIT => byte.is_some_and(|byte| byte.is_ascii_digit()),
            NOT => codes.next().is_some_and(|not| byte.is_some_and(|byte| byte != *not)),
            b'\\' => codes.next().copied() == byte,
            literal => byte == Some(literal),
        };
        if !fits {
            return Verdict::NotHere;
        }
        at += 1;
    }
    Verdict::Here
}

/// Whether the literals between gaps follow each other. Each is taken where it comes first: what does not follow from
/// there follows from no later place.
fn in_order(literals: &[u8], mut agent: &[u8]) -> Verdict {
    for literal in literals.split(|code| *code == GAP) {
        let Some(at) = agent.windows(literal.len()).position(|window| window == literal) else {
            return Verdict::Nowhere;
        };
        agent = &agent[at + literal.len()..];
    }
    Verdict::Here
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    #[test]
    fn literals_and_anchors() {
        assert_eq!(run(b"Bot\\/", b"aBot/1", 1), Here);
        assert_eq!(run(b"Bot\\/", b"aBot 1", 1), NotHere);
        assert_eq!(run(b"Bot\\/", b"aBot", 1), NotHere);
        assert_eq!(run(b"^Bot", b"Bot", 0), Here);
        assert_eq!(run(b"^Bot", b"aBot", 1), NotHere);
        assert_eq!(run(b"Bot$", b"aBot", 1), Here);
        assert_eq!(run(b"Bot$", b"aBots", 1), NotHere);
        assert_eq!(run(b"Bot", b"", 0), NotHere);
    }

    #[test]
    fn digits_and_exclusions() {
        let program = [b"v", &[DIGIT, b'.', DIGITS][..], b" x"].concat();
        for (agent, verdict) in [
            (&b"v1.2 x"[..], Here),
            (b"v1.2345 x", Here),
            (b"v12.2 x", NotHere),
            (b"v1. x", NotHere),
            (b"v1.", NotHere),
            (b"v1.2", NotHere),
        ] {
            assert_eq!(run(&program, agent, 0), verdict, "{}", agent.escape_ascii());
        }
        let program = [b"Bot", &[NOT, b'-'][..]].concat();
        for (agent, verdict) in [(&b"Bot/"[..], Here), (b"Bot-", NotHere), (b"Bot", NotHere), ("Botß".as_bytes(), Here)]
        {
            assert_eq!(run(&program, agent, 0), verdict, "{}", agent.escape_ascii());
        }
    }

    #[test]
    fn what_follows_a_gap_is_looked_for_once() {
        let program = [b"ab", &[GAP][..], b"bc", &[GAP][..], b"d"].concat();
        assert_eq!(run(&program, b"abbcd", 0), Here);
        assert_eq!(run(&program, b"ab..bc..d", 0), Here);
        assert_eq!(run(&program, b"abcd", 0), Nowhere);
        assert_eq!(run(&program, b"ab.d.bc", 0), Nowhere);
        assert_eq!(run(&program, b"a", 0), NotHere);
    }
}
