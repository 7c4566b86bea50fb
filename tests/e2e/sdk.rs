//! The official SDKs of OpenAI and Anthropic, for Python and Node, as users' programs against the edge URL.

mod anthropic;
mod errors;
mod openai;
mod retries;

use std::process::Stdio;

use goblin_tests::workspace;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    shared_stack::shared,
    suite::{Outcome, Suite, skip},
};

/// Registers each function for both languages, as `python_…` and `node_…`.
macro_rules! in_both_languages {
    ($suite:ident, $($name:literal => $run:path),* $(,)?) => {
        $(
            $suite.test(concat!("python_", $name), || async {
                let Some(python) = Program::python() else { return skip(NO_PYTHON) };
                $run(shared().await, python).await;
                Outcome::Passed
            });
            $suite.test(concat!("node_", $name), || async { $run(shared().await, Program::node()).await });
        )*
    };
}

pub(crate) fn register(suite: &mut Suite) {
    in_both_languages!(
        suite,
        "chats_with_the_demo_provider" => openai::chats_with_the_demo_provider,
        "chats_with_an_upstream" => openai::chats_with_an_upstream,
        "calls_tools_of_every_family" => openai::calls_tools_of_every_family,
        "gets_json_that_fits_a_schema" => openai::gets_json_that_fits_a_schema,
        "embeds" => openai::embeds,
        "raises_the_type_of_each_error" => errors::openai_raises_the_type_of_each,
        "tries_again_when_it_was_told" => retries::openai_tries_again_when_it_was_told,
        "sends_messages_to_the_demo_provider" => anthropic::sends_messages_to_the_demo_provider,
        "sends_messages_to_every_family" => anthropic::sends_messages_to_every_family,
        "raises_the_type_of_each_error_of_messages" => errors::anthropic_raises_the_type_of_each,
        "tries_messages_again_when_it_was_told" => retries::anthropic_tries_again_when_it_was_told,
    );
}

/// A Python that has the SDKs; `cargo xtask test` sets it.
const PYTHON: &str = "GOBLIN_TEST_PYTHON";
const NO_PYTHON: &str = "there is no Python with the SDKs; `cargo xtask test` makes one where Python 3 is installed";

/// A model of each family that calls tools and keeps to schemas.
const MODELS: [&str; 3] = ["gpt-4o-mini", "claude-haiku-4-5", "gemini-3.8-flash"];

/// A language in which users write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

/// What runs a user's programs.
struct Program {
    language: Language,
    interpreter: std::path::PathBuf,
}

impl Program {
    /// `None` where there is none with the SDKs.
    fn python() -> Option<Self> {
        let interpreter = std::env::var_os(PYTHON)?.into();
        Some(Self { language: Language::Python, interpreter })
    }

    fn node() -> Self {
        Self { language: Language::Node, interpreter: workspace::node() }
    }

    /// Runs `tests/sdk/<name>` and gives the JSON that it prints.
    async fn run(&self, name: &str, base_url: &str, api_key: &str, env: &[(&str, &str)]) -> Value {
        self.run_with_input(name, base_url, api_key, env, "").await
    }

    /// The same with something on its standard input.
    async fn run_with_input(
        &self,
        name: &str,
        base_url: &str,
        api_key: &str,
        env: &[(&str, &str)],
        input: &str,
    ) -> Value {
        let mut command: Command = workspace::command(&self.interpreter);
        let ending = match self.language {
            Language::Python => "py",
            Language::Node => "mjs",
        };
        command.arg(format!("tests/sdk/{name}.{ending}"));
        // What the SDKs would read of the user's own.
        for name in
            ["OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"]
        {
            command.env_remove(name);
        }
        command.env("BASE_URL", base_url).env("API_KEY", api_key).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the SDK's program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program that ended before it read says why on its standard error.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.expect("the SDK's program ends");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name} in {:?}: {out}\n{err}", self.language);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}\n{err}"))
    }
}
