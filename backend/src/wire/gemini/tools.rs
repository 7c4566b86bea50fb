//! Tools, and whether they are to be called.

use serde::Serialize;
use serde_json::Value;

use crate::wire::neutral::{Request, Tool, ToolChoice};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// JSON Schema; its elder brother `parameters` is a dialect of `OpenAPI`'s schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    function_calling_config: FunctionCalling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCalling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

/// All tools in one list, as the API wants them.
pub(super) fn declare(tools: &[Tool]) -> Option<[Tools<'_>; 1]> {
    (!tools.is_empty()).then(|| [Tools { function_declarations: tools.iter().map(Declaration::of).collect() }])
}

impl<'a> Declaration<'a> {
    fn of(tool: &'a Tool) -> Self {
        Self {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters_json_schema: tool.parameters.as_ref(),
        }
    }
}

/// Whether tools are to be called.
///
/// `strict` has no place at a tool: the modes `VALIDATED` and `ANY` keep every call to its schema, so that one strict
/// tool makes all of them strict. Source: <https://ai.google.dev/gemini-api/docs/function-calling>.
pub(super) fn choose(request: &Request) -> Option<ToolConfig<'_>> {
    let strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    let (mode, allowed_function_names) = match &request.tool_choice {
        None | Some(ToolChoice::Auto) if strict => ("VALIDATED", None),
        None => return None,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(name)) => ("ANY", Some([name.as_str()])),
    };
    Some(ToolConfig { function_calling_config: FunctionCalling { mode, allowed_function_names } })
}
