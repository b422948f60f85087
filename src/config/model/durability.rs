//! What a commit waits for.

/// What an acknowledged event survives. Whatever is chosen, it survives a kill of the bridge's own process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Every commit is synced to the disk: nothing is lost by a crash of the machine or a loss of power.
    #[default]
    Full,
    /// Only checkpoints are synced: a crash of the machine may cost the last commits, and never damages the database.
    Normal,
    /// Nothing is synced: a crash of the machine may cost the last commits, and may damage the database.
    Off,
}
