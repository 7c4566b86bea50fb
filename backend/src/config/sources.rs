//! Where settings come from, and which source wins.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    fault::Fault,
    reader::{Raw, Reader, Setting},
};

/// Prefix of our variables.
const PREFIX: &str = "GOBLIN_";
/// Names the file, so it is no setting itself.
pub(crate) const FILE_VARIABLE: &str = "GOBLIN_CONFIG";

/// Everything that configuration is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    /// The file's path and text, if there is one.
    pub(crate) file: Option<(PathBuf, String)>,
    /// All variables of the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Texts `section.field=value` of the command line.
    pub(crate) set: Vec<String>,
}

type Settings = BTreeMap<Vec<String>, Setting>;

/// Lays the sources over one another; later ones win.
pub(super) fn layered(inputs: &Inputs) -> Reader {
    let mut settings = Settings::new();
    let mut faults = Vec::new();
    if let Some((path, text)) = &inputs.file {
        from_file(&path.display().to_string(), text, &mut settings, &mut faults);
    }
    from_environment(&inputs.environment, &mut settings);
    for text in &inputs.set {
        match text.split_once('=') {
            Some((name, value)) if name.contains('.') => {
                let path = name.trim().split('.').map(str::to_owned).collect();
                let source = format!("--set {}", name.trim());
                settings.insert(path, Setting { raw: Raw::Text(value.trim().to_owned()), source });
            }
            _ => {
                // The text may be a value whose name was forgotten.
                let name = text.split('=').next().filter(|name| name.len() <= 64).unwrap_or("…");
                faults.push(Fault::without_value(format!("--set {name}"), None, "write it as section.field=value"));
            }
        }
    }
    Reader::new(settings, faults)
}

fn from_file(source: &str, text: &str, settings: &mut Settings, faults: &mut Vec<Fault>) {
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            // The error's own display shows the line, which may hold a secret.
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            faults.push(Fault::without_value(source, None, format!("line {line}: {}", error.message())));
            return;
        }
    };
    for (section, fields) in table {
        let toml::Value::Table(fields) = fields else {
            let reason = "must be a section, for example [service]";
            faults.push(Fault::without_value(section, Some(source.to_owned()), reason));
            continue;
        };
        for (field, value) in fields {
            let path = vec![section.clone(), field];
            // Providers have one level more, and so have the tokens of others.
            match value {
                toml::Value::Table(inner) if section == "providers" || (section == "auth" && path[1] == "jwt") => {
                    for (name, value) in inner {
                        let path = [path.as_slice(), &[name]].concat();
                        settings.insert(path, Setting { raw: Raw::Toml(value), source: source.to_owned() });
                    }
                }
                // Limits have as many levels as they need: whose, and by which name.
                value if section == "limits" => nested(path, value, source, settings),
                value => {
                    settings.insert(path, Setting { raw: Raw::Toml(value), source: source.to_owned() });
                }
            }
        }
    }
}

/// Every value within a table, by its whole path.
fn nested(path: Vec<String>, value: toml::Value, source: &str, settings: &mut Settings) {
    if let toml::Value::Table(inner) = value {
        for (name, value) in inner {
            nested([path.as_slice(), &[name]].concat(), value, source, settings);
        }
    } else {
        settings.insert(path, Setting { raw: Raw::Toml(value), source: source.to_owned() });
    }
}

fn from_environment(environment: &[(String, String)], settings: &mut Settings) {
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        // An empty variable is what a template leaves behind: it counts as unset, as OpenTelemetry has it too.
        if variable == FILE_VARIABLE || value.trim().is_empty() {
            continue;
        }
        let path = name.split("__").map(str::to_ascii_lowercase).collect();
        settings.insert(path, Setting { raw: Raw::Text(value.trim().to_owned()), source: variable.clone() });
    }
}
