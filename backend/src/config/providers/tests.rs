//! What is read of `[providers.<name>]`.

use goblin_shared::catalogue::Catalogue;
use secrecy::ExposeSecret;

use super::*;
use crate::config::{Config, Inputs};

/// A catalogue with the providers that the examples of docs/providers.md are about, each with one model.
fn catalogue(providers: &[(&str, &str)]) -> scratch::File {
    let members = providers.iter().map(|(name, _)| format!(r#""{name}":{{"title":"{name}"}}"#)).collect::<Vec<_>>();
    let models = providers.iter().map(|(provider, model)| {
        format!(
            r#"{{"provider":"{provider}","name":"{model}","context_window":1000,"max_output_tokens":1000,"prices":[]}}"#
        )
    });
    let models = models.collect::<Vec<_>>().join(",");
    let json = format!(r#"{{"version":"1","providers":{{{}}},"models":[{models}],"aliases":{{}}}}"#, members.join(","));
    Catalogue::parse(&json).unwrap();
    scratch::File::new(&json)
}

/// Files that are gone with their names.
mod scratch {
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(super) struct File(std::path::PathBuf);

    impl File {
        pub(super) fn new(content: impl AsRef<[u8]>) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("goblin-config-{}-{count}", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Self(path)
        }

        pub(super) fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

fn load(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Config, String> {
    let inputs = Inputs {
        file: Some(("goblin.toml".into(), format!("[edge]\nsignature = 'off'\n[auth]\nmode = 'off'\n{file}"))),
        environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        set: set.iter().map(|text| (*text).to_owned()).collect(),
    };
    Config::load(&inputs).map_err(|faults| faults.to_string())
}

fn server(config: &Config) -> &HttpConfig {
    let [ProviderConfig { kind: ProviderKind::Http(server), .. }] = config.providers.as_slice() else {
        panic!("{:?}", config.providers)
    };
    server
}

fn keys(config: &Config) -> Vec<(&str, u32)> {
    server(config).keys.iter().map(|key| (key.secret.expose_secret(), key.weight)).collect()
}

#[test]
fn a_provider_counts_as_configured_with_its_first_field() {
    let set = ["providers.openai.api_key=sk-1", "providers.openai.models=gpt-4o-mini=tiny,gpt-4.1"];
    let config = load("", &[("OPENAI_API_KEY", "sk-not-asked-for")], &set).unwrap();
    let openai = server(&config);
    assert_eq!((openai.family, openai.base_url.as_str()), (Family::OpenAi, "https://api.openai.com/v1"));
    assert_eq!((openai.auth.clone(), openai.stream_usage), (AuthField::Bearer, true));
    assert_eq!((openai.max_tokens_field, openai.reasoning_details), ("max_completion_tokens", false));
    let with_reasoning = load("", &[("GOBLIN_PROVIDERS__OPENAI__REASONING_DETAILS", "true")], &[]).unwrap();
    assert!(server(&with_reasoning).reasoning_details);
    assert_eq!(keys(&config), [("sk-1", 1)]);
    let provider = &config.providers[0];
    let models: Vec<_> = provider.models.iter().map(|(name, upstream)| (name.as_str(), upstream.as_str())).collect();
    assert_eq!(models, [("gpt-4.1", "gpt-4.1"), ("gpt-4o-mini", "tiny")]);
    let limits = (provider.max_concurrency, provider.max_queue, provider.queue_timeout);
    assert_eq!(limits, (1_024, 1_024, Duration::from_secs(1)));
    let shown = config.effective.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(shown.contains("providers.openai.api_key = ***") && !shown.contains("sk-1"), "{shown}");
}

#[test]
fn names_that_are_families_have_their_server_and_their_field() {
    let listed = catalogue(&[("openai", "a"), ("anthropic", "b"), ("gemini", "c"), ("mine", "d")]);
    let path = format!("catalogue.path={}", listed.path());
    for (name, family, base_url, field) in [
        ("anthropic", Family::Anthropic, "https://api.anthropic.com", "x-api-key"),
        ("gemini", Family::Gemini, "https://generativelanguage.googleapis.com/v1beta", "x-goog-api-key"),
    ] {
        let config = load("", &[], &[&path, &format!("providers.{name}.api_key=k")]).unwrap();
        let server = server(&config);
        assert_eq!((server.family, server.base_url.as_str()), (family, base_url));
        assert_eq!(server.auth, AuthField::Field(field.parse().unwrap()));
    }
    let told = load("", &[], &[&path, "providers.mine.api_key=k"]).unwrap_err();
    assert!(told.contains("providers.mine.family: needed"), "{told}");
    let told = load("", &[], &[&path, "providers.mine.family=gemini"]).unwrap_err();
    assert!(told.contains("providers.mine.base_url: needed: what stands before /models/"), "{told}");
    let told = load("", &[], &[&path, "providers.anthropic.stream_usage=false"]).unwrap_err();
    assert!(told.contains("providers.anthropic.stream_usage") && told.contains("does not belong"), "{told}");
}

#[test]
fn keys_come_from_text_files_and_variables() {
    let file = scratch::File::new("  sk-of-file\n");
    let environment = [("A_KEY", " sk-a "), ("B_KEY", "sk-b")];
    let text = format!("providers.openai.api_keys=env:A_KEY=3, file:{} ,env:B_KEY", file.path());
    assert_eq!(keys(&load("", &environment, &[&text]).unwrap()), [("sk-a", 3), ("sk-of-file", 1), ("sk-b", 1)]);
    let list =
        "[[providers.openai.api_keys]]\nenv = 'A_KEY'\nweight = 2\n[[providers.openai.api_keys]]\nkey = 'sk-c'\n";
    assert_eq!(keys(&load(list, &environment, &[]).unwrap()), [("sk-a", 2), ("sk-c", 1)]);
    let list = "[providers.openai]\napi_keys = ['env:B_KEY=2', { env = 'A_KEY' }]\n";
    assert_eq!(keys(&load(list, &environment, &[]).unwrap()), [("sk-b", 2), ("sk-a", 1)]);
    let longest = scratch::File::new(format!("sk-of-file{}", "\n".repeat(8 * 1024 - 10)));
    for file in [file, longest] {
        let set = format!("providers.openai.api_key_file={}", file.path());
        assert_eq!(keys(&load("", &[], &[&set]).unwrap()), [("sk-of-file", 1)]);
    }
    let variable = [("GOBLIN_PROVIDERS__OPENAI__API_KEYS", "env:A_KEY"), ("A_KEY", "sk-a")];
    assert_eq!(keys(&load("", &variable, &[]).unwrap()), [("sk-a", 1)]);
}

#[test]
fn keys_that_cannot_be_used_are_told_without_showing_them() {
    let empty = scratch::File::new(" \n");
    let broken = scratch::File::new("sk-very secret\n");
    let long = scratch::File::new("sk-very-".repeat(1_025));
    let binary = scratch::File::new(b"sk-very-\xff");
    let environment = [("A_KEY", "sk-very secret"), ("B_KEY", "sk-very-secret"), ("C_KEY", "sk-very-secret")];
    let file = |file: &scratch::File| format!("providers.openai.api_key_file={}", file.path());
    for (set, reason) in [
        (vec!["providers.openai.api_keys=env:MISSING".to_owned()], "entry 1: the variable MISSING is not set"),
        (vec!["providers.openai.api_keys=env:A_KEY".to_owned()], "the value of A_KEY must be printable ASCII"),
        (vec!["providers.openai.api_keys=env:B_KEY,env:C_KEY".to_owned()], "the same key stands twice"),
        (vec!["providers.openai.api_keys=env:B_KEY=0".to_owned()], "from 1 to 1000"),
        (vec!["providers.openai.api_keys=sk-very-secret".to_owned()], "must be env:NAME or file:PATH"),
        (vec!["providers.openai.api_key=sk-very secret".to_owned()], "must be printable ASCII"),
        (vec![file(&empty)], "is empty"),
        (vec![file(&broken)], "must be printable ASCII"),
        (vec![file(&long)], "is longer than 8192 bytes"),
        (vec![file(&binary)], "is no text"),
        (vec!["providers.openai.api_key_file=/nowhere/at/all".to_owned()], "cannot be read"),
        (
            vec![
                "providers.openai.api_key=sk-very-secret".to_owned(),
                "providers.openai.api_keys=env:B_KEY".to_owned(),
            ],
            "set only one of `api_key` and `api_keys`",
        ),
    ] {
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let told = load("", &environment, &set).unwrap_err();
        assert!(told.contains(reason) && !told.contains("sk-very"), "{reason} is not in\n{told}");
    }
    for entry in ["{ env = 'B_KEY', key = 'sk-very' }", "{ weight = 2 }", "{ env = '' }", "{ evn = 'B_KEY' }", "7"] {
        let told = load(&format!("[providers.openai]\napi_keys = [{entry}]\n"), &environment, &[]).unwrap_err();
        assert!(told.contains("providers.openai.api_keys = ***") && !told.contains("sk-very"), "{told}");
    }
}

#[test]
fn fields_of_every_call_are_checked_and_not_shown() {
    let file =
        "[providers.openai]\nheaders = { 'x-team' = 'goblins', 'openai-organization' = 'org-1' }\nquery = '?a=b'\n";
    let config = load(file, &[], &[]).unwrap();
    assert_eq!(server(&config).headers["x-team"], "goblins");
    assert_eq!(server(&config).query.as_deref(), Some("a=b"));
    let shown = config.effective.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(shown.contains("providers.openai.headers = ***") && !shown.contains("goblins"), "{shown}");
    assert_eq!(server(&load("", &[], &["providers.openai.headers=a=b=c,d=e"]).unwrap()).headers["a"], "b=c");
    for (set, reason) in [
        ("providers.openai.headers=Host=x", "must not have host"),
        ("providers.openai.headers=authorization=Bearer x", "must not have authorization"),
        ("providers.openai.headers=a b=x", "must have names of header fields"),
        ("providers.openai.headers=a=1,A=2", "names a twice"),
        ("providers.openai.headers=a", "must be name=value"),
        ("providers.openai.query=a b", "must be name=value"),
        ("providers.openai.auth=header:", "must name a field"),
        ("providers.openai.auth=header:host", "has a meaning of its own"),
        ("providers.openai.auth=basic", "must be `bearer` or `header:NAME`"),
        ("providers.openai.max_tokens_field=max", "must be `max_completion_tokens` or `max_tokens`"),
        ("providers.openai.max_concurrency=0", "at least 1"),
        ("providers.openai.queue_timeout=0s", "must be longer than nothing"),
    ] {
        let told = load("", &[], &[set]).unwrap_err();
        assert!(told.contains(reason), "{reason} is not in\n{told}");
    }
    let both = ["providers.openai.auth=header:api-key", "providers.openai.headers=api-key=x"];
    assert!(load("", &[], &both).unwrap_err().contains("api-key is where the key stands"));
}

#[test]
fn limits_retries_and_breaker_are_checked() {
    let set = ["providers.openai.max_queue=0", "providers.openai.max_concurrency=8", "breaker.error_ratio=1"];
    let config = load("[breaker]\nerror_ratio = 0.25\n", &[], &set).unwrap();
    assert_eq!((config.providers[0].max_queue, config.providers[0].max_concurrency), (0, 8));
    assert!((config.breaker.error_ratio - 1.0).abs() < f64::EPSILON);
    for (set, reason) in [
        (["retries.attempts=0", ""], "from 1 to 10"),
        (["retries.attempts=11", ""], "from 1 to 10"),
        (["retries.base_delay=3s", ""], "must not be shorter than retries.base_delay"),
        (["breaker.error_ratio=0", ""], "more than 0 and at most 1"),
        (["breaker.error_ratio=1.5", ""], "more than 0 and at most 1"),
        (["breaker.min_calls=0", ""], "at least 1"),
        (["breaker.open_for=3m", ""], "must not be shorter than breaker.open_for"),
        (["timeouts.attempt=0s", ""], "must be longer than nothing"),
        (["service.max_requests=0", ""], "at least 1"),
    ] {
        let set: Vec<&str> = set.into_iter().filter(|text| !text.is_empty()).collect();
        let told = load("", &[], &set).unwrap_err();
        assert!(told.contains(reason), "{reason} is not in\n{told}");
    }
}

/// The blocks of a kind in a Markdown text.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn every_example_of_the_documentation_can_be_used() {
    const TEXT: &str = include_str!("../../../../docs/providers.md");
    let entries: Vec<(&str, &str)> = blocks(TEXT, "json")
        .into_iter()
        .map(|block| {
            let word = |name: &str| block.split(&format!("\"{name}\": \"")).nth(1).unwrap().split('"').next().unwrap();
            (word("provider"), word("name"))
        })
        .collect();
    let examples = blocks(TEXT, "toml");
    assert_eq!((examples.len(), entries.len()), (15, 15));
    let listed = catalogue(&entries);
    let key = scratch::File::new("key-of-file");
    for (example, (provider, _)) in examples.into_iter().zip(entries) {
        // Each variable that an example names is set.
        let uniform = example.replace("env = \"", "env:");
        let names = uniform.split("env:").skip(1).map(|rest| rest.split(['"', '=', ',']).next().unwrap());
        let environment: Vec<(&str, &str)> = names.map(|name| (name, name)).collect();
        let example = example.replace("/run/secrets/provider_key", key.path());
        let config = load(&example, &environment, &[&format!("catalogue.path={}", listed.path())]);
        let config = config.unwrap_or_else(|told| panic!("{told}\nin\n{example}"));
        let [configured] = config.providers.as_slice() else { panic!("{example}") };
        assert_eq!(configured.name, provider);
        assert!(!configured.models.is_empty(), "{example}");
    }
}
