//! The catalogue's JSON, and what is wrong with it.
//!
//! It is read value by value, not by derived readers: so all faults can be told at once, those of types and of misspelt
//! names too, and it takes a third of the room in WebAssembly.

use serde_json::{Map, Value};

use super::{
    Catalogue, InvalidCatalogue, Provider,
    alias::{Alias, Canary, Choice, Strategy},
    faults::Faults,
    model::{self, BatchPrice, Kind, Model, Price},
    target::{Target, is_model_name, is_provider_key},
    words::{CAPABILITIES, Capabilities, REGIONS, Regions},
};

/// Most of each; a catalogue is walked through for every request.
const PROVIDERS: usize = 64;
const MODELS: usize = 512;
const PRICES: usize = 64;
const ALIASES: usize = 128;
const TARGETS: usize = 64;
const FALLBACKS: usize = 8;
/// Longest version and title, in bytes.
const VERSION_BYTES: usize = 64;
const TITLE_BYTES: usize = 256;

/// Weight of a target that has none.
const FULL: u32 = 100;

const NAME_RULE: &str = "use 1 to 128 printable ASCII characters without spaces or quotes";

/// Reads and validates a catalogue; all faults are reported at once.
pub(super) fn read(json: &str) -> Result<Catalogue, InvalidCatalogue> {
    let file: Value = serde_json::from_str(json).map_err(|error| InvalidCatalogue(vec![error.to_string()]))?;
    let mut faults = Faults::default();
    let mut catalogue = Catalogue::default();
    faults.subject(&["catalogue"]);
    if let Some(file) = faults.object(&file, &["version", "providers", "models", "aliases"]) {
        faults.text(file, "version").clone_into(&mut catalogue.version);
        if !(1..=VERSION_BYTES).contains(&catalogue.version.len())
            || !catalogue.version.bytes().all(|byte| byte.is_ascii_graphic())
        {
            faults.add(&["`version`: use 1 to 64 printable ASCII characters without spaces"]);
        }
        let models = faults.list(file, "models", MODELS);
        if models.is_empty() {
            faults.add(&["`models` is empty"]);
        }
        let aliases = faults.members(file, "aliases", ALIASES);
        for (key, provider) in faults.members(file, "providers", PROVIDERS).into_iter().flatten() {
            read_provider(&mut catalogue, key, provider, &mut faults);
        }
        for entry in models {
            read_model(&mut catalogue, entry, &mut faults);
        }
        for (name, entry) in aliases.into_iter().flatten() {
            read_alias(&mut catalogue, name, entry, &mut faults);
        }
    }
    faults.or(catalogue)
}

fn read_provider(catalogue: &mut Catalogue, key: &str, entry: &Value, faults: &mut Faults) {
    faults.subject(&["provider `", key, "`"]);
    // As keys of RFC 9651 dictionaries, which tell of providers, begin with a letter.
    if !is_provider_key(key) || !key.starts_with(|first: char| first.is_ascii_lowercase()) {
        faults.add(&["use 1 to 64 of a-z 0-9 _ - . with a letter first"]);
    }
    let Some(entry) = faults.object(entry, &["title"]) else { return };
    let title = faults.text(entry, "title").to_owned();
    if title.len() > TITLE_BYTES {
        faults.add(&["`title` is longer than 256 bytes"]);
    }
    catalogue.providers.insert(key.to_owned(), Provider { title });
}

fn read_model(catalogue: &mut Catalogue, entry: &Value, faults: &mut Faults) {
    // Vectors have no length in tokens and call no tools: what an embedding model cannot have comes last.
    const MEMBERS: [&str; 9] = [
        "provider",
        "name",
        "kind",
        "context_window",
        "regions",
        "quality",
        "prices",
        "max_output_tokens",
        "capabilities",
    ];
    const OF_EMBEDDINGS: usize = 7;
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let target = Target { provider: text("provider"), model: text("name") };
    faults.subject(&["model `", &target.provider, "/", &target.model, "`"]);
    let kind = match entry.get("kind") {
        None => Some(Kind::Chat),
        Some(kind) => kind.as_str().and_then(Kind::of_name),
    };
    if kind.is_none() {
        faults.add(&["`kind` must be chat or embedding"]);
    }
    let kind = kind.unwrap_or_default();
    let is_chat = kind == Kind::Chat;
    let members = if is_chat { &MEMBERS[..] } else { &MEMBERS[..OF_EMBEDDINGS] };
    let Some(entry) = faults.object(entry, members) else { return };
    if !is_model_name(&target.model) {
        faults.add(&["`name`: ", NAME_RULE]);
    }
    if !catalogue.providers.contains_key(&target.provider) {
        faults.add(&["no such provider"]);
    }
    if catalogue.targets.contains(&target) {
        faults.add(&["listed twice"]);
    }
    let context_window = faults.number(entry, "context_window", None, 1, u32::MAX);
    let max_output_tokens = if is_chat { faults.number(entry, "max_output_tokens", None, 1, u32::MAX) } else { 0 };
    if max_output_tokens > context_window {
        faults.add(&["`max_output_tokens` is more than `context_window`"]);
    }
    let model = Model {
        provider: target.provider.clone(),
        name: target.model.clone(),
        kind,
        context_window,
        max_output_tokens,
        capabilities: Capabilities::from_bits(faults.words(entry, "capabilities", &CAPABILITIES)),
        regions: Regions::from_bits(faults.words(entry, "regions", &REGIONS)),
        quality: faults.percent(entry, "quality", Some(0), 0, 100),
        prices: read_prices(entry, is_chat, faults),
    };
    catalogue.targets.push(target);
    catalogue.models.push(model);
}

fn read_prices(entry: &Map<String, Value>, is_chat: bool, faults: &mut Faults) -> Vec<Price> {
    // What an embedding model cannot have comes last.
    const MEMBERS: [&str; 7] = ["from", "input", "batch", "cached_input", "cache_write_input", "output", "reasoning"];
    const OF_EMBEDDINGS: usize = 3;
    let members = if is_chat { &MEMBERS[..] } else { &MEMBERS[..OF_EMBEDDINGS] };
    let mut prices: Vec<Price> = Vec::new();
    for entry in faults.list(entry, "prices", PRICES) {
        let Some(entry) = faults.object(entry, members) else { continue };
        let from = model::days(faults.text(entry, "from")).unwrap_or_else(|| {
            faults.add(&["`from` of a price must be a date such as 2026-01-31, from 1970 on"]);
            0
        });
        let (input, cached_input, output) = read_rates(entry, is_chat, faults);
        let cache_write_input = optional(entry, "cache_write_input", faults);
        if cache_write_input.is_some_and(|written| written < input) {
            faults.add(&["`cache_write_input` is less than `input`"]);
        }
        let reasoning = optional(entry, "reasoning", faults);
        let batch = read_batch(entry, (input, output), is_chat, faults);
        if prices.last().is_some_and(|earlier| earlier.from >= from) {
            faults.add(&["prices must be in the order of their dates, one for each"]);
        }
        prices.push(Price { from, input, cached_input, cache_write_input, output, reasoning, batch });
    }
    prices
}

/// What prices of every kind have: `input`, `cached_input`, `output`.
fn read_rates(entry: &Map<String, Value>, is_chat: bool, faults: &mut Faults) -> (u32, Option<u32>, u32) {
    let input = faults.number(entry, "input", None, 0, u32::MAX);
    let output = if is_chat { faults.number(entry, "output", None, 0, u32::MAX) } else { 0 };
    let cached_input = optional(entry, "cached_input", faults);
    if cached_input.is_some_and(|cached| cached > input) {
        faults.add(&["`cached_input` is more than `input`"]);
    }
    (input, cached_input, output)
}

fn read_batch(
    entry: &Map<String, Value>,
    ordinary: (u32, u32),
    is_chat: bool,
    faults: &mut Faults,
) -> Option<BatchPrice> {
    const MEMBERS: [&str; 3] = ["input", "cached_input", "output"];
    let members = if is_chat { &MEMBERS[..] } else { &MEMBERS[..1] };
    let entry = faults.object(entry.get("batch")?, members)?;
    let (input, cached_input, output) = read_rates(entry, is_chat, faults);
    if input > ordinary.0 || output > ordinary.1 {
        faults.add(&["`batch` is dearer than what is done at once"]);
    }
    Some(BatchPrice { input, cached_input, output })
}

/// A rate that need not be there.
fn optional(entry: &Map<String, Value>, name: &str, faults: &mut Faults) -> Option<u32> {
    entry.get(name).map(|_| faults.number(entry, name, None, 0, u32::MAX))
}

fn read_alias(catalogue: &mut Catalogue, name: &str, entry: &Value, faults: &mut Faults) {
    faults.subject(&["alias `", name, "`"]);
    if !is_model_name(name) {
        faults.add(&[NAME_RULE]);
    }
    if catalogue.targets.iter().any(|target| target.model == name || target.is(name)) {
        faults.add(&["a model has this name"]);
    }
    let mut alias = Alias {
        kind: Kind::Chat,
        strategy: Strategy::Weighted,
        targets: Vec::new(),
        fallbacks: Vec::new(),
        canary: None,
    };
    // A bare `provider/model` is the whole of an alias with one target.
    if let Value::String(target) = entry {
        let target = known(catalogue, target, faults);
        alias.targets.extend(target.map(|model| Choice { model, weight: 100 }));
    } else if let Some(entry) = faults.object(entry, &["strategy", "targets", "fallbacks", "canary"]) {
        read_choices(&mut alias, catalogue, entry, faults);
    }
    check_kind(&mut alias, catalogue, faults);
    catalogue.aliases.insert(name.to_owned(), alias);
}

fn read_choices(alias: &mut Alias, catalogue: &Catalogue, entry: &Map<String, Value>, faults: &mut Faults) {
    match Strategy::of_name(faults.text(entry, "strategy")) {
        Some(strategy) => alias.strategy = strategy,
        None => faults.add(&["`strategy` must be weighted, cheapest, fastest, quality or sticky"]),
    }
    let targets = faults.list(entry, "targets", TARGETS);
    let mut all_drained = true;
    for entry in targets {
        let Some(entry) = faults.object(entry, &["model", "weight"]) else { continue };
        let weight = faults.percent(entry, "weight", Some(FULL), 0, 100);
        all_drained &= weight == 0;
        let name = faults.text(entry, "model");
        let Some(model) = known(catalogue, name, faults) else { continue };
        if alias.targets.iter().any(|other| other.model == model) {
            faults.add(&["`", name, "` is a target twice"]);
        }
        alias.targets.push(Choice { model, weight });
    }
    let fallbacks = faults.list(entry, "fallbacks", FALLBACKS);
    for name in fallbacks {
        let name = name.as_str().unwrap_or_default();
        let Some(model) = known(catalogue, name, faults) else { continue };
        if alias.fallbacks.contains(&model) {
            faults.add(&["`", name, "` is a fallback twice"]);
        }
        alias.fallbacks.push(model);
    }
    if targets.is_empty() {
        faults.add(&["has no target"]);
    } else if all_drained && fallbacks.is_empty() {
        faults.add(&["every target has weight 0, and there is no fallback"]);
    }
    let Some(canary) = entry.get("canary").filter(|canary| !canary.is_null()) else { return };
    let Some(canary) = faults.object(canary, &["model", "percent"]) else { return };
    let percent = faults.percent(canary, "percent", None, 1, 99);
    if let Some(model) = known(catalogue, faults.text(canary, "model"), faults) {
        if alias.targets.iter().any(|choice| choice.model == model) {
            faults.add(&["the canary is one of the targets"]);
        }
        alias.canary = Some(Canary { model, percent });
    }
}

/// One kind for all, and of embedding models one name: vectors of different models cannot be compared with each other, so
/// that a fallback to another model would spoil what a client has stored.
fn check_kind(alias: &mut Alias, catalogue: &Catalogue, faults: &mut Faults) {
    let Some(first) = alias.models().next() else { return };
    let all = |same: &dyn Fn(&Model, &Model) -> bool| {
        alias.models().all(|model| same(&catalogue.models[model], &catalogue.models[first]))
    };
    let kind = catalogue.models[first].kind;
    if !all(&|one, other| one.kind == other.kind) {
        faults.add(&["chat and embedding models cannot stand for each other"]);
    } else if kind == Kind::Embedding && !all(&|one, other| one.name == other.name) {
        faults.add(&["vectors of different embedding models cannot be compared; name one model of several providers"]);
    }
    alias.kind = kind;
}

/// The place of the model with this whole name.
fn known(catalogue: &Catalogue, name: &str, faults: &mut Faults) -> Option<usize> {
    let model = catalogue.targets.iter().position(|target| target.is(name));
    if model.is_none() {
        faults.add(&["`", name, "` is no model of this catalogue"]);
    }
    model
}
