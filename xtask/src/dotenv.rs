//! Files of variables such as `.dev.vars`, read as wrangler reads them (by npm's `dotenv`), one variable a line.

/// Names and values in the order in which they stand; of several with one name, the last counts.
pub(crate) fn parse(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter_map(assignment).collect()
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (!name.is_empty() && name.bytes().all(is_name)).then(|| (name, unquoted(value.trim())))
}

/// Quotation marks hold a value together; elsewhere a `#` begins a comment.
fn unquoted(value: &str) -> &str {
    let quoted = ['"', '\'', '`'].into_iter().find_map(|quote| Some(value.strip_prefix(quote)?.split_once(quote)?.0));
    quoted.unwrap_or_else(|| value.split('#').next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_wrangler_reads_them() {
        let text =
            "# A=no\nA=old\n export B = \"quoted # not a comment\" # one\nC='a=b'\n\nD=\nE=a # b\nno assignment\n1 2=3";
        let pairs = [("A", "old"), ("B", "quoted # not a comment"), ("C", "a=b"), ("D", ""), ("E", "a")];
        assert_eq!(parse(text), pairs);
    }
}
