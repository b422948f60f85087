//! From sources to a configuration.

use std::path::{Path, PathBuf};

use super::check;
use super::draft::Draft;
use super::environment::{self, Environment};
use super::error::ConfigErrors;
use super::keys::FILE;
use super::model::Config;
use super::reader::Reader;
use super::tree::{Fault, Node, Origin, Place};
use super::yaml;

/// What a configuration is made from. It has no `Debug`, because the environment holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file, where a flag names one; else MCP_OTEL_BRIDGE_CONFIG may.
    pub file: Option<PathBuf>,
    /// The environment, as [`environment`] gives it.
    pub env: Vec<(String, String)>,
    /// The flags.
    pub flags: Flags,
}

/// What the command line can set.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--grpc-listen`.
    pub grpc_listen: Option<String>,
    /// `--otlp-endpoint`, of both signals.
    pub otlp_endpoint: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--ephemeral`.
    pub ephemeral: bool,
}

/// A configuration that is right, and what its user should know.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration in force.
    pub config: Config,
    /// What works, but hardly as meant, one line each.
    pub warnings: Vec<String>,
}

/// The process's environment. Variables that are not UTF-8 are left out: no setting can be read from them.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Makes the configuration: defaults, then the file, then the environment, then the flags; the later wins.
///
/// # Errors
///
/// Everything that is wrong in any source, all at once.
///
/// ```
/// use mcp_otel_bridge::config::{Flags, Sources, load};
///
/// let flags = Flags { listen: Some("127.0.0.1:9464".into()), ..Flags::default() };
/// let loaded = load(&Sources { flags, ..Sources::default() })?;
/// assert_eq!(loaded.config.listen.port(), 9464);
///
/// let flags = Flags { listen: Some("9464".into()), ..Flags::default() };
/// let errors = load(&Sources { flags, ..Sources::default() }).unwrap_err();
/// assert_eq!(errors.errors()[0].place, "flag: --listen");
/// # Ok::<(), mcp_otel_bridge::config::ConfigErrors>(())
/// ```
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let env = Environment::new(&sources.env);
    let path = sources.file.clone().or_else(|| env.get(environment::CONFIG).map(PathBuf::from));
    let name = path.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut reader = Reader::new(name.clone());
    let mut draft = Draft::default();
    if let Some(path) = &path {
        match read(path, &name, &env) {
            Ok(tree) => reader.table(&tree, &FILE, &mut draft),
            Err(faults) => reader.add_faults(faults),
        }
    }
    environment::read(&env, &mut draft, &mut reader);
    set_flags(&sources.flags, &mut draft, &mut reader);
    let config = check::finish(draft, &env, &mut reader);
    let (faults, warnings) = reader.finish();
    if faults.is_empty() {
        Ok(Loaded { config, warnings })
    } else {
        Err(ConfigErrors(faults.into_iter().map(|fault| fault.error).collect()))
    }
}

fn read(path: &Path, name: &str, env: &Environment) -> Result<Node, Vec<Fault>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let place = Place { text: name.to_owned(), rank: (0, 0) };
        vec![Fault::new(place, format!("cannot be read: {error}"), "a YAML file that the bridge may read")]
    })?;
    yaml::parse(&text, name, &|variable| env.get(variable).map(str::to_owned))
}

fn set_flags(flags: &Flags, draft: &mut Draft, reader: &mut Reader) {
    let set = |path: &str, text: &Option<String>, flag, draft: &mut Draft, reader: &mut Reader| {
        if let Some(text) = text {
            environment::set_text(path, text, &Origin::Flag(flag), draft, reader);
        }
    };
    set("listen", &flags.listen, "--listen", draft, reader);
    set("grpc.listen", &flags.grpc_listen, "--grpc-listen", draft, reader);
    for path in [
        "meter_provider.readers[].periodic.exporter.otlp_grpc.endpoint",
        "tracer_provider.processors[].batch.exporter.otlp_grpc.endpoint",
    ] {
        set(path, &flags.otlp_endpoint, "--otlp-endpoint", draft, reader);
    }
    if let Some(dir) = &flags.data_dir {
        draft.config.data_dir = Some(dir.clone());
    }
    draft.config.ephemeral |= flags.ephemeral;
}
