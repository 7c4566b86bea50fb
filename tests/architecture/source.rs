//! Reads Rust sources as far as the rules need it: which paths a file names outside its unit tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;

/// A source file and the paths that it names.
pub(crate) struct Source {
    /// Relative to the checkout.
    pub(crate) path: PathBuf,
    /// Pairs of a path's first two segments, such as (`crate`, `chat`) or (`web_sys`, `Request`). A path of one
    /// segment has an empty second one.
    pub(crate) named: BTreeSet<(String, String)>,
}

/// All Rust files below a folder of the checkout but unit tests, which may know more.
pub(crate) fn below(folder: &str) -> Vec<Source> {
    let root = goblin_tests::workspace::root();
    let mut folders = vec![root.join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with("tests")).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), named: named(&path, &text) });
            }
        }
    }
    assert!(!sources.is_empty(), "no source below {folder}");
    sources
}

fn named(path: &Path, text: &str) -> BTreeSet<(String, String)> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut named = BTreeSet::new();
    for item in file.items.iter().filter(|item| !is_test_module(item)) {
        collect(item.to_token_stream(), &mut named);
    }
    named
}

fn is_test_module(item: &syn::Item) -> bool {
    let syn::Item::Mod(module) = item else { return false };
    module
        .attrs
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test"))
}

/// Works on tokens, so that paths inside macros count too.
fn collect(tokens: TokenStream, named: &mut BTreeSet<(String, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => collect(group.stream(), named),
            TokenTree::Ident(first) if begins_path(&tokens, index) => match tokens.get(index + 3) {
                Some(TokenTree::Ident(second)) => drop(named.insert((first.to_string(), second.to_string()))),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    named.extend(heads(group.stream()).into_iter().map(|second| (first.to_string(), second)));
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// First identifiers of the members of a `use` group.
fn heads(group: TokenStream) -> Vec<String> {
    let mut heads = Vec::new();
    let mut at_head = true;
    for token in group {
        match token {
            TokenTree::Ident(ident) if at_head => {
                heads.push(ident.to_string());
                at_head = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => at_head = true,
            _ => {}
        }
    }
    heads
}

/// Whether the identifier at `index` is the first of a path with more than one segment.
fn begins_path(tokens: &[TokenTree], index: usize) -> bool {
    let colons_before = index >= 2 && is_colons(&tokens[index - 2..index]);
    !colons_before && tokens.get(index + 1..index + 3).is_some_and(is_colons)
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(a), TokenTree::Punct(b)] if a.as_char() == ':' && b.as_char() == ':')
}

#[test]
fn paths_are_found_in_uses_groups_and_macros_but_not_in_unit_tests() {
    let text = r#"
        use crate::{chat::{Service, x}, ports};
        use web_sys::Request;
        fn f() { log!("{}", crate::monitoring::chain(a)); std::env::var("x"); }
        #[cfg(test)]
        mod tests { use crate::app; }
    "#;
    let named = named(Path::new("example.rs"), text);
    let has = |first: &str, second: &str| named.contains(&(first.to_owned(), second.to_owned()));
    assert!(has("crate", "chat") && has("crate", "ports") && has("crate", "monitoring"), "{named:?}");
    assert!(has("web_sys", "Request") && has("std", "env"), "{named:?}");
    assert!(!has("crate", "app") && !has("crate", "x"), "{named:?}");
}
