use super::*;

/// An environment that nothing is wrong with, in few words.
const WRANGLER: &str = r#"
    name = "edge"
    compatibility_date = "2026-11-01"
    compatibility_flags = ["enable_request_signal", "request_signal_passthrough"]
    migrations = [{ tag = "v1", new_sqlite_classes = ["KeyLimit"] }]
    ratelimits = [{ name = "ADDRESS_LIMIT", namespace_id = "1", simple = { limit = 600, period = 60 } }]
    durable_objects.bindings = [{ name = "KEY_LIMITS", class_name = "KeyLimit" }]
    [vars]
    BACKEND_ORIGIN = "http://127.0.0.1:8080"
    [env.live]
    ratelimits = [{ name = "ADDRESS_LIMIT", namespace_id = "2", simple = { limit = 600, period = 60 } }]
    durable_objects.bindings = [{ name = "KEY_LIMITS", class_name = "KeyLimit" }]
    [env.live.vars]
    BACKEND_ORIGIN = "https://api.goblin.dev"
    BODY_LIMIT_BYTES = 1_000_000
"#;

const SECRETS: &str =
    "EDGE_SIGNING_KEY=a:0123456789abcdef0123456789abcdef\nAPI_KEY_ISSUER_SECRETS=0123456789abcdef0123456789abcdef\n";

fn checked(wrangler: &str, environment: Option<&str>, secrets: Option<&str>) -> Checked {
    check(&Given { wrangler, environment, secrets, catalogue: None })
}

/// The faults of the environment after `from` became `to` in the text.
fn faults_with(from: &str, to: &str) -> Vec<String> {
    let (before, environment) = WRANGLER.split_at(WRANGLER.find("[env.live]").unwrap());
    let wrangler = if environment.contains(from) {
        format!("{before}{}", environment.replacen(from, to, 1))
    } else {
        WRANGLER.replacen(from, to, 1)
    };
    assert_ne!(wrangler, WRANGLER, "{from} is not there");
    checked(&wrangler, Some("live"), Some(SECRETS)).faults
}

/// The one fault that this change makes.
fn fault_with(from: &str, to: &str) -> String {
    let faults = faults_with(from, to);
    let [fault] = &faults[..] else { panic!("not one fault: {faults:?}") };
    fault.clone()
}

/// The one fault that another variable makes.
fn fault_of_variable(line: &str) -> String {
    fault_with("[env.live.vars]", &format!("[env.live.vars]\n{line}"))
}

#[test]
fn what_is_right_has_no_fault_and_is_named() {
    let checked = checked(WRANGLER, Some("live"), Some(SECRETS));
    assert_eq!((checked.faults, checked.unseen), (Vec::new(), Vec::new()));
    assert!(checked.summary.starts_with("environment live: edge-live, 2 variables, secrets,"), "{}", checked.summary);
    assert!(checked.summary.contains("built in"), "{}", checked.summary);
}

#[test]
fn secrets_that_nobody_shows_are_listed_and_not_judged() {
    let unseen = checked(WRANGLER, Some("live"), None);
    assert_eq!((unseen.faults, unseen.unseen), (Vec::new(), vec!["EDGE_SIGNING_KEY", "API_KEY_ISSUER_SECRETS"]));
    let turnstile = WRANGLER.replace("BODY_LIMIT_BYTES = 1_000_000", "TURNSTILE_HOSTNAMES = \"app.goblin.dev\"");
    let unseen = checked(&turnstile, Some("live"), None);
    assert_eq!(unseen.faults, Vec::<String>::new());
    assert!(unseen.unseen.contains(&"TURNSTILE_SECRET_KEY"), "{:?}", unseen.unseen);
    // A file that is shown is all there is.
    let faults = checked(WRANGLER, Some("live"), Some("")).faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn the_edges_own_faults_are_told_all_at_once() {
    let faults = faults_with("BODY_LIMIT_BYTES = 1_000_000", "BODY_LIMIT_BYTES = -1\nKEY_LIMIT_BURST = 0.5");
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("BODY_LIMIT_BYTES") && faults[1].starts_with("KEY_LIMIT_BURST"), "{faults:?}");
    let short = checked(WRANGLER, Some("live"), Some("EDGE_SIGNING_KEY=a:short\nAPI_KEY_ISSUER_SECRETS=short"));
    assert_eq!(short.faults.len(), 2, "{:?}", short.faults);
}

#[test]
fn a_variable_that_nobody_reads_is_told_with_the_one_that_was_meant() {
    let fault = fault_of_variable("BODY_LIMIT_BYTE = 1");
    assert!(fault.contains("[env.live.vars]") && fault.contains("was BODY_LIMIT_BYTES meant"), "{fault}");
    assert!(fault_of_variable("body_limit_bytes = 1").contains("BODY_LIMIT_BYTES meant"));
    assert!(fault_of_variable("SOMETHING_ELSE = true").contains("docs/configuration.md"));
    assert!(fault_of_variable("KEY_LIMITS = 5").contains("binding"));
    let secrets = format!("{SECRETS}EDGE_SIGNING_KEYS=x\n");
    let fault = checked(WRANGLER, Some("live"), Some(&secrets)).faults.join("\n");
    assert!(fault.contains("EDGE_SIGNING_KEY meant") && fault.contains("file of secrets"), "{fault}");
}

#[test]
fn a_variable_is_text_number_or_truth_value() {
    let fault = fault_of_variable("CORS_ORIGINS = [\"https://app.goblin.dev\"]");
    assert!(fault.starts_with("CORS_ORIGINS in [env.live.vars] must be a text"), "{fault}");
}

#[test]
fn a_secret_in_the_file_that_all_read_is_a_fault_and_not_shown() {
    for line in [
        "EDGE_SIGNING_KEY = \"a:my-secret-my-secret-my-secret-my-secret\"",
        "API_KEY_ISSUER_SECRETS = \"my-secret-my-secret-my-secret-my-secret\"",
        "OTEL_EXPORTER_OTLP_HEADERS = \"Authorization=Bearer%20my-secret\"",
    ] {
        let fault = fault_of_variable(line);
        assert!(fault.contains("wrangler secret put") && fault.contains("--env live"), "{fault}");
        assert!(!fault.contains("my-secret"), "{fault}");
    }
    let faults = faults_with("[env.live.vars]", "[env.live.vars]\nTURNSTILE_SECRET_KEY = \"my-secret\"");
    assert!(faults[0].starts_with("TURNSTILE_SECRET_KEY is a secret"), "{faults:?}");
}

#[test]
fn bindings_of_rules_that_are_on_are_needed() {
    let object = "durable_objects.bindings = [{ name = \"KEY_LIMITS\", class_name = \"KeyLimit\" }]";
    let fault = fault_with(object, "");
    assert!(fault.starts_with("[[env.live.durable_objects.bindings]] lacks"), "{fault}");
    let counter =
        "ratelimits = [{ name = \"ADDRESS_LIMIT\", namespace_id = \"2\", simple = { limit = 600, period = 60 } }]";
    let fault = fault_with(counter, "");
    assert!(fault.starts_with("[[env.live.ratelimits]] lacks ADDRESS_LIMIT"), "{fault}");
    let off = WRANGLER.replace("BODY_LIMIT_BYTES = 1_000_000", "ADMIT_RULES = \"key_limit=off,address_limit=off\"");
    let without = off.replace(object, "").replace(counter, "");
    assert_eq!(checked(&without, Some("live"), Some(SECRETS)).faults, Vec::<String>::new());
    assert!(fault_with("class_name = \"KeyLimit\"", "class_name = \"Other\"").contains("class_name \"Other\""));
}

#[test]
fn what_clients_are_told_of_the_limit_is_what_counts() {
    let fault = fault_with("limit = 600", "limit = 100");
    assert!(fault.contains("600/60") && fault.contains("100/60"), "{fault}");
    assert!(fault_of_variable("ADDRESS_LIMIT_RATE = \"600/10\"").contains("600/10"));
    let both =
        faults_with("limit = 600, period = 60 } }]", "limit = 5, period = 10 } }]\nvars.ADDRESS_LIMIT_RATE = \"5/10\"");
    assert!(both.iter().all(|fault| !fault.contains("ADDRESS_LIMIT_RATE")), "{both:?}");
}

#[test]
fn counters_are_not_shared_with_others() {
    let fault = fault_with("namespace_id = \"2\"", "namespace_id = \"1\"");
    assert!(fault.contains("the top level"), "{fault}");
}

#[test]
fn settings_that_environments_take_over_are_needed_once() {
    let fault = fault_with("\"enable_request_signal\", ", "");
    assert!(fault.contains("enable_request_signal"), "{fault}");
    assert!(faults_with("[env.live]", "[env.live]\ncompatibility_flags = []").len() == 2);
    assert!(fault_with("new_sqlite_classes", "new_classes").contains("[[migrations]]"));
    assert!(fault_with("compatibility_date = \"2026-11-01\"", "").contains("compatibility_date"));
    let renamed = "renamed_classes = [{ from = \"Old\", to = \"KeyLimit\" }]";
    let moved = WRANGLER.replace("new_sqlite_classes = [\"KeyLimit\"]", renamed);
    assert_eq!(checked(&moved, Some("live"), Some(SECRETS)).faults, Vec::<String>::new());
}

#[test]
fn a_deployed_edge_reaches_its_backend_unheard() {
    for (origin, word) in [
        ("https://backend.example", "set it"),
        ("http://127.0.0.1:8080", "set it"),
        ("http://api.goblin.dev", "must be https"),
        ("", "set it"),
    ] {
        let fault = fault_with("https://api.goblin.dev", origin);
        assert!(fault.starts_with("BACKEND_ORIGIN") && fault.contains(word), "{origin}: {fault}");
    }
    let others = "BACKEND_OTHER_ORIGINS = \"https://b.goblin.dev, eu=https://10.0.0.1,as=http://c.goblin.dev\"";
    let faults = faults_with("[env.live.vars]", &format!("[env.live.vars]\n{others}"));
    let of_others = faults.iter().filter(|fault| fault.starts_with("BACKEND_OTHER_ORIGINS "));
    let of_others: Vec<_> = of_others.filter(|fault| !fault.contains("no variable of the edge")).collect();
    assert!(of_others.len() == 2 && of_others[0].contains("10.0.0.1") && of_others[1].contains("https"), "{faults:?}");
    let fault = fault_of_variable("OTEL_EXPORTER_OTLP_ENDPOINT = \"http://localhost:4318\"");
    assert!(fault.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT names localhost"), "{fault}");
}

#[test]
fn a_secret_that_everybody_knows_is_none() {
    let example = fs::read_to_string(workspace::root().join(".dev.vars.example")).unwrap();
    let faults = checked(WRANGLER, Some("live"), Some(&example)).faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().all(|fault| fault.contains(".dev.vars.example")), "{faults:?}");
    assert_eq!(checked(WRANGLER, None, Some(&example)).faults, Vec::<String>::new());
}

#[test]
fn an_environment_must_be_there_and_the_file_be_toml() {
    let fault = checked(WRANGLER, Some("staging"), None).faults.join("\n");
    assert!(fault.contains("no [env.staging]") && fault.contains("live"), "{fault}");
    let fault = checked("a = 1\nEDGE_SIGNING_KEY = my-secret", None, None).faults.join("\n");
    assert!(fault.starts_with("wrangler.toml, line 2") && !fault.contains("my-secret"), "{fault}");
}

#[test]
fn another_catalogue_is_read_as_the_edge_reads_it() {
    let with = |catalogue| {
        check(&Given { wrangler: WRANGLER, environment: None, secrets: Some(SECRETS), catalogue: Some(catalogue) })
    };
    let faults = with(r#"{"version":"a b","providers":{},"models":[]}"#).faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().all(|fault| fault.starts_with("the catalogue: ")), "{faults:?}");
    assert!(with(goblin_shared::catalogue::BUILT_IN).faults.is_empty());
}

#[test]
fn this_checkout_lacks_only_where_the_backends_are() {
    let wrangler = fs::read_to_string(workspace::root().join("wrangler.toml")).unwrap();
    assert_eq!(checked(&wrangler, None, None).faults, Vec::<String>::new());
    for environment in ["staging", "production"] {
        let faults = checked(&wrangler, Some(environment), None).faults;
        assert_eq!(faults.len(), 1, "{environment}: {faults:?}");
        assert!(faults[0].starts_with("BACKEND_ORIGIN") && faults[0].contains("set it"), "{faults:?}");
    }
}

#[test]
fn faults_are_numbered_and_commands_can_be_copied() {
    let unseen = checked(WRANGLER, Some("live"), None);
    assert!(to_be_set(&unseen, Some("live")).contains("\n    npx wrangler secret put EDGE_SIGNING_KEY --env live\n"));
    let faulty = checked("name = \"edge\"", None, None);
    let text = numbered(&faulty);
    assert!(text.contains("\n   1. ") && text.contains("\n   2. "), "{text}");
}
