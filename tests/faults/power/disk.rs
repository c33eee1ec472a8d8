//! A disk that keeps what was synced, and of the rest what chance leaves.
//!
//! Each file and each folder holds what is durable and, in order, the changes that are not yet: written bytes, lengths,
//! and names given, moved and taken away. `fsync` and `fdatasync` make one file's changes durable, a folder's sync its
//! names; nothing else does (a new file's name is not durable because its bytes are).
//!
//! Not modelled: a drive that loses what it confirmed (see [`Disk::lying`] for one that loses all of it), sectors that
//! turn unreadable, bytes beside a write that change with it (SQLite calls their absence power-safe overwrite), a
//! rename within a folder that leaves both names or none (one between folders may), and memory maps (the `-shm` file is
//! rebuilt by whoever opens a store first).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::fate::{Fate, SECTOR};
use super::trace::{DELETED, Event};
use crate::folder::{self, Content};

/// The disk.
pub struct Disk {
    nodes: Vec<Node>,
    /// The number of the next change; all changes of the disk stand in one order.
    clock: u64,
    /// Whether syncs change nothing.
    lying: bool,
    /// Syncs under way, by process: which node, and what had been changed before.
    syncs: HashMap<u32, (usize, u64)>,
    /// Files that lost their last name, by that name.
    nameless: HashMap<PathBuf, usize>,
}

/// Names in a folder.
type Names = BTreeMap<String, usize>;

enum Node {
    File { durable: Vec<u8>, now: Vec<u8>, pending: Vec<(u64, Change)> },
    Folder { durable: Names, now: Names, pending: Vec<(u64, Renaming)> },
}

enum Change {
    Write { at: usize, bytes: Rc<[u8]> },
    Length(usize),
}

#[derive(Clone)]
enum Renaming {
    Give(String, usize),
    Take(String),
    Move(String, String),
}

const ROOT: usize = 0;

impl Disk {
    /// A disk on which `folder`, as it is now, is durable.
    pub fn of(folder: &Path) -> Self {
        let root = Node::Folder { durable: Names::new(), now: Names::new(), pending: Vec::new() };
        let mut disk = Self {
            nodes: vec![root],
            clock: 0,
            lying: false,
            syncs: HashMap::new(),
            nameless: HashMap::new(),
        };
        for (path, content) in folder::read(folder) {
            match content {
                None => disk.make_folder(&path),
                Some(bytes) => {
                    disk.make(&path, false);
                    disk.write(&path, Some(0), &bytes);
                }
            }
        }
        (0..disk.nodes.len()).for_each(|node| disk.nodes[node].sync(u64::MAX));
        disk
    }

    /// The same, and it only says that it has synced.
    pub fn lying(folder: &Path) -> Self {
        Self { lying: true, ..Self::of(folder) }
    }

    /// Takes one event.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Made { path, truncates } => self.make(path, *truncates),
            Event::FolderMade(path) => self.make_folder(path),
            Event::Written { path, at, bytes } => self.write(path, *at, bytes),
            Event::Cut { path, length } => {
                let length = usize::try_from(*length).expect("a length");
                self.change(path, Change::Length(length));
            }
            Event::Removed(path) => {
                let node = self.find(path);
                self.nameless.insert(path.clone(), node);
                self.rename(path, Renaming::Take(name(path)));
            }
            Event::Renamed { from, to } => {
                if from.parent() == to.parent() {
                    self.rename(from, Renaming::Move(name(from), name(to)));
                } else {
                    let node = self.find(from);
                    self.rename(to, Renaming::Give(name(to), node));
                    self.rename(from, Renaming::Take(name(from)));
                }
            }
            Event::Linked { from, to } => {
                let node = self.find(from);
                self.rename(to, Renaming::Give(name(to), node));
            }
            Event::SyncBegun { path, by } => {
                let sync = (self.find(path), self.clock);
                self.syncs.insert(*by, sync);
            }
            Event::SyncEnded { by } => {
                let (node, before) = self.syncs.remove(by).expect("a sync that began");
                if !self.lying {
                    self.nodes[node].sync(before);
                }
            }
            Event::Told(_) => {}
        }
    }

    /// The number of changes so far.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// How many changes are not durable.
    pub fn pending(&self) -> usize {
        let pending = |node: &Node| match node {
            Node::File { pending, .. } => pending.len(),
            Node::Folder { pending, .. } => pending.len(),
        };
        self.nodes.iter().map(pending).sum()
    }

    /// What is there after the power failed now.
    pub fn after_power_cut(&self, fate: &mut Fate) -> Content {
        let mut content = Content::new();
        self.gather(ROOT, Path::new(""), &mut content, fate);
        content
    }

    fn gather(&self, folder: usize, path: &Path, content: &mut Content, fate: &mut Fate) {
        for (name, node) in self.nodes[folder].names_left(fate) {
            let path = path.join(name);
            if let Node::File { .. } = self.nodes[node] {
                content.insert(path, Some(self.nodes[node].bytes_left(fate)));
            } else {
                content.insert(path.clone(), None);
                self.gather(node, &path, content, fate);
            }
        }
    }

    fn make(&mut self, path: &Path, truncates: bool) {
        if self.look(path).is_none() {
            self.add(path, Node::File { durable: Vec::new(), now: Vec::new(), pending: Vec::new() });
        } else if truncates {
            self.change(path, Change::Length(0));
        }
    }

    fn make_folder(&mut self, path: &Path) {
        self.add(path, Node::Folder { durable: Names::new(), now: Names::new(), pending: Vec::new() });
    }

    fn add(&mut self, path: &Path, node: Node) {
        self.nodes.push(node);
        self.rename(path, Renaming::Give(name(path), self.nodes.len() - 1));
    }

    fn write(&mut self, path: &Path, at: Option<u64>, bytes: &[u8]) {
        let node = self.find(path);
        let Node::File { now, .. } = &self.nodes[node] else { panic!("{path:?} is a folder") };
        let at = at.map_or(now.len(), |at| usize::try_from(at).expect("an offset"));
        self.change(path, Change::Write { at, bytes: bytes.into() });
    }

    fn change(&mut self, path: &Path, change: Change) {
        let node = self.find(path);
        let Node::File { now, pending, .. } = &mut self.nodes[node] else { panic!("{path:?} is a folder") };
        apply(now, &change, |_| true);
        pending.push((self.clock, change));
        self.clock += 1;
    }

    fn rename(&mut self, path: &Path, renaming: Renaming) {
        let folder = self.find(path.parent().expect("within the folder"));
        let Node::Folder { now, pending, .. } = &mut self.nodes[folder] else {
            panic!("a file has no names")
        };
        give(now, &renaming);
        pending.push((self.clock, renaming));
        self.clock += 1;
    }

    fn find(&self, path: &Path) -> usize {
        let deleted = path.to_str().and_then(|path| path.strip_suffix(DELETED));
        match deleted {
            Some(path) => self.nameless[Path::new(path)],
            None => self.look(path).unwrap_or_else(|| panic!("{path:?} is unknown")),
        }
    }

    fn look(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(ROOT, |folder, name| match &self.nodes[folder] {
            Node::Folder { now, .. } => now.get(name.to_str()?).copied(),
            Node::File { .. } => None,
        })
    }
}

impl Node {
    /// Makes durable what was changed before `before`.
    fn sync(&mut self, before: u64) {
        match self {
            Self::File { durable, pending, .. } => {
                let synced = pending.partition_point(|(at, _)| *at < before);
                pending.drain(..synced).for_each(|(_, change)| apply(durable, &change, |_| true));
            }
            Self::Folder { durable, pending, .. } => {
                let synced = pending.partition_point(|(at, _)| *at < before);
                pending.drain(..synced).for_each(|(_, renaming)| give(durable, &renaming));
            }
        }
    }

    fn bytes_left(&self, fate: &mut Fate) -> Vec<u8> {
        let Self::File { durable, pending, .. } = self else { panic!("a folder has no bytes") };
        let mut bytes = durable.clone();
        for (at, change) in pending {
            if fate.keeps_bytes(*at) {
                let whole = fate.is_whole(*at);
                apply(&mut bytes, change, |_| whole || fate.keeps_sector());
            }
        }
        bytes
    }

    fn names_left(&self, fate: &mut Fate) -> Names {
        let Self::Folder { durable, pending, .. } = self else { panic!("a file has no names") };
        let mut names = durable.clone();
        pending
            .iter()
            .filter(|(at, _)| fate.keeps_name(*at))
            .for_each(|(_, renaming)| give(&mut names, renaming));
        names
    }
}

/// Changes `bytes`, but only in the sectors that are kept.
fn apply(bytes: &mut Vec<u8>, change: &Change, mut keeps: impl FnMut(usize) -> bool) {
    match change {
        Change::Length(length) => bytes.resize(*length, 0),
        Change::Write { at, bytes: written } => {
            let (mut from, end) = (*at, at + written.len());
            while from < end {
                let to = end.min((from / SECTOR + 1) * SECTOR);
                if keeps(from / SECTOR) {
                    bytes.resize(bytes.len().max(to), 0);
                    bytes[from..to].copy_from_slice(&written[from - at..to - at]);
                }
                from = to;
            }
        }
    }
}

fn give(names: &mut Names, renaming: &Renaming) {
    match renaming {
        Renaming::Give(name, node) => {
            names.insert(name.clone(), *node);
        }
        Renaming::Take(name) => {
            names.remove(name);
        }
        Renaming::Move(from, to) => {
            // What it was to be moved from may not have reached the disk.
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned()
}
