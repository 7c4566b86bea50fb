//! Structured fields (RFC 9651), as signatures read and write them.

use std::convert::Infallible;

use sfv::{
    Dictionary, FieldType, InnerList, Item, KeyRef, List, ListEntry, ListSerializer, Parser,
    visitor::{DictionaryVisitor, EntryVisitor},
};

/// The longest value that is parsed, in bytes; real ones have some hundreds. A signature may name many members of one
/// field, and for each the field is parsed anew.
const BYTES: usize = 16 * 1024;

fn parser(value: &str) -> Option<Parser<'_>> {
    (value.len() <= BYTES).then(|| Parser::new(value))
}

/// A dictionary. Of members with the same key the last one counts.
pub(super) fn dictionary(value: &str) -> Option<Dictionary> {
    parser(value)?.parse_dictionary().ok()
}

/// A dictionary whose keys are labels, of which none may occur twice (RFC 9421 §4.1, §4.2).
pub(crate) fn labelled(value: &str) -> Option<Dictionary> {
    parser(value)?.parse_dictionary_with_visitor(Labels(Dictionary::new())).ok()
}

/// An item.
pub(crate) fn item(value: &str) -> Option<Item> {
    parser(value)?.parse_item().ok()
}

/// The value in its one strict form. What type a field has is not known here, so all three are tried: those that fit
/// must agree.
pub(super) fn canonical(value: &str) -> Option<String> {
    fn strict<T: FieldType>(value: &str) -> Option<String> {
        let field: T = parser(value)?.parse().ok()?;
        // An empty list or dictionary is no field at all; here, the field is there and empty.
        Some(field.serialize().into().unwrap_or_default())
    }
    let mut readings =
        [strict::<Dictionary>(value), strict::<List>(value), strict::<Item>(value)].into_iter().flatten();
    let first = readings.next()?;
    readings.all(|reading| reading == first).then_some(first)
}

/// The value of a dictionary's member, without its key.
pub(super) fn member(member: &ListEntry) -> String {
    match member {
        ListEntry::Item(item) => item.serialize(),
        ListEntry::InnerList(list) => inner_list(list),
    }
}

/// An inner list with its parameters.
pub(super) fn inner_list(list: &InnerList) -> String {
    let mut serializer = ListSerializer::new();
    let mut members = serializer.inner_list();
    members.items(&list.items);
    let _ = members.finish().parameters(&list.params).finish();
    serializer.finish().unwrap_or_default()
}

struct Labels(Dictionary);

impl<'de> DictionaryVisitor<'de> for Labels {
    type Out = Dictionary;
    type Error = LabelTwice;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Self::Error> {
        if self.0.contains_key(key) {
            return Err(LabelTwice);
        }
        DictionaryVisitor::entry(&mut self.0, key).map_err(|never: Infallible| match never {})
    }

    fn finish(self) -> Result<Self::Out, Self::Error> {
        Ok(self.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a label occurs twice")]
struct LabelTwice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_not_occur_twice() {
        assert_eq!(labelled("a=1, b=2").unwrap().len(), 2);
        assert!(labelled("a=1, a=1").is_none());
        assert_eq!(dictionary("a=1, a=2").unwrap().len(), 1);
    }

    #[test]
    fn strict_forms_are_found_whatever_the_type() {
        for (value, strict) in [
            ("a=1,  b;x, c=( 1   2 )", "a=1, b;x, c=(1 2)"),
            ("text/html;q=0.5 ,  */*", "text/html;q=0.5, */*"),
            ("1.50", "1.5"),
            ("a", "a"),
            ("", ""),
        ] {
            assert_eq!(canonical(value).as_deref(), Some(strict), "{value}");
        }
    }

    #[test]
    fn a_value_without_one_strict_form_has_none() {
        // As a list this has two members, as a dictionary one.
        assert_eq!(canonical("a, a"), None);
        assert_eq!(canonical("Tue, 20 Apr 2021 02:07:55 GMT"), None);
    }

    #[test]
    fn long_values_are_not_parsed() {
        let value = format!("\"{}\"", "x".repeat(BYTES - 2));
        assert!(item(&value).is_some());
        assert!(item(&format!("{value};a")).is_none());
    }
}
