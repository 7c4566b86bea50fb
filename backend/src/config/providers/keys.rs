//! The keys of a provider.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::SECTION;
use crate::config::{
    reader::Reader,
    value::{Secret, Value},
};

/// Largest weight of a key.
const MOST_WEIGHT: u32 = 1_000;
/// Longest file with a key, in bytes; keys are far shorter.
const LONGEST_FILE: usize = 8 * 1024;
const FIELDS: [&str; 3] = ["api_key", "api_key_file", "api_keys"];

/// A key and its weight.
#[derive(Clone, Debug)]
pub(crate) struct KeyConfig {
    /// Printable ASCII without spaces.
    pub(crate) secret: SecretString,
    /// 1 to 1000.
    pub(crate) weight: u32,
}

/// Reads whichever of the three settings is there; more than one of them contradict each other.
pub(super) fn read(reader: &mut Reader, key: &str, environment: &[(String, String)]) -> Vec<KeyConfig> {
    let path = |field| [SECTION, key, field];
    let given = FIELDS.into_iter().filter(|field| reader.has(&path(field))).collect::<Vec<_>>();
    let direct =
        reader.optional::<Secret>(&path("api_key")).map(|Secret(secret)| vec![KeyConfig { secret, weight: 1 }]);
    let file = reader.optional::<PathBuf>(&path("api_key_file"));
    let several = reader.optional::<Sources>(&path("api_keys"));
    if let [_, second, ..] = given.as_slice() {
        let names = given.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
        reader.fault_of(&path(second), format!("set only one of {names}"));
        return Vec::new();
    }
    let read = match (file, several) {
        (Some(file), _) => from_file(&file).map(|secret| vec![KeyConfig { secret, weight: 1 }]),
        (_, Some(Sources(sources))) => resolve(sources, environment),
        _ => return direct.unwrap_or_default(),
    };
    read.unwrap_or_else(|reason| {
        reader.fault_of(&path(given.first().copied().unwrap_or("api_keys")), reason);
        Vec::new()
    })
}

fn resolve(sources: Vec<Weighted>, environment: &[(String, String)]) -> Result<Vec<KeyConfig>, String> {
    let mut keys: Vec<KeyConfig> = Vec::with_capacity(sources.len());
    for (place, Weighted { source, weight }) in sources.into_iter().enumerate() {
        let secret = match source {
            Source::Key(secret) => Ok(secret),
            Source::File(file) => from_file(&file),
            Source::Variable(name) => from_variable(&name, environment),
        };
        let secret = secret.map_err(|reason| format!("entry {}: {reason}", place + 1))?;
        if keys.iter().any(|known| known.secret.expose_secret() == secret.expose_secret()) {
            return Err(format!("entry {}: the same key stands twice; give it a weight instead", place + 1));
        }
        keys.push(KeyConfig { secret, weight });
    }
    Ok(keys)
}

fn from_file(file: &Path) -> Result<SecretString, String> {
    let name = file.display();
    let content = read_wiped(file).map_err(|error| format!("{name} cannot be read: {error}"))?;
    if content.len() > LONGEST_FILE {
        return Err(format!("{name} is longer than {LONGEST_FILE} bytes: put nothing but the key there"));
    }
    let text =
        std::str::from_utf8(&content).map_err(|_| format!("{name} is no text: put nothing but the key there"))?;
    secret(text.trim()).map_err(|reason| format!("the content of {name} {reason}"))
}

/// What a file begins with, in memory that is wiped when it is given back. It has its room from the start: had it to
/// grow, it would leave copies behind.
fn read_wiped(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // One byte more shows that there is more.
    let most = LONGEST_FILE + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(most));
    File::open(file)?.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}

fn from_variable(name: &str, environment: &[(String, String)]) -> Result<SecretString, String> {
    let value = environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
    let value = value.filter(|value| !value.is_empty()).ok_or_else(|| format!("the variable {name} is not set"))?;
    secret(value).map_err(|reason| format!("the value of {name} {reason}"))
}

fn secret(text: &str) -> Result<SecretString, String> {
    if text.is_empty() {
        return Err("is empty: put the key there".to_owned());
    }
    Secret::from_text(text).map(|Secret(secret)| secret)
}

enum Source {
    Key(SecretString),
    File(PathBuf),
    Variable(String),
}

struct Weighted {
    source: Source,
    weight: u32,
}

/// `env:NAME=3,file:/path` as text; in the file a list of such texts or of tables
/// `{ env | file | key = "…", weight = 3 }`.
struct Sources(Vec<Weighted>);

const FORM: &str = "must be env:NAME or file:PATH, each with =WEIGHT after it if it is not 1, with commas between";

impl Weighted {
    fn from_text(text: &str) -> Result<Self, String> {
        let (source, weight) = match text.trim().rsplit_once('=') {
            Some((source, weight)) => (source.trim(), weight_of(weight.trim().parse().ok())?),
            None => (text.trim(), 1),
        };
        let source = match source.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Source::Variable(name.to_owned()),
            Some(("file", file)) if !file.is_empty() => Source::File(file.into()),
            _ => return Err(FORM.to_owned()),
        };
        Ok(Self { source, weight })
    }

    fn from_table(table: &toml::Table) -> Result<Self, String> {
        const TABLE: &str =
            "an entry must be { env | file | key = \"…\", weight = 1 } with exactly one of the first three";
        let mut source = None;
        let mut weight = 1;
        for (name, value) in table {
            let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
            let found = match (name.as_str(), text) {
                ("weight", _) => {
                    weight = weight_of(value.as_integer())?;
                    continue;
                }
                ("env", Some(name)) => Source::Variable(name.to_owned()),
                ("file", Some(file)) => Source::File(file.into()),
                ("key", Some(key)) => Source::Key(secret(key)?),
                _ => return Err(TABLE.to_owned()),
            };
            if source.replace(found).is_some() {
                return Err(TABLE.to_owned());
            }
        }
        Ok(Self { source: source.ok_or(TABLE)?, weight })
    }
}

fn weight_of(weight: Option<i64>) -> Result<u32, String> {
    let weight =
        weight.and_then(|weight| u32::try_from(weight).ok()).filter(|weight| (1..=MOST_WEIGHT).contains(weight));
    weight.ok_or_else(|| format!("a weight must be a whole number from 1 to {MOST_WEIGHT}"))
}

impl Value for Sources {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',').map(Weighted::from_text).collect::<Result<_, _>>().map(Self)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            toml::Value::Array(list) if !list.is_empty() => {
                let entry = |entry: &toml::Value| match entry {
                    toml::Value::String(text) => Weighted::from_text(text),
                    toml::Value::Table(table) => Weighted::from_table(table),
                    _ => Err(FORM.to_owned()),
                };
                list.iter().map(entry).collect::<Result<_, _>>().map(Self)
            }
            _ => Err("must be text or a list that is not empty".to_owned()),
        }
    }

    fn show(&self) -> String {
        format!("{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_of_a_file_has_its_room_from_the_start() {
        let path = std::env::temp_dir().join(format!("goblin-key-{}", std::process::id()));
        for (length, kept) in [(0, 0), (40, 40), (LONGEST_FILE, LONGEST_FILE), (1_000_000, LONGEST_FILE + 1)] {
            std::fs::write(&path, "k".repeat(length)).unwrap();
            let content = read_wiped(&path).unwrap();
            assert_eq!((content.len(), content.capacity()), (kept, LONGEST_FILE + 1));
        }
        std::fs::remove_file(path).unwrap();
    }
}
