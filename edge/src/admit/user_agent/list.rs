//! The lists as they are kept: a class, a TAB, a pattern; `#` begins a comment. Used by `edge/build.rs` alone.
//!
//! In the own list `!` instead of a class takes a pattern of the other list out.

use super::class::AgentClass;

/// A pattern and what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// What a User-Agent is that the pattern matches.
    pub(crate) class: AgentClass,
    /// As the list has it.
    pub(crate) pattern: String,
}

/// What holds when the own list has corrected the generated one. An error names the pattern.
pub(crate) fn merge(generated: &str, own: &str) -> Result<Vec<Rule>, String> {
    let mut rules: Vec<Rule> = Vec::new();
    for line in lines(generated) {
        add(&mut rules, line)?;
    }
    // Exceptions first, so that an own pattern may take the place of one that was taken out.
    let (exceptions, additions): (Vec<&str>, Vec<&str>) = lines(own).partition(|line| line.starts_with('!'));
    for line in exceptions {
        let Some(pattern) = line.strip_prefix("!\t") else { return Err(format!("`{line}` lacks a TAB")) };
        let Some(at) = rules.iter().position(|rule| rule.pattern == pattern) else {
            return Err(format!("the exception `{pattern}` is of no use: no such pattern is in the generated list"));
        };
        rules.remove(at);
    }
    for line in additions {
        add(&mut rules, line)?;
    }
    Ok(rules)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn add(rules: &mut Vec<Rule>, line: &str) -> Result<(), String> {
    let Some((class, pattern)) = line.split_once('\t') else { return Err(format!("`{line}` lacks a TAB")) };
    let Some(class) = AgentClass::PRECEDENCE.into_iter().find(|known| known.as_str() == class) else {
        return Err(format!("`{class}`, the class of `{pattern}`, is unknown"));
    };
    if rules.iter().any(|rule| rule.pattern == pattern) {
        return Err(format!("the pattern `{pattern}` is there twice"));
    }
    rules.push(Rule { class, pattern: pattern.to_owned() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str = "# Head.\n#\nai_crawler\tGPTBot\ncrawler\twebmon \ncrawler\tSonic\n";

    fn patterns(own: &str) -> Result<Vec<(&'static str, String)>, String> {
        Ok(merge(GENERATED, own)?.into_iter().map(|rule| (rule.class.as_str(), rule.pattern)).collect())
    }

    #[test]
    fn the_own_list_adds_and_takes_out() {
        let own = "# Why.\n\nscripted_tool\t^undici$\ncrawler\tSonic\\/\n!\tSonic\n";
        let expected =
            [("ai_crawler", "GPTBot"), ("crawler", "webmon "), ("scripted_tool", "^undici$"), ("crawler", "Sonic\\/")];
        let found = patterns(own).unwrap();
        assert!(found.iter().map(|(class, pattern)| (*class, pattern.as_str())).eq(expected), "{found:?}");
    }

    #[test]
    fn a_pattern_can_be_given_another_class() {
        assert_eq!(patterns("!\tSonic\nsearch_crawler\tSonic\n").unwrap()[2], ("search_crawler", "Sonic".to_owned()));
    }

    #[test]
    fn mistakes_are_named() {
        for (own, named) in [
            ("scripted_tool ^undici$", "^undici$"),
            ("! Sonic", "Sonic"),
            ("scripted\tundici", "undici"),
            ("crawler\tGPTBot", "GPTBot"),
            ("!\tNoSuchBot", "NoSuchBot"),
        ] {
            let refused = patterns(own).unwrap_err();
            assert!(refused.contains(named), "{own}: {refused}");
        }
    }
}
