//! Who is at the other end of the Unix socket, by the kernel's word, and what such a one may.

use std::fmt;
use std::fs;
use std::str::FromStr;

use crate::model::token::{Scope, Scopes};

/// The other end of a Unix socket, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The first group.
    pub gid: u32,
}

/// A user or a group, by name or number, and what it may: `www-data:enqueue`, `1000:enqueue,read`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    name: String,
    scopes: Scopes,
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, scopes)) = text.split_once(':').filter(|(name, _)| !name.trim().is_empty()) else {
            let text = text.escape_debug();
            return Err(format!("`{text}` is no name and scopes, as in \"www-data:enqueue,read\""));
        };
        let scopes = scopes.parse::<Scopes>().map_err(|error| error.to_string())?;
        Ok(Self { name: name.trim().to_owned(), scopes })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.scopes)
    }
}

/// Whom the kernel tells of in place of users and groups that a user namespace does not know (user_namespaces(7)).
const OVERFLOW: u32 = 65_534;

/// What each user of this host may, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locals {
    own: u32,
    users: Vec<(u32, Scopes)>,
    groups: Vec<(u32, Vec<u32>, Scopes)>,
    /// Whether this is a user namespace in which not every user of the host has a number of its own.
    is_partial: bool,
}

impl Locals {
    /// The names as numbers, from `/etc/passwd` and `/etc/group`. The process's own user and root may all.
    ///
    /// # Errors
    /// Names what is not there. A user of another directory (LDAP) can be named by its number.
    pub fn new(users: &[Grant], groups: &[Grant]) -> Result<Self, String> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let group = fs::read_to_string("/etc/group").unwrap_or_default();
        let locals = Self::of(rustix::process::geteuid().as_raw(), users, groups, &passwd, &group)?;
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Ok(Self { is_partial: is_partial(&map), ..locals })
    }

    fn of(own: u32, users: &[Grant], groups: &[Grant], passwd: &str, group: &str) -> Result<Self, String> {
        let unknown = |what: &str, name: &str, file: &str| {
            format!("{what} `{}` is not in {file}; name it as there, or by its number", name.escape_debug())
        };
        let mut locals = Self { own, ..Self::default() };
        for Grant { name, scopes } in users {
            let uid = number(passwd, name).ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
            locals.users.push((uid, *scopes));
        }
        for Grant { name, scopes } in groups {
            let gid = number(group, name).ok_or_else(|| unknown("group", name, "/etc/group"))?;
            let members = members(group, gid).filter_map(|member| number(passwd, member)).collect();
            locals.groups.push((gid, members, *scopes));
        }
        Ok(locals)
    }

    /// What such a one may: all that its user and its groups may.
    #[must_use]
    pub fn scopes(&self, who: Credentials) -> Scopes {
        if self.is_partial && who.uid == OVERFLOW {
            // Anybody: neither our own user nor `nobody`, should one of them have that number here.
            return Scopes::default();
        }
        if who.uid == self.own || who.uid == 0 {
            return Scopes::all();
        }
        let as_user = self.users.iter().filter(|(uid, _)| *uid == who.uid).map(|(_, scopes)| *scopes);
        let is_told = !(self.is_partial && who.gid == OVERFLOW);
        let belongs = |gid: u32, members: &[u32]| (is_told && gid == who.gid) || members.contains(&who.uid);
        let groups = self.groups.iter().filter(|(gid, members, _)| belongs(*gid, members));
        as_user.chain(groups.map(|(_, _, scopes)| *scopes)).flat_map(Scopes::iter).collect::<Scopes>()
    }

    /// Whether such a one may anything: somebody else is told so, and not asked for a token.
    #[must_use]
    pub fn knows(&self, who: Credentials) -> bool {
        Scope::ALL.into_iter().any(|scope| self.scopes(who).allow(scope))
    }
}

/// Whether a map of users (`/proc/self/uid_map`) leaves some out; the host's own does not.
fn is_partial(map: &str) -> bool {
    let mut fields = map.split_whitespace().map(str::parse);
    let whole = [0, 0, u32::MAX].into_iter().all(|field| fields.next() == Some(Ok(field)));
    !(whole || map.is_empty())
}

/// The number of `name` in a file whose lines are `name:x:NUMBER:…`, or the number that it is itself.
fn number(file: &str, name: &str) -> Option<u32> {
    let named = file
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten());
    named.or_else(|| name.parse().ok())
}

/// The members of a group: `name:x:GID:ann,bob`.
fn members(file: &str, gid: u32) -> impl Iterator<Item = &str> {
    let fields = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.filter(move |fields| fields.get(2).and_then(|text| text.parse().ok()) == Some(gid));
    found
        .flat_map(|fields| fields.get(3).copied().unwrap_or_default().split(','))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwww-data:x:33:\nann:x:1000:\nadm:x:4:syslog,ann\n";

    fn grants(texts: &[&str]) -> Vec<Grant> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn scopes(users: &[&str], groups: &[&str], uid: u32, gid: u32) -> String {
        let locals = Locals::of(500, &grants(users), &grants(groups), PASSWD, GROUP).unwrap();
        locals.scopes(Credentials { uid, gid }).to_string()
    }

    #[test]
    fn the_own_user_and_root_may_all_and_a_stranger_nothing() {
        assert_eq!(scopes(&[], &[], 500, 500), "enqueue,read,admin,personal");
        assert_eq!(scopes(&[], &[], 0, 0), "enqueue,read,admin,personal");
        assert_eq!(scopes(&[], &[], 33, 33), "");
        assert_eq!(scopes(&["ann:admin"], &["adm:read"], 33, 33), "");
    }

    #[test]
    fn users_and_groups_may_what_they_are_granted_together() {
        assert_eq!(scopes(&["www-data:enqueue"], &[], 33, 99), "enqueue");
        assert_eq!(scopes(&["33: read"], &[], 33, 99), "read");
        assert_eq!(scopes(&["ann:enqueue"], &["adm:read"], 1000, 1000), "enqueue,read");
        // By the first group, although no line lists it.
        assert_eq!(scopes(&[], &["33:enqueue"], 77, 33), "enqueue");
    }

    #[test]
    fn whom_a_user_namespace_does_not_know_is_nobody_of_ours() {
        for (map, partial) in
            [("", false), ("         0          0 4294967295\n", false), ("0 0 1\n998 998 1\n", true)]
        {
            assert_eq!(is_partial(map), partial, "{map}");
        }
        let grants = grants(&["65534:enqueue"]);
        let of = |own| Locals::of(own, &grants, &grants, PASSWD, GROUP).unwrap();
        let anybody = Credentials { uid: OVERFLOW, gid: OVERFLOW };
        assert_eq!(of(500).scopes(anybody).to_string(), "enqueue");
        for own in [500, OVERFLOW] {
            let locals = Locals { is_partial: true, ..of(own) };
            assert_eq!(locals.scopes(anybody).to_string(), "");
            assert_eq!(locals.scopes(Credentials { uid: 1000, gid: OVERFLOW }).to_string(), "");
        }
    }

    #[test]
    fn who_is_not_there_is_named() {
        for (users, groups, what) in
            [(&["bob:read"][..], &[][..], "user `bob`"), (&[], &["staff:read"], "group `staff`")]
        {
            let error = Locals::of(500, &grants(users), &grants(groups), PASSWD, GROUP).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        for text in ["ann", ":read", "ann:", "ann:reed"] {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
        assert_eq!("ann:read,enqueue".parse::<Grant>().unwrap().to_string(), "ann:enqueue,read");
    }
}
