//! All that is in a folder, taken out and put back: the same ground again for the next fault.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a folder holds, by path within it; a folder in it is `None`.
pub type Content = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What is in `folder`.
pub fn read(folder: &Path) -> Content {
    let mut content = Content::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let within = path.strip_prefix(folder).expect("within").to_owned();
            if path.is_dir() {
                content.insert(within, None);
                folders.push(path);
            } else {
                content.insert(within, Some(fs::read(path).expect("a file")));
            }
        }
    }
    content
}

/// Makes `folder` hold `content` and nothing else.
pub fn write(folder: &Path, content: &Content) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => fs::remove_dir_all(path).expect("remove the folder"),
            false => fs::remove_file(path).expect("remove the file"),
        }
    }
    for (path, bytes) in content {
        let path = folder.join(path);
        match bytes {
            None => fs::create_dir(path).expect("make the folder"),
            Some(bytes) => {
                let mut options = fs::OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                options.open(path).and_then(|mut file| file.write_all(bytes)).expect("write the file");
            }
        }
    }
}
