//! The command line: starts the appliance, or asks one for something.

mod app;
mod backup;
mod child;
mod converse;
mod export;
mod import;
mod invalidate;
mod restore;
mod store;

use crate::auth::import::Format;
use crate::config::{Config, Loaded, environment};
use crate::console::{Command, Secret, run, socket};
use crate::logging;
use crate::model::claims::Algorithm;
use crate::start::{Sources, is_begun, start};
use crate::{serve, web};
use clap::{Parser, Subcommand};
use rustix::fs::Mode;
use serde_json::Value;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Sessions you can trust, JWTs you can take back, in one binary.
#[derive(Parser)]
#[command(name = "hallpass", version)]
struct Cli {
    /// Options to use instead of Rocket.toml in the working directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the appliance (the default).
    Serve,
    /// Print a new link for making the first administrator.
    SetupLink,
    /// Manage users.
    #[command(subcommand)]
    User(UserVerb),
    /// Manage signing keys.
    #[command(subcommand)]
    Key(KeyVerb),
    /// List apps, and confirm their secrets after everything was ended.
    #[command(subcommand)]
    App(app::Verb),
    /// End everything of everybody, as after the machine or its file system was rolled back.
    InvalidateAll(invalidate::Arguments),
    /// Write apps, users and their passwords' hashes as JSON lines.
    Export {
        /// A new file instead of standard output; only its owner may read it.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Take in users and apps from JSON lines; - is standard input. Exits with 3 when lines were refused.
    Import {
        file: PathBuf,
        /// Say what would come of it, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// What the lines are: json, as `export` writes them, or htpasswd.
        #[arg(long, default_value = "json", value_parser = |text: &str| text.parse::<Format>())]
        format: Format,
    },
    /// Make a backup of everything, while the appliance runs or not, and restore it once to see that it is good.
    Backup(backup::Arguments),
    /// List the backups, and whether each is good.
    Backups,
    /// Make a key file that backups can be encrypted to.
    BackupKey { file: PathBuf },
    /// Let a backup take the place of a stopped appliance's store, and sign everybody out.
    Restore(restore::Arguments),
    /// For the program itself: restore a backup into a directory, compare, remove.
    #[command(hide = true)]
    VerifyBackup { file: PathBuf, scratch: PathBuf },
    /// For the program itself: prepare a backup to take the store's place at the next start.
    #[command(hide = true)]
    PrepareRestore { file: PathBuf },
    /// Print every option with its value, its default and its source, or what is wrong with them.
    CheckConfig,
    /// Print the store's id, for require_store.
    StoreId,
    /// Compare everything in the store with what was written to it.
    Verify {
        /// Go on with what is left of a damaged store; the code is what `verify` printed.
        #[arg(long, value_name = "CODE")]
        accept_loss: Option<String>,
    },
    /// Write the store of a stopped appliance anew, without what the database no longer needs.
    Compact,
}

#[derive(Subcommand)]
enum UserVerb {
    /// Make a user; without a password, prints a link by which they choose one.
    Add {
        login: String,
        #[arg(long)]
        email: Option<String>,
        #[arg(long, default_value = "")]
        name: String,
        /// Make an administrator.
        #[arg(long)]
        admin: bool,
        /// A file that holds the password; - is standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List users whose login, e-mail or name begins with the words.
    List {
        #[arg(default_value = "")]
        query: String,
    },
    /// Disable a user and end everything of theirs.
    Disable { login: String },
    /// Print a link by which a user chooses a new password.
    ResetPassword { login: String },
}

#[derive(Subcommand)]
enum KeyVerb {
    /// List signing keys.
    List,
    /// Let another key sign from now on: the next one where it is published, otherwise a new one.
    Rotate {
        #[arg(long, default_value = "ES256", value_parser = |text: &str| {
            text.parse::<Algorithm>().map_err(|_| "one of ES256, EdDSA, RS256")
        })]
        algorithm: Algorithm,
    },
}

/// The program.
pub fn main() -> ExitCode {
    // Whatever is made from here on, by us or by sled, is its owner's alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let cli = Cli::parse();
    let loaded = match Config::load(cli.config.as_deref(), environment()) {
        Ok(loaded) => loaded,
        Err(errors) => return fail(&errors.to_string()),
    };
    let done = |()| ExitCode::SUCCESS;
    let result = match cli.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => run_server(loaded.config, cli.config),
        Verb::Backup(arguments) => backup::run(loaded.config, cli.config, &arguments),
        Verb::BackupKey { file } => backup::make_key(&file),
        Verb::Restore(arguments) => restore::run(&loaded.config, &arguments),
        Verb::VerifyBackup { file, scratch } => Ok(child::verify(&loaded.config, &file, &scratch)),
        Verb::PrepareRestore { file } => Ok(child::prepare(&loaded.config, &file)),
        Verb::Verify { accept_loss } => verify(loaded.config, accept_loss).map(done),
        Verb::Compact => store::compact(&loaded.config).map(done),
        Verb::CheckConfig => {
            print_listing(&loaded);
            Ok(ExitCode::SUCCESS)
        }
        Verb::Export { to } => export::run(loaded.config, to),
        Verb::Import { file, dry_run, format } => import::run(loaded.config, &file, format, dry_run),
        verb => command_of(verb)
            .and_then(|command| ask_or_do(loaded.config, cli.config, command))
            .map(print)
            .map(done),
    };
    result.unwrap_or_else(|error| fail(&error))
}

fn fail(error: &str) -> ExitCode {
    eprintln!("hallpass: {error}");
    ExitCode::FAILURE
}

fn run_server(config: Config, own: Option<PathBuf>) -> Result<ExitCode, String> {
    logging::start(&config);
    let workshop = Arc::new(child::OwnProgram { config: own });
    let ending = web::run(&config.clone(), serve::serve(config, workshop)).map_err(|e| e.to_string())??;
    match ending {
        serve::Ending::Stop => Ok(ExitCode::SUCCESS),
        serve::Ending::Restart => Err(start_again()),
    }
}

/// This process becomes the program anew, under the same number, so that its supervisor sees no end: a restored store
/// waits to be moved in, and that is done before anything is opened.
fn start_again() -> String {
    use std::os::unix::process::CommandExt as _;
    let failed = match std::env::current_exe() {
        Ok(program) => std::process::Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    };
    format!("the backup is restored, but the program does not start again by itself ({failed}): start it")
}

fn command_of(verb: Verb) -> Result<Command, String> {
    Ok(match verb {
        Verb::SetupLink => Command::SetupLink,
        Verb::StoreId => Command::StoreId,
        Verb::User(UserVerb::Add { login, email, name, admin, password_file }) => {
            let password = password_file.map(read_password).transpose()?;
            Command::UserAdd { login, email, name, admin, password }
        }
        Verb::User(UserVerb::List { query }) => Command::UserList { query },
        Verb::User(UserVerb::Disable { login }) => Command::UserDisable { login },
        Verb::User(UserVerb::ResetPassword { login }) => Command::UserResetPassword { login },
        Verb::App(verb) => verb.into(),
        Verb::InvalidateAll(arguments) => arguments.confirmed()?,
        Verb::Key(KeyVerb::List) => Command::KeyList,
        Verb::Key(KeyVerb::Rotate { algorithm }) => Command::KeyRotate { algorithm },
        Verb::Backups => Command::BackupList,
        Verb::Serve
        | Verb::Backup(_)
        | Verb::BackupKey { .. }
        | Verb::Restore(_)
        | Verb::VerifyBackup { .. }
        | Verb::PrepareRestore { .. }
        | Verb::CheckConfig
        | Verb::Verify { .. }
        | Verb::Compact
        | Verb::Export { .. }
        | Verb::Import { .. } => {
            return Err("this is no command for a store".into());
        }
    })
}

fn read_password(path: PathBuf) -> Result<Secret, String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(&path).map(|read| text = read)
    };
    read.map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A running appliance holds the store's lock: then it is asked. Otherwise the store is opened here.
fn ask_or_do(config: Config, own: Option<PathBuf>, command: Command) -> Result<Value, String> {
    if let Some(answer) = socket::ask(&config.data_dir, &command) {
        return answer;
    }
    refuse_to_begin(&config, command.may_begin())?;
    let origin = config.public_url().origin().to_owned();
    let done = async {
        let auth = start(&config, Sources::system()).await.map_err(|e| e.to_string())?;
        auth.use_workshop(Arc::new(child::OwnProgram { config: own }));
        run(&auth, &origin, command).await
    };
    web::run(&config.clone(), done).map_err(|e| e.to_string())?
}

/// A running appliance looks while it serves; a stopped one's store is looked at from here, whatever state it is in.
fn verify(config: Config, accept_loss: Option<String>) -> Result<(), String> {
    match (socket::ask(&config.data_dir, &Command::Verify), accept_loss) {
        (Some(_), Some(_)) => Err("the appliance runs: stop it first".into()),
        (Some(answer), None) => answer.map(print),
        (None, None) => store::verify(&config),
        (None, Some(code)) => store::accept_loss(&config, &code),
    }
}

fn refuse_to_begin(config: &Config, may_begin: bool) -> Result<(), String> {
    if may_begin || is_begun(config) {
        return Ok(());
    }
    Err(format!("there is no store in {}: is data_dir right?", config.data_dir.display()))
}

fn print_listing(loaded: &Loaded) {
    for option in loaded.listing() {
        println!("{} = {}  # default {}, from {}", option.key, option.value, option.default, option.source);
    }
    for warning in loaded.config.warnings() {
        println!("# warning: {warning}");
    }
}

/// A line per thing; links and ids by themselves, so that scripts can take them.
fn print(answer: Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    if let Some(tables) = answer.get("tables").and_then(Value::as_array) {
        for table in tables {
            println!("{}\t{} records\twhole", text(&table["table"]), text(&table["records"]));
        }
        println!("The store is whole: it holds what was written to it.");
    } else if let Some(users) = answer.get("users").and_then(Value::as_array) {
        for user in users {
            let fields = ["login", "email", "role", "state", "live_sessions", "id"];
            println!("{}", fields.map(|field| text(&user[field])).join("\t"));
        }
    } else if let Some(keys) = answer.get("keys").and_then(Value::as_array) {
        for key in keys {
            let fields = ["kid", "algorithm", "state", "created_at", "signs_from"];
            println!("{}", fields.map(|field| text(&key[field])).join("\t"));
        }
    } else if let Some(backups) = answer.get("backups").and_then(Value::as_array) {
        backups.iter().for_each(backup::print);
    } else if let Some(apps) = answer.get("apps").and_then(Value::as_array) {
        apps.iter().for_each(app::print);
    } else if let Some(apps) = answer.get("suspended_apps").and_then(Value::as_array) {
        invalidate::print(apps);
    } else if let Some(found) =
        ["link", "kid", "store_id", "id"].into_iter().find_map(|field| answer.get(field))
    {
        println!("{}", text(found));
    }
}
