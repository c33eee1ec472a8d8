//! A configuration file.

use std::cell::OnceCell;

use notifyctl::config::{Config, Effective};
use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Any bytes as a configuration: understood, or refused in words that say where; and `config show` shows what is
/// understood, and refuses nothing else.
pub fn config(data: &[u8]) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        let file = folder.path().join("notifyctl.toml");
        std::fs::write(&file, data).expect("write it");
        match (Config::load(Some(&file)), Effective::load(Some(&file))) {
            (Ok(config), Ok(effective)) => {
                assert!(!config.channels.is_empty());
                for entry in &effective.entries {
                    assert!(!entry.path().is_empty());
                }
            }
            (Err(error), shown) => {
                let words = error.to_string();
                assert!(words.contains("notifyctl.toml"), "it does not say where: {words}");
                assert!(words.len() < 4_096, "{} bytes of words", words.len());
                assert!(!words.contains(char::is_control), "for a terminal to obey: {words:?}");
                drop(shown);
            }
            (Ok(_), Err(error)) => panic!("accepted, but cannot be shown: {error}"),
        }
    });
}
