//! `token`: makes a token for the web face, and says what the configuration keeps of it.

use clap::Args;

use super::db::print;
use super::{Console, Format, Global};
use crate::face::exit::{Code, Failure};
use crate::face::web::{hash_of, new_token};

const AFTER_HELP: &str = "\
The token itself is printed once and kept nowhere: give it to whoever is to log in to the
dashboard or to ask the API, as `Authorization: Bearer TOKEN`. The configuration gets its hash:

  [http]
  write_tokens = [\"…\"]";

/// Arguments of `token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TokenArgs {
    /// For someone who may only look
    #[arg(long)]
    pub read_only: bool,
}

/// Prints it.
///
/// # Errors
/// When the system has no random bytes, or the output is closed.
pub fn run(
    arguments: TokenArgs,
    global: &Global,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let token = new_token().ok_or_else(|| {
        let error = anyhow::anyhow!("make a token: the system has no random bytes");
        Failure::new(Code::Unusable, error)
    })?;
    let key = if arguments.read_only {
        "read_tokens"
    } else {
        "write_tokens"
    };
    let hash = hash_of(&token);
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => format!(
            "{}\n",
            serde_json::json!({"token": token, "key": format!("http.{key}"), "hash": hash})
        ),
        Format::Human => format!("token: {token}\n\n[http]\n{key} = [\"{hash}\"]\n"),
    };
    print(&text, console)
}
