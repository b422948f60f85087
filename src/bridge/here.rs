//! What a session that runs in this very process tells of it.

use crate::event::{ComponentName, Environment, Label, SessionStart, Text, User};

impl SessionStart {
    /// The start of a session in this process: its id, user, host and working directory are looked up.
    pub fn here(component_name: ComponentName, shell_type: Label) -> Self {
        Self {
            component_name,
            shell_type,
            pid: std::process::id(),
            user: User {
                username: variable(&["USER", "USERNAME", "LOGNAME"]),
                home: text(std::env::home_dir().map(|home| home.to_string_lossy().into_owned())),
            },
            hostname: hostname(),
            environment: Environment {
                python_version: None,
                platform: Text::lossy(&format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)),
                cwd: text(std::env::current_dir().ok().map(|cwd| cwd.to_string_lossy().into_owned())),
            },
            quality_score: None,
            protocol_version: None,
            transport: None,
            server: None,
            client: None,
        }
    }
}

fn hostname() -> Text {
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) => Text::lossy(name.trim()),
        Err(_) => variable(&["HOSTNAME", "COMPUTERNAME"]),
    }
}

fn variable(names: &[&str]) -> Text {
    text(names.iter().find_map(|name| std::env::var(name).ok()))
}

fn text(value: Option<String>) -> Text {
    Text::lossy(value.as_deref().filter(|value| !value.is_empty()).unwrap_or("unknown"))
}
