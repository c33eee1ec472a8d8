//! A real Postfix that takes mail and puts it on hold: a queue file and a sync for each, and nothing after that.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::ports::free_port;

/// The running Postfix; ended when dropped, and its folder removed.
pub struct Postfix {
    folder: TempDir,
    child: Child,
    pub port: u16,
}

impl Postfix {
    /// Starts it on a port and in a folder of its own.
    ///
    /// # Errors
    /// When it is not installed, or may not be started here: it has users of its own, so that needs root.
    pub fn start() -> Result<Self, String> {
        let version = Command::new("postconf").args(["-hd", "mail_version"]).output();
        version.map_err(|_| "no postfix".to_owned())?;
        let folder = tempfile::Builder::new().prefix("bench-postfix-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).expect("let Postfix in");
        let port = free_port();
        let dir = folder.path().display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {dir}/queue\ndata_directory = {dir}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = relay.example.org\nmydestination =\ninet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\nmaillog_file = {dir}/log\nmaillog_file_prefixes = {dir}\n\
             in_flow_delay = 0\nalias_maps =\nalias_database =\nrelay_domains = example.org\n\
             smtpd_client_restrictions = check_client_access static:HOLD\n"
        );
        let master = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nproxymap unix - - n - - proxymap\nanvil unix - - n - 1 anvil\n\
             postlog unix-dgram n - n - 1 postlogd\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\nerror unix - - n - - error\nretry unix - - n - - error\n\
             showq unix n - n - - showq\nflush unix n - n 1000? 0 flush\n"
        );
        fs::create_dir(folder.path().join("etc")).expect("a folder for the configuration");
        for (name, text) in [("main.cf", main), ("master.cf", master)] {
            fs::write(folder.path().join("etc").join(name), text).expect("write the configuration");
        }
        let script = r#"mkdir "$DIR/queue" "$DIR/data"; chown postfix "$DIR/data"
            exec postfix -c "$DIR/etc" start-fg 2>/dev/null"#;
        let child = Command::new("/bin/sh")
            .args(["-eu", "-c", script])
            .env("DIR", folder.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell");
        let postfix = Self { folder, child, port };
        match super::listens(port) {
            true => Ok(postfix),
            false => Err("postfix refuses".into()),
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The master's number stands padded in its file; it ends its own processes.
        if let Ok(pid) = fs::read_to_string(self.folder.path().join("queue/pid/master.pid")) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
